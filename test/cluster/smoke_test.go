package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/supervisor"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// TestClusterComesUpAndLeavesNothing starts a cluster beside any that may run, uses it, kills its supervisor, and looks for what is left.
func TestClusterComesUpAndLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster: not with -short")
	}
	program := filepath.Join(t.TempDir(), "cluster")
	runProgram(t, "go", "build", "-o", program, ".")
	if output, err := exec.Command(program, "check").CombinedOutput(); err != nil {
		t.Skipf("%s", output)
	}
	t.Setenv(nameVariable, "smoke")
	t.Cleanup(func() { runProgram(t, program, "down") })
	cluster, err := layout.Find("smoke")
	if err != nil {
		t.Fatal(err)
	}
	runProgram(t, program, "down") // what an earlier run may have left

	t.Log(runProgram(t, program, "up", "--without-envoy-gateway"))
	if again := runProgram(t, program, "up", "--without-envoy-gateway"); !strings.Contains(again, "is up") {
		t.Errorf("a second up says %q", again)
	}
	runProgram(t, program, "status")

	t.Run("exec runs in the cluster's network and passes input, output and exit code", func(t *testing.T) {
		cmd := exec.Command(program, "exec", "--", "sh", "-c", "kubectl get node smoke --output name && cat && exit 7")
		cmd.Stdin = strings.NewReader("input")
		output, err := cmd.Output()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 7 || string(output) != "node/smoke\ninput" {
			t.Errorf("got %q, %v", output, err)
		}
	})
	t.Run("what the user's environment has for other clusters leads exec nowhere else", func(t *testing.T) { expectOwnEnvironment(t, program) })
	t.Run("the kubeconfig works on the host", func(t *testing.T) {
		kubeconfig := strings.TrimSpace(runProgram(t, program, "kubeconfig"))
		runProgram(t, filepath.Join(cluster.Tools(), "kubectl"), "--kubeconfig", kubeconfig, "get", "--raw", "/readyz")
	})
	t.Run("an address is published when it works", func(t *testing.T) { expectNewAddressesWork(t, cluster, program) })
	t.Run("an image is loaded once", func(t *testing.T) {
		for _, want := range []string{"loaded", "unchanged"} {
			if said := runProgram(t, program, "load", "example.test/pause:1", "./pieces/pause"); !strings.Contains(said, want) {
				t.Errorf("load says %q, want %q", said, want)
			}
		}
	})
	t.Run("the API server comes back", func(t *testing.T) {
		runProgram(t, program, "restart", "kube-apiserver")
		until(t, func(context.Context) error { return exec.Command(program, "status").Run() })
	})
	t.Run("killing the supervisor ends everything, and down removes the rest", func(t *testing.T) {
		pid, running := cluster.InitPID()
		if !running {
			t.Fatal("the cluster is not running")
		}
		if err := syscall.Kill(parentOf(t, pid), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, func(context.Context) error {
			if pids, err := cluster.Group.Processes(); err != nil || len(pids) > 0 {
				return errors.Join(err, errors.New("processes are left"))
			}
			return nil
		})
		if err := exec.Command(program, "status").Run(); err == nil {
			t.Error("status says that the cluster is up")
		}
		runProgram(t, program, "down")
		expectNothing(t, cluster)
	})
}

// expectNothing looks for what the cluster might have left: its folders, mounts and processes.
func expectNothing(t *testing.T, cluster layout.Cluster) {
	t.Helper()
	if supervisor.Left(cluster) {
		t.Error("the state folder or a cgroup is left")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mounts, []byte(cluster.State)) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
	commandLines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commandLines {
		content, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(cluster.State+"/")) {
			t.Errorf("a process is left: %s", bytes.ReplaceAll(content, []byte{0}, []byte(" ")))
		}
	}
}

// runProgram returns all that the program says, and fails the test if it fails.
func runProgram(t *testing.T, program string, args ...string) string {
	t.Helper()
	output, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, output)
	}
	return string(output)
}

func until(t *testing.T, attempt func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := wait.Until(ctx, 50*time.Millisecond, attempt); err != nil {
		t.Fatal(err)
	}
}

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			parent, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return parent
		}
	}
	t.Fatalf("process %d has no parent", pid)
	return 0
}
