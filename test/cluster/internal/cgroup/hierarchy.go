// Package cgroup makes a group of processes that can be found, counted and ended as one, on cgroup v1 and v2.
package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Hierarchy is one mounted tree of control groups: one for each set of controllers on v1, a single one on v2.
type Hierarchy struct {
	Mount string
	// Controllers are what the tree controls, e.g. "cpu", "cpuacct"; "name=systemd" for a v1 tree without any.
	Controllers []string
	V2          bool
}

// Has reports whether the tree has the controller.
func (h Hierarchy) Has(controller string) bool { return slices.Contains(h.Controllers, controller) }

// Hierarchies lists the machine's trees. Where v1 is mounted beside v2, v1 has the controllers and v2 is left out.
func Hierarchies() ([]Hierarchy, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // not Linux
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	found, err := parseMountinfo(file)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].V2 { // unlike v1's, its mount options do not tell
			content, err := os.ReadFile(filepath.Join(found[i].Mount, "cgroup.controllers"))
			if err != nil {
				return nil, err
			}
			found[i].Controllers = strings.Fields(string(content))
		}
	}
	return found, nil
}

// The mount options of a v1 tree are its controllers and these.
var notControllers = []string{"rw", "ro", "xattr", "noprefix", "clone_children", "none", "release_agent"}

// parseMountinfo reads the format of proc(5), section /proc/pid/mountinfo. A line is
// "36 35 98:0 /root /mount options [optional fields] - type source super-options".
func parseMountinfo(r io.Reader) ([]Hierarchy, error) {
	var v1, v2 []Hierarchy
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		place, filesystem, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(place), strings.Fields(filesystem)
		if !ok || len(left) < 5 || len(right) < 3 || left[3] != "/" {
			continue // a tree that shows only a part of itself is someone else's view
		}
		switch right[0] {
		case "cgroup2":
			v2 = append(v2, Hierarchy{Mount: left[4], V2: true})
		case "cgroup":
			v1 = append(v1, Hierarchy{Mount: left[4], Controllers: controllers(right[2])})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the mount table: %w", err)
	}
	if len(v1) > 0 {
		return slices.CompactFunc(v1, func(a, b Hierarchy) bool { return slices.Equal(a.Controllers, b.Controllers) }), nil
	}
	return v2[:min(1, len(v2))], nil
}

func controllers(superOptions string) []string {
	return slices.DeleteFunc(strings.Split(superOptions, ","), func(option string) bool {
		name, _, _ := strings.Cut(option, "=")
		return slices.Contains(notControllers, name)
	})
}
