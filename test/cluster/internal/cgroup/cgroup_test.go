package cgroup

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseMountinfo(t *testing.T) {
	for name, test := range map[string]struct {
		table string
		want  []Hierarchy
	}{
		"v1 with a tree for each set of controllers": {
			table: `
30 24 0:26 / /sys/fs/cgroup rw - tmpfs none rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup none rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw shared:10 - cgroup none rw,xattr,release_agent=/lib/agent,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup none rw,cpuset,clone_children`,
			want: []Hierarchy{
				{Mount: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}},
				{Mount: "/sys/fs/cgroup/systemd", Controllers: []string{"name=systemd"}},
				{Mount: "/sys/fs/cgroup/cpuset", Controllers: []string{"cpuset"}},
			},
		},
		"v1 beside v2: v1 has the controllers": {
			table: `
31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup none rw,memory
34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 none rw`,
			want: []Hierarchy{{Mount: "/sys/fs/cgroup/memory", Controllers: []string{"memory"}}},
		},
		"v2 alone": {
			table: `30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 none rw,nsdelegate,memory_recursiveprot`,
			want:  []Hierarchy{{Mount: "/sys/fs/cgroup", V2: true}},
		},
		"a part of a tree, mounted for a container, is not the tree": {
			table: `31 30 0:27 /docker/123 /var/lib/x rw - cgroup none rw,memory`,
		},
		"none": {table: `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseMountinfo(strings.NewReader(test.table))
			if err != nil {
				t.Fatal(err)
			}
			if len(got)+len(test.want) > 0 && !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestInGroup(t *testing.T) {
	for content, want := range map[string]bool{
		"4:memory:/headgate-a\n0::/\n":     true,
		"4:memory:/\n2:pids:/headgate-a\n": true,
		"0::/headgate-a/supervisor\n":      true,
		"4:memory:/headgate-ab\n":          false,
		"4:memory:/x/headgate-a\n":         false,
		"":                                 false,
	} {
		if got := inGroup(content, "headgate-a"); got != want {
			t.Errorf("%q: got %v, want %v", content, got, want)
		}
	}
}
