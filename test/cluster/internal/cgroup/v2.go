package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// wanted are the v2 controllers that the kubelet and runc use.
var wanted = []string{"cpu", "cpuset", "io", "memory", "pids"}

// delegateControllers hands the controllers of a group down to the groups below it.
func delegateControllers(folder string) error {
	available, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return err
	}
	var add []string
	for _, controller := range wanted {
		if slices.Contains(strings.Fields(string(available)), controller) {
			add = append(add, "+"+controller)
		}
	}
	if err := write(filepath.Join(folder, "cgroup.subtree_control"), strings.Join(add, " ")); err != nil {
		return fmt.Errorf("hand controllers %v down in %s: %w", add, folder, err)
	}
	return nil
}

func joinLeaf(group string, pid int, leaf string) error {
	folder := filepath.Join(group, leaf)
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return write(filepath.Join(folder, "cgroup.procs"), strconv.Itoa(pid))
}

// EnterLeafAndDelegate is for process 1 of a cgroup namespace on v2, with mount the namespace's own view of the tree:
// it moves itself into a leaf, and hands the controllers of the namespace's root down. Fails while other processes are still in the root.
func EnterLeafAndDelegate(mount, leaf string) error {
	if err := joinLeaf(mount, os.Getpid(), leaf); err != nil {
		return err
	}
	return delegateControllers(mount)
}
