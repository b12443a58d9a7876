// Package layout says where a cluster keeps what on disk, and which addresses are used inside it.
package layout

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/headgate/headgate/test/cluster/internal/cgroup"
)

// Cluster is one cluster, by name. It may or may not run.
type Cluster struct {
	Name string
	// State is the folder with everything the cluster writes. It exists from `up` to `down`.
	State string
	// Group holds all processes of the cluster, and no others.
	Group cgroup.Group
}

// A name becomes a folder, a cgroup and a host name.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Find returns the cluster of that name.
func Find(name string) (Cluster, error) {
	if !validName.MatchString(name) {
		return Cluster{}, fmt.Errorf("cluster name %q: use at most 32 lower-case letters, digits and dashes, a letter or digit first and last", name)
	}
	root, err := Root()
	if err != nil {
		return Cluster{}, err
	}
	group, err := cgroup.Named("headgate-" + name)
	if err != nil {
		return Cluster{}, err
	}
	return Cluster{Name: name, State: filepath.Join(root, "clusters", name), Group: group}, nil
}

// Root is the folder that holds everything this program keeps between runs: the build cache, the clusters, the locks.
func Root() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep things in (set HOME or XDG_CACHE_HOME): %w", err)
	}
	return filepath.Join(dir, "headgate"), nil
}

// Path returns the path of something in the cluster's state folder.
func (c Cluster) Path(parts ...string) string {
	return filepath.Join(append([]string{c.State}, parts...)...)
}

// Bin is the path of a program that the cluster runs; the folder of all for "".
func (c Cluster) Bin(name string) string { return c.Path("bin", name) }

// Tools is the folder with kubectl and helm.
func (c Cluster) Tools() string { return c.Path("tools") }

// Config is the path of a configuration file of a component.
func (c Cluster) Config(name string) string { return c.Path("etc", name) }

// PKI is the path of a key or certificate; the folder of all for "".
func (c Cluster) PKI(name string) string { return c.Path("pki", name) }

// Log is the path of the log of a component.
func (c Cluster) Log(component string) string { return c.Path("log", component+".log") }

// Data is the folder for what a component keeps.
func (c Cluster) Data(component string) string { return c.Path("data", component) }

// Temp is the TMPDIR of all components.
func (c Cluster) Temp() string { return c.Path("tmp") }

// Kubeconfig is the path of a kubeconfig that works on the host.
func (c Cluster) Kubeconfig() string { return c.Path("kubeconfig") }

// KubeconfigInside is the path of a kubeconfig that works in the cluster's network.
func (c Cluster) KubeconfigInside() string { return c.Path("kubeconfig-inside") }

func (c Cluster) initPID() string   { return c.Path("init.pid") }
func (c Cluster) forwarder() string { return c.Path("forwarder") }

// WriteForwarder records the address on the host that leads to the API server.
func (c Cluster) WriteForwarder(address string) error {
	return WriteFile(c.forwarder(), []byte(address), 0o644)
}

// Forwarder returns the address on the host that leads to the API server. Once there is one, there are all credentials as well.
func (c Cluster) Forwarder() (string, error) {
	address, err := os.ReadFile(c.forwarder())
	return string(address), err
}

// Lock is the path of one of the cluster's locks. They live outside of the state folder because they guard its making and removal.
func (c Cluster) Lock(what string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(c.State)), "locks", c.Name+"."+what)
}

// WriteInitPID records the host's process id of the cluster's process 1.
func (c Cluster) WriteInitPID(pid int) error {
	return WriteFile(c.initPID(), []byte(strconv.Itoa(pid)), 0o644)
}

// InitPID returns the host's process id of the cluster's process 1, and false if the cluster does not run.
// The recorded number is believed only if that process is in the cluster's cgroup: numbers are used again.
func (c Cluster) InitPID() (int, bool) {
	recorded, err := os.ReadFile(c.initPID())
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(recorded)))
	if err != nil {
		return 0, false
	}
	return pid, c.Group.Has(pid)
}

// ContainerdSocket is the path by which the host reaches containerd, whose own path exists in the cluster's mount namespace only.
func (c Cluster) ContainerdSocket(initPID int) string {
	return fmt.Sprintf("/proc/%d/root/run/containerd/containerd.sock", initPID)
}
