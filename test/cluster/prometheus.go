package main

import (
	"context"
	"fmt"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/addons"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
)

func prometheusCommand() command {
	return command{
		name:    "prometheus",
		summary: "Build Prometheus, load its image into the cluster, and print the image's name.",
		help: `
For tests that deploy one. It finds what to scrape by DNS, files and HTTP, and static configuration: it has none of the other discoveries,
and no web pages. The first time it is built, which takes minutes; up does not need it and does not build it.`,
		run: func(ctx context.Context, s session, _ []string) error {
			if _, running := s.cluster.InitPID(); !running {
				return notRunning(s.cluster)
			}
			_, folders, err := ensure(ctx, s, []pieces.Piece{pieces.Prometheus})
			if err != nil {
				return err
			}
			began := time.Now()
			imported, err := addons.LoadPrometheusImage(ctx, s.cluster, folders)
			if err != nil {
				return err
			}
			s.sayLoaded(addons.PrometheusImage, imported, time.Since(began))
			fmt.Fprintln(s.out, addons.PrometheusImage)
			return nil
		},
	}
}
