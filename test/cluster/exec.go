package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/headgate/headgate/test/cluster/internal/environment"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/netns"
)

func execCommand() command {
	return command{
		name:    "exec",
		args:    "-- CMD [ARGS…]",
		summary: "Run a command in the cluster's network, with KUBECONFIG set and kubectl and helm in PATH.",
		help: `
The command reaches the addresses of Services, load balancers and pods. All else is as outside: files, working directory, user, input and
output, exit code, signals, and the environment but for what leads to another cluster or to a proxy. Names of Services are not resolved for
it: use addresses, or ask the server 10.96.0.10.

  cluster exec -- kubectl get pods --all-namespaces`,
		needs: 1, atLeast: true,
		run: func(_ context.Context, s session, args []string) error { return becomeCommand(s.cluster, args) },
	}
}

// becomeCommand replaces this process by the command, so that there is nothing in between that signals and exit codes could get lost in.
func becomeCommand(cluster layout.Cluster, args []string) error {
	init, running := cluster.InitPID()
	if !running {
		return notRunning(cluster)
	}
	inside := environment.For(cluster, cluster.KubeconfigInside(), os.Environ())
	if err := os.Setenv("PATH", environment.SearchPath(cluster, os.Getenv("PATH"))); err != nil {
		return err
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return exitError{127, err} // as a shell does
	}
	if err := netns.Enter(init); err != nil {
		return err
	}
	err = syscall.Exec(program, args, inside)
	return exitError{126, fmt.Errorf("run %s: %w", program, err)}
}

func notRunning(cluster layout.Cluster) error {
	return fmt.Errorf("cluster %q is not running: start it with `up`", cluster.Name)
}
