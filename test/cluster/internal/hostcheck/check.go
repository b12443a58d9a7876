// Package hostcheck finds out whether a cluster can run on this machine, and installs what it lacks.
package hostcheck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/cgroup"
	"github.com/headgate/headgate/test/cluster/internal/child"
	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// ProbeCommand is the hidden subcommand by which Check runs Probe in fresh namespaces.
const ProbeCommand = "probe"

// Check returns nil if a cluster can run here, or else the first reason why not, as part of a sentence.
func Check(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("this is %s, not Linux", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return errors.New("this user is not root")
	}
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("there is no Go toolchain to build it with")
	}
	if lacking := missingPackages(); len(lacking) > 0 {
		if _, err := exec.LookPath("apt-get"); err != nil {
			return fmt.Errorf("%s is not installed and there is no apt-get to install it with", strings.Join(lacking, " and "))
		}
	}
	if err := checkFolder(); err != nil {
		return err
	}
	if err := checkCgroups(); err != nil {
		return err
	}
	return checkNamespaces(ctx)
}

// checkFolder: the cluster hides these folders from itself behind empty ones, see node.mountAll.
func checkFolder() error {
	root, err := layout.Root()
	if err != nil {
		return err
	}
	resolved := root
	for {
		if target, err := filepath.EvalSymlinks(resolved); err == nil {
			resolved = target
			break
		}
		resolved = filepath.Dir(resolved)
	}
	for _, hidden := range []string{"/run", "/var/log", "/var/lib", "/proc", "/sys"} {
		if strings.HasPrefix(resolved+"/", hidden+"/") {
			return fmt.Errorf("its folder %s lies in %s (set XDG_CACHE_HOME to another place)", root, hidden)
		}
	}
	return nil
}

// needed are the controllers without which the kubelet and runc do not work, by version. (On v2 devices and freezing need no controller.)
var (
	neededV1 = []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer"}
	neededV2 = []string{"cpu", "cpuset", "memory", "pids"}
)

// checkCgroups tries whether groups can be made, by making one.
func checkCgroups() error {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	if len(hierarchies) == 0 {
		return errors.New("no cgroups are mounted")
	}
	needed := neededV1
	if hierarchies[0].V2 {
		needed = neededV2
	}
	for _, controller := range needed {
		if !slices.ContainsFunc(hierarchies, func(h cgroup.Hierarchy) bool { return h.Has(controller) }) {
			return fmt.Errorf("the cgroup controller %q is missing", controller)
		}
	}
	for _, h := range hierarchies {
		folder := filepath.Join(h.Mount, fmt.Sprintf("headgate-check-%d", os.Getpid()))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return fmt.Errorf("no cgroup can be made in %s (%w)", h.Mount, err)
		}
		if err := syscall.Rmdir(folder); err != nil {
			return fmt.Errorf("a cgroup in %s can't be removed (%w)", h.Mount, err)
		}
	}
	return nil
}

// checkNamespaces tries out in namespaces of its own what a cluster does in its.
func checkNamespaces(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", ProbeCommand)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWCGROUP,
	}
	output, err := child.CombinedOutput(cmd)
	if _, ran := errors.AsType[*exec.ExitError](err); ran {
		return errors.New(strings.TrimSpace(string(output)))
	}
	if err != nil {
		return fmt.Errorf("namespaces can't be made (%w)", err)
	}
	return nil
}
