package main

import (
	"context"
	"fmt"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/supervisor"
)

// downTimeout is how long the kernel may take to end a cluster's processes.
const downTimeout = time.Minute

func downCommand() command {
	return command{
		name:    "down",
		summary: "End the cluster, and remove all that it left.",
		help: `
Works in whatever condition the cluster is, also after a crash. Only processes in the cluster's own cgroup are killed. Processes started by
exec are not in it and go on, without a network. What was built stays in the cache.`,
		run: func(ctx context.Context, s session, _ []string) error {
			ctx, cancel := context.WithTimeout(ctx, downTimeout)
			defer cancel()
			began := time.Now()
			found, err := supervisor.End(ctx, s.cluster)
			if err != nil {
				return err
			}
			if !found {
				fmt.Fprintf(s.log, "cluster %q was not there\n", s.cluster.Name)
				return nil
			}
			fmt.Fprintf(s.log, "cluster %q ended in %.1f s\n", s.cluster.Name, time.Since(began).Seconds())
			return nil
		},
	}
}
