package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// End kills every process in the group and removes the group. It is done when nothing is left.
func (g Group) End(ctx context.Context) error {
	err := wait.Until(ctx, 20*time.Millisecond, func(context.Context) error {
		pids, err := g.Processes()
		if err != nil {
			return wait.Stop(err)
		}
		for _, pid := range pids {
			if pid == os.Getpid() {
				return wait.Stop(errors.New("this process is part of the cluster that it should end"))
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); errors.Is(err, syscall.EPERM) {
				return wait.Stop(fmt.Errorf("process %d may not be killed by this user: run this as root (%w)", pid, err))
			} // any other error: it is gone already
		}
		if len(pids) > 0 {
			return fmt.Errorf("processes %v have not ended yet", pids)
		}
		return g.remove()
	})
	if err != nil {
		return fmt.Errorf("end cgroup %s: %w", g.name, err)
	}
	return nil
}

// remove deletes the group's folders from the leaves up. A killed process may keep its folder busy a moment longer.
func (g Group) remove() error {
	for _, h := range g.hierarchies {
		all, err := folders(g.in(h))
		if err != nil {
			return err
		}
		for _, folder := range slices.Backward(all) {
			if err := syscall.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove %s: %w", folder, err)
			}
		}
	}
	return nil
}
