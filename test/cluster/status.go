package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/addons"
	"github.com/headgate/headgate/test/cluster/internal/supervisor"
)

func statusCommand() command {
	return command{
		name:    "status",
		summary: "Tell what runs. Exits with 0 only if the cluster is up.",
		help:    "A cluster is up if its API server answers and its node is ready. Envoy Gateway is told of but does not count.",
		run:     func(ctx context.Context, s session, _ []string) error { return status(ctx, s) },
	}
}

func status(ctx context.Context, s session) error {
	init, running := s.cluster.InitPID()
	if !running {
		fmt.Fprintf(s.out, "cluster %q is not running\n", s.cluster.Name)
		if supervisor.Left(s.cluster) {
			fmt.Fprintln(s.out, "something of an earlier one is left: `down` removes it, and so does the next `up`")
		}
		return exitError{code: 1}
	}
	problem := isUp(ctx, s.cluster, false)
	if problem == nil {
		fmt.Fprintf(s.out, "cluster %q is up\n", s.cluster.Name)
	} else {
		fmt.Fprintf(s.out, "cluster %q runs but is not up: %v\n", s.cluster.Name, problem)
	}
	if last, err := readTimings(s.cluster); err == nil && !last.Started.IsZero() {
		fmt.Fprintf(s.out, "started:     %s, %s ago\n", last.Started.Format(time.DateTime), time.Since(last.Started).Round(time.Second))
		fmt.Fprintf(s.out, "took:        API server ready %s, node Ready %s, DNS answers %s, Envoy Gateway Available %s\n",
			seconds(last.API), seconds(last.Node), seconds(last.DNS), seconds(last.EnvoyGateway))
	}
	if admin, err := addons.Connect(s.cluster); err == nil {
		gateway := "available"
		if err := addons.HasEnvoyGateway(ctx, admin); err != nil {
			gateway = "not available"
		}
		fmt.Fprintf(s.out, "Envoy Gateway: %s\n", gateway)
	}
	pids, err := s.cluster.Group.Processes()
	if err != nil {
		return err
	}
	memory, err := s.cluster.Group.Memory()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "processes:   %d, process 1 is %d on the host\n", len(pids), init)
	fmt.Fprintf(s.out, "memory:      %d MiB, page cache included\n", memory>>20)
	fmt.Fprintf(s.out, "kubeconfig:  %s\n", s.cluster.Kubeconfig())
	fmt.Fprintf(s.out, "logs:        %s\n", s.cluster.Path("log"))
	images, err := addons.Images(s.cluster)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, "images:")
	for _, name := range slices.Sorted(maps.Keys(images)) {
		fmt.Fprintf(s.out, "  %s %.12s\n", name, images[name])
	}
	if problem != nil {
		return exitError{code: 1}
	}
	return nil
}

func seconds(value float64) string {
	if value == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", value)
}
