// Package supervisor starts and ends clusters, from the outside.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/filelock"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
	"github.com/headgate/headgate/test/cluster/internal/wait"
)

// The names of the hidden subcommands by which this program runs itself.
const (
	SuperviseCommand = "supervise"
	InitCommand      = "init"
)

// Start begins a cluster from nothing: what is left of an earlier one is removed. folders are the built pieces.
// It returns when the cluster has its process 1, long before the cluster is ready.
func Start(ctx context.Context, cluster layout.Cluster, folders map[string]string) error {
	lock, err := lockStart(ctx, cluster)
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := remove(ctx, cluster); err != nil {
		return err
	}
	if err := fill(cluster, folders); err != nil {
		return fmt.Errorf("prepare the state folder: %w", err)
	}
	return launch(ctx, cluster, lock)
}

// lockStart takes the lock that is held while a cluster is started or ended.
// A new supervisor inherits it until it is in its cgroup: so whoever has the lock finds a supervisor by its cgroup, or there is none.
func lockStart(ctx context.Context, cluster layout.Cluster) (*filelock.Lock, error) {
	return filelock.Acquire(ctx, cluster.Lock("start"), nil)
}

// fill makes the state folder with all programs in it, as links to the cache: the cache may be pruned while the cluster runs.
func fill(cluster layout.Cluster, folders map[string]string) error {
	for _, dir := range []string{cluster.Bin("cni"), cluster.Tools(), cluster.Path("log"), cluster.Temp()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for piece, to := range map[string]string{
		pieces.Kubernetes.Name: cluster.Bin(""),
		pieces.Containerd.Name: cluster.Bin(""),
		pieces.CNI.Name:        cluster.Bin("cni"),
		pieces.Helm.Name:       cluster.Tools(),
	} {
		if err := linkFiles(folders[piece], to); err != nil {
			return err
		}
	}
	if err := os.Symlink("../bin/kubernetes", filepath.Join(cluster.Tools(), "kubectl")); err != nil {
		return err
	}
	// The running program may be a temporary file of `go run`, and it is needed for as long as the cluster lives.
	return copyFile("/proc/self/exe", self(cluster))
}

// self is this program as the cluster runs it.
func self(cluster layout.Cluster) string { return cluster.Bin("headgate-cluster") }

func linkFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		source, target := filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())
		if link, err := os.Readlink(source); err == nil {
			err = os.Symlink(link, target)
			if err != nil {
				return err
			}
			continue
		}
		if os.Link(source, target) == nil {
			continue
		}
		if err := copyFile(source, target); err != nil { // another file system
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if closeErr := target.Close(); err == nil {
		err = closeErr
	}
	return err
}

// launchTimeout is how long the supervisor may take to make the namespaces.
const launchTimeout = 20 * time.Second

// launch starts the supervisor as a daemon that outlives this process and the terminal, and returns when process 1 of the cluster is there.
func launch(ctx context.Context, cluster layout.Cluster, lock *filelock.Lock) error {
	output, err := os.Create(cluster.Log(SuperviseCommand))
	if err != nil {
		return err
	}
	defer output.Close()
	cmd := exec.Command(self(cluster), SuperviseCommand, "--name", cluster.Name)
	cmd.Dir = "/" // keeps no folder of the user's busy
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{lock.File}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	return wait.Until(ctx, 10*time.Millisecond, func(context.Context) error {
		select {
		case err := <-ended:
			return wait.Stop(fmt.Errorf("the supervisor ended (%w):\n%s", err, LastLog(cluster)))
		default:
		}
		if _, running := cluster.InitPID(); !running {
			return errors.New("the supervisor has not started process 1 yet")
		}
		return nil
	})
}

// LastLog returns the end of what the supervisor and process 1 have to say.
func LastLog(cluster layout.Cluster) string {
	content, err := os.ReadFile(cluster.Log(SuperviseCommand))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
