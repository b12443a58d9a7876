package supervisor

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// End ends a cluster in whatever condition it is, and removes what is left of it. It reports whether there was anything.
func End(ctx context.Context, cluster layout.Cluster) (bool, error) {
	lock, err := lockStart(ctx, cluster)
	if err != nil {
		return false, err
	}
	defer lock.Release()
	found := Left(cluster)
	return found, remove(ctx, cluster)
}

// Left reports whether a cluster runs, or something of one is left.
func Left(cluster layout.Cluster) bool {
	_, err := os.Stat(cluster.State)
	return err == nil || cluster.Group.Exists()
}

// remove leaves nothing: with its processes the kernel ends the cluster's namespaces, and with these mounts and network devices.
func remove(ctx context.Context, cluster layout.Cluster) error {
	if err := cluster.Group.End(ctx); err != nil {
		return err
	}
	if err := unmountBelow(cluster.State); err != nil {
		return err
	}
	if err := os.RemoveAll(cluster.State); err != nil {
		return fmt.Errorf("remove the state folder: %w", err)
	}
	return nil
}

// unmountBelow makes sure that removing a folder can't reach into something mounted in it. Nothing is, unless mounts.go has a mistake.
func unmountBelow(folder string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || !strings.HasPrefix(fields[4], folder+"/") {
			continue
		}
		if err := unix.Unmount(fields[4], unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", fields[4], err)
		}
	}
	return nil
}
