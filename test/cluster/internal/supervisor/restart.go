package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/node"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// Restart kills a component and waits until process 1 has started it again. It returns the old and the new process id.
func Restart(ctx context.Context, cluster layout.Cluster, component string) (before, after int, err error) {
	if !slices.Contains(node.Components, component) {
		return 0, 0, fmt.Errorf("there is no component %q; there are %s", component, strings.Join(node.Components, ", "))
	}
	before, err = find(cluster, component)
	if err != nil {
		return 0, 0, err
	}
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		return 0, 0, fmt.Errorf("kill %s (process %d): %w", component, before, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = wait.Until(ctx, 20*time.Millisecond, func(context.Context) error {
		if after, err = find(cluster, component); err == nil && after == before {
			return fmt.Errorf("%s has not ended yet", component)
		}
		return err
	})
	return before, after, err
}

// find returns the process id of a component: a child of process 1 that was started by the component's name.
func find(cluster layout.Cluster, component string) (int, error) {
	init, running := cluster.InitPID()
	if !running {
		return 0, wait.Stop(fmt.Errorf("cluster %q is not running", cluster.Name))
	}
	pids, err := cluster.Group.Processes()
	if err != nil {
		return 0, wait.Stop(err)
	}
	for _, pid := range pids {
		if parent(pid) != init {
			continue
		}
		commandLine, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // it has just ended
		}
		if program, _, _ := bytes.Cut(commandLine, []byte{0}); string(program) == cluster.Bin(component) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("%s does not run at the moment", component)
}

// parent returns the process id of a process's parent, 0 if there is no such process.
func parent(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			id, _ := strconv.Atoi(strings.TrimSpace(value))
			return id
		}
	}
	return 0
}
