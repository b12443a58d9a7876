package main

import (
	"context"
	"fmt"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/addons"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
)

// metricsServerTimeout is many times what it takes: metrics-server is ready when it has looked at the node twice, 10 s apart.
const metricsServerTimeout = 3 * time.Minute

func metricsServerCommand() command {
	return command{
		name:    "metrics-server",
		summary: "Build metrics-server and install it, for autoscalers that go by the use of processors and memory.",
		help: `
It returns when the API metrics.k8s.io is available. The first time metrics-server is built, which takes minutes; up does not need it and
does not build it.`,
		run: func(ctx context.Context, s session, _ []string) error {
			if _, running := s.cluster.InitPID(); !running {
				return notRunning(s.cluster)
			}
			_, folders, err := ensure(ctx, s, []pieces.Piece{pieces.MetricsServer})
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, metricsServerTimeout)
			defer cancel()
			began := time.Now()
			imported, err := addons.LoadMetricsServerImage(ctx, s.cluster, folders)
			if err != nil {
				return err
			}
			s.sayLoaded(addons.MetricsServerImage, imported, time.Since(began))
			admin, err := addons.Connect(s.cluster)
			if err != nil {
				return err
			}
			if err := addons.InstallMetricsServer(ctx, s.cluster, admin); err != nil {
				return fmt.Errorf("metrics-server: %w", err)
			}
			sayTime(s.log, "metrics.k8s.io available", time.Since(began).Seconds())
			return nil
		},
	}
}
