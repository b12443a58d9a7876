package node

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// hardened are the flags of file systems that programs have no business with.
const hardened = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// mountAll gives the cluster its own view of the machine's folders. All of it ends with the mount namespace.
func mountAll(cluster layout.Cluster) error {
	// Private first, so that nothing of the following reaches the host; shared again at the end of it, because the kubelet wants that.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make all mounts private: %w", err)
	}
	steps := []struct {
		filesystem, target, options string
		flags                       uintptr
	}{
		{"proc", "/proc", "", hardened},
		{"sysfs", "/sys", "", hardened},
		{"tmpfs", "/run", "mode=755", 0},
		{"tmpfs", "/var/log", "mode=755", 0}, // logs of pods
		{"tmpfs", "/var/lib", "mode=755", 0}, // the kubelet's device plugins and libcni's results have fixed paths in it
	}
	for _, step := range steps {
		if err := unix.Mount(step.filesystem, step.target, step.filesystem, step.flags, step.options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", step.filesystem, step.target, err)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make all mounts shared: %w", err)
	}
	if err := mountCgroups(); err != nil {
		return err
	}
	// What is large lives on the disk.
	for _, component := range []string{"containerd", "kubelet"} {
		target := filepath.Join("/var/lib", component)
		if err := errors.Join(os.MkdirAll(cluster.Data(component), 0o755), os.MkdirAll(target, 0o755)); err != nil {
			return err
		}
		if err := unix.Mount(cluster.Data(component), target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", target, err)
		}
	}
	return coverFiles(cluster)
}

// coverFiles puts files of the cluster's own in the place of some of the machine's.
func coverFiles(cluster layout.Cluster) error {
	files := map[string]string{
		"/etc/resolv.conf": "", // no name outside of the cluster can be resolved
		"/etc/hosts":       fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", layout.Node, cluster.Name),
		// These are the whole machine's. The kubelet sets them unless it finds that they are as it wants them.
		"/proc/sys/vm/overcommit_memory":      "1",
		"/proc/sys/vm/panic_on_oom":           "0",
		"/proc/sys/kernel/panic":              "10",
		"/proc/sys/kernel/panic_on_oops":      "1",
		"/proc/sys/kernel/keys/root_maxkeys":  "1000000",
		"/proc/sys/kernel/keys/root_maxbytes": "25000000",
	}
	const folder = "/run/covers"
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for target, content := range files {
		cover := filepath.Join(folder, strings.ReplaceAll(target, "/", "_"))
		if err := os.WriteFile(cover, []byte(content+"\n"), 0o644); err != nil {
			return err
		}
		if err := bindOver(cover, target); err != nil {
			return fmt.Errorf("cover %s: %w", target, err)
		}
	}
	return nil
}

// bindOver mounts a file over another. A target that is a link into /run, as resolv.conf often is, points nowhere now: it gets its file.
func bindOver(file, target string) error {
	if link, err := os.Readlink(target); err == nil {
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(target), link)
		}
		target = link
	}
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, nil, 0o644)); err != nil {
			return err
		}
	}
	return unix.Mount(file, target, "", unix.MS_BIND, "")
}

// mountCgroups mounts the cluster's own group as if it were the whole tree, in the version that the host uses.
func mountCgroups() error {
	const root = "/sys/fs/cgroup"
	hierarchies, err := ownHierarchies()
	if err != nil {
		return err
	}
	if len(hierarchies) == 0 { // v2 alone
		if err := unix.Mount("cgroup2", root, "cgroup2", hardened, ""); err != nil {
			return fmt.Errorf("mount cgroup v2: %w", err)
		}
		return enterCgroupV2(root)
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", hardened, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", root, err)
	}
	for _, controllers := range hierarchies {
		folder, options := controllers, controllers
		if name, named := strings.CutPrefix(controllers, "name="); named { // a tree without controllers, as systemd's
			folder, options = name, "none,"+controllers
		}
		target := filepath.Join(root, folder)
		if err := os.Mkdir(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", target, "cgroup", hardened, options); err != nil {
			return fmt.Errorf("mount cgroup %s: %w", controllers, err)
		}
	}
	return nil
}

// ownHierarchies lists the v1 trees that this process is in, by their controllers as in "cpu,cpuacct".
func ownHierarchies() ([]string, error) {
	file, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if parts := strings.SplitN(lines.Text(), ":", 3); len(parts) == 3 && parts[1] != "" { // v2's line has no controllers
			found = append(found, parts[1])
		}
	}
	return found, lines.Err()
}
