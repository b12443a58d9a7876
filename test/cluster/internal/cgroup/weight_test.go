package cgroup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAGroupCountsAsSeveralProcesses(t *testing.T) {
	group, err := Named(fmt.Sprintf("headgate-weight-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	if err := group.Create(); err != nil {
		t.Skipf("no group can be made: %v", err)
	}
	t.Cleanup(func() {
		if err := group.End(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, h := range group.hierarchies {
		file, want := "cpu.shares", "65536"
		if h.V2 {
			file, want = "cpu.weight", "6400"
		}
		if !h.Has("cpu") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(group.in(h), file))
		if got := strings.TrimSpace(string(content)); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %s", file, got, err, want)
		}
	}
}
