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
	"syscall"
)

// Group is a named group in every hierarchy, and all groups made below it.
type Group struct {
	name        string
	hierarchies []Hierarchy
}

// Named returns the group of that name, which may or may not exist.
func Named(name string) (Group, error) {
	hierarchies, err := Hierarchies()
	return Group{name: name, hierarchies: hierarchies}, err
}

// Create makes the group.
func (g Group) Create() error {
	for _, h := range g.hierarchies {
		if err := os.Mkdir(g.in(h), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make a cgroup: %w", err)
		}
		if err := g.prepare(h); err != nil {
			return fmt.Errorf("prepare cgroup %s: %w", g.in(h), err)
		}
	}
	return nil
}

// weight is how many processes the group counts as when processors are short: to the kernel a group is as one, and a cluster is some sixty
// programs. On a busy machine it would starve, while each of the user's programs had as much as all of it.
const weight = 64

// prepare does what a hierarchy wants before processes and further groups can be put into a new group.
func (g Group) prepare(h Hierarchy) error {
	if h.V2 {
		if err := delegateControllers(h.Mount); err != nil {
			return err
		}
	}
	if h.Has("cpu") {
		file, one := "cpu.shares", 1024
		if h.V2 {
			file, one = "cpu.weight", 100
		}
		if err := write(filepath.Join(g.in(h), file), strconv.Itoa(weight*one)); err != nil {
			return err
		}
	}
	if h.V2 || !h.Has("cpuset") {
		return nil
	}
	// A new cpuset is empty, and a process can't be added to one without processors and memory.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(h.Mount, file))
		if err != nil {
			return err
		}
		if err := write(filepath.Join(g.in(h), file), string(value)); err != nil {
			return err
		}
	}
	// … and the same holds for the groups that the kubelet and runc make below.
	return write(filepath.Join(g.in(h), "cgroup.clone_children"), "1")
}

// Join puts a process into the group.
func (g Group) Join(pid int) error {
	for _, h := range g.hierarchies {
		if err := write(filepath.Join(g.in(h), "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("join a cgroup: %w", err)
		}
	}
	return nil
}

// JoinLeaf moves a process on into a group of its own below this one, if this is cgroup v2,
// where a group that hands controllers down to others must not have processes itself.
func (g Group) JoinLeaf(pid int, leaf string) error {
	for _, h := range g.hierarchies {
		if h.V2 {
			return joinLeaf(g.in(h), pid, leaf)
		}
	}
	return nil
}

// Processes returns the ids of all processes in the group and below, each once.
func (g Group) Processes() ([]int, error) {
	var pids []int
	for _, h := range g.hierarchies {
		folders, err := folders(g.in(h))
		if err != nil {
			return nil, err
		}
		for _, folder := range folders {
			members, err := members(folder)
			if err != nil {
				return nil, fmt.Errorf("list the processes of %s: %w", folder, err)
			}
			pids = append(pids, members...)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// folders returns a group's folder and all below it, each before those in it. A group that does not exist, or ends meanwhile, has none.
func folders(group string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

// members returns the processes in one folder, without those below.
func members(folder string) ([]int, error) {
	content, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil, nil // the group has just been removed
	}
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.FieldsSeq(string(content)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// Has reports whether the process is in the group itself, or on v2 in a leaf of it. It is a look at one file for each hierarchy.
func (g Group) Has(pid int) bool {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	return inGroup(string(content), g.name)
}

// inGroup reads the format of cgroups(7), /proc/pid/cgroup: one "id:controllers:path" a line.
func inGroup(content, name string) bool {
	for line := range strings.Lines(content) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && (parts[2] == "/"+name || strings.HasPrefix(parts[2], "/"+name+"/")) {
			return true
		}
	}
	return false
}

// Exists reports whether the group is there in any hierarchy.
func (g Group) Exists() bool {
	return slices.ContainsFunc(g.hierarchies, func(h Hierarchy) bool {
		_, err := os.Stat(g.in(h))
		return err == nil
	})
}

// Memory returns the bytes of memory that the group uses, page cache included.
func (g Group) Memory() (uint64, error) {
	for _, h := range g.hierarchies {
		file := "memory.usage_in_bytes"
		if h.V2 {
			file = "memory.current"
		}
		if !h.Has("memory") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(g.in(h), file))
		if err != nil {
			return 0, err
		}
		return strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
	}
	return 0, errors.New("no memory cgroup")
}

// in returns the group's folder in a hierarchy.
func (g Group) in(h Hierarchy) string { return filepath.Join(h.Mount, g.name) }

func write(path, value string) error {
	// Not os.WriteFile: these files can't be created or truncated.
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}
