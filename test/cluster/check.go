package main

import (
	"context"
	"fmt"

	"github.com/headgate/headgate/test/cluster/internal/hostcheck"
)

// cannotRun is the exit code for a machine on which no cluster can run, so that a test can skip and a script can choose another way.
const cannotRun = 3

func checkCommand() command {
	return command{
		name:    "check",
		summary: "Exit with 0 if a cluster can run here, with 3 and the reason if not.",
		help:    "It needs Linux, root, cgroups, namespaces and nftables. The check takes a fraction of a second and leaves nothing behind.",
		run:     func(ctx context.Context, _ session, _ []string) error { return check(ctx) },
	}
}

func check(ctx context.Context) error {
	if err := hostcheck.Check(ctx); err != nil {
		return exitError{cannotRun, fmt.Errorf("No cluster can run here because %w: use a cluster of your own instead, with CLUSTER=current and KUBECONFIG set.", err)}
	}
	return nil
}

func probeCommand() command {
	return command{
		name:    hostcheck.ProbeCommand,
		summary: "Try out what a cluster does, in fresh namespaces.",
		help:    "Run by check.",
		hidden:  true,
		run:     func(context.Context, session, []string) error { return hostcheck.Probe() },
	}
}
