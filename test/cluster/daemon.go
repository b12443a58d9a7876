package main

import (
	"context"

	"github.com/headgate/headgate/test/cluster/internal/node"
	"github.com/headgate/headgate/test/cluster/internal/supervisor"
)

func superviseCommand() command {
	return command{
		name:    supervisor.SuperviseCommand,
		summary: "Be the cluster's daemon on the host.",
		help:    "Run by up.",
		hidden:  true,
		run:     func(_ context.Context, s session, _ []string) error { return supervisor.Supervise(s.cluster) },
	}
}

func initCommand() command {
	return command{
		name:    supervisor.InitCommand,
		summary: "Be process 1 of the cluster.",
		help:    "Run by the daemon.",
		hidden:  true,
		run: func(_ context.Context, s session, _ []string) error {
			forwarder, lifeline, err := supervisor.Inherited()
			if err != nil {
				return err
			}
			return node.Run(s.cluster, forwarder, lifeline)
		},
	}
}
