package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

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
output, exit code, signals. Names of Services are not resolved for it: use addresses, or ask the server 10.96.0.10.

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
	if err := os.Setenv("PATH", cluster.Tools()+":"+os.Getenv("PATH")); err != nil {
		return err
	}
	program, err := exec.LookPath(args[0])
	if err != nil {
		return exitError{127, err} // as a shell does
	}
	if err := netns.Enter(init); err != nil {
		return err
	}
	err = syscall.Exec(program, args, commandEnvironment(cluster, os.Environ()))
	return exitError{126, fmt.Errorf("run %s: %w", program, err)}
}

// commandEnvironment adds what makes the cluster found, and keeps HTTP clients from asking a proxy for its addresses.
func commandEnvironment(cluster layout.Cluster, environment []string) []string {
	direct := strings.Join([]string{layout.Node.String(), layout.Pods.String(), layout.Services.String(), layout.LoadBalancers.String(), "127.0.0.0/8", "localhost", ".svc", ".cluster.local"}, ",")
	return append(environment,
		"KUBECONFIG="+cluster.KubeconfigInside(),
		nameVariable+"="+cluster.Name,
		"NO_PROXY="+direct, "no_proxy="+direct)
}

func notRunning(cluster layout.Cluster) error {
	return fmt.Errorf("cluster %q is not running: start it with `up`", cluster.Name)
}
