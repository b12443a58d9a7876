package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/headgate/headgate/test/cluster/internal/addons"
	"github.com/headgate/headgate/test/cluster/internal/filelock"
	"github.com/headgate/headgate/test/cluster/internal/hostcheck"
	"github.com/headgate/headgate/test/cluster/internal/layout"
	"github.com/headgate/headgate/test/cluster/internal/pieces"
	"github.com/headgate/headgate/test/cluster/internal/supervisor"
)

// Many times what it takes on an idle machine with two processors; see the README.
const (
	clusterTimeout      = 3 * time.Minute
	envoyGatewayTimeout = 5 * time.Minute
)

func upCommand() command {
	var withoutEnvoyGateway bool
	return command{
		name:    "up",
		summary: "Start the cluster, with Envoy Gateway, and build before what is missing.",
		help: `
It checks that a cluster can run here, installs the Debian packages runc and nftables if they are missing, builds what is not built
yet (the first time this takes a quarter of an hour on two processors), starts the cluster, and returns when Envoy Gateway is available
and its GatewayClass "envoy-gateway" accepted. On a cluster that runs it says so and returns. When it was interrupted, the next up goes on
where it ended.`,
		flags: func(flags *flag.FlagSet) {
			flags.BoolVar(&withoutEnvoyGateway, "without-envoy-gateway", false, "start Kubernetes and cluster DNS only")
		},
		run: func(ctx context.Context, s session, _ []string) error {
			lock, err := filelock.Acquire(ctx, s.cluster.Lock("up"), func() { fmt.Fprintln(s.log, "waiting for another up of this cluster") })
			if err != nil {
				return err
			}
			defer lock.Release()
			if err := isUp(ctx, s.cluster, !withoutEnvoyGateway); err == nil {
				fmt.Fprintf(s.out, "cluster %q is up\n", s.cluster.Name)
				return nil
			}
			if err := up(ctx, s, !withoutEnvoyGateway); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "cluster %q is up; KUBECONFIG=%s\n", s.cluster.Name, s.cluster.Kubeconfig())
			return nil
		},
	}
}

// isUp returns nil if the cluster runs and answers, and all that belongs to it is in order.
func isUp(ctx context.Context, cluster layout.Cluster, envoyGateway bool) error {
	if _, running := cluster.InitPID(); !running {
		return notRunning(cluster)
	}
	last, err := readTimings(cluster)
	if err != nil {
		return err
	}
	if last.DNS == 0 {
		return errors.New("its up is still at work, or was interrupted: `up` goes on with it")
	}
	admin, err := addons.Connect(cluster)
	if err != nil {
		return err
	}
	if err := addons.IsNodeReady(ctx, cluster, admin); err != nil {
		return err
	}
	if !envoyGateway {
		return nil
	}
	return addons.HasEnvoyGateway(ctx, admin)
}

// up goes through all steps. Each may have been done before, by an up that was interrupted.
func up(ctx context.Context, s session, envoyGateway bool) error {
	if err := check(ctx); err != nil {
		return err
	}
	if err := hostcheck.InstallPackages(s.log); err != nil {
		return err
	}
	needed := pieces.ForCluster()
	if envoyGateway {
		needed = append(needed, pieces.ForEnvoyGateway()...)
	}
	_, folders, err := ensure(ctx, s, needed)
	if err != nil {
		return err
	}
	times := timings{Started: time.Now(), began: time.Now()}
	if _, running := s.cluster.InitPID(); running {
		fmt.Fprintf(s.log, "cluster %q runs already: going on from there\n", s.cluster.Name)
		last, err := readTimings(s.cluster)
		if err != nil {
			return err
		}
		if last.began = times.began; !last.Started.IsZero() {
			times = last
		}
	} else if err := supervisor.Start(ctx, s.cluster, folders); err != nil {
		return fmt.Errorf("start cluster %q: %w", s.cluster.Name, err)
	}
	if err := times.write(s.cluster); err != nil {
		return err
	}
	if err := bringUp(ctx, s, folders, &times, envoyGateway); err != nil {
		return fmt.Errorf("cluster %q, whose logs are in %s: %w", s.cluster.Name, s.cluster.Path("log"), err)
	}
	return nil
}

// bringUp makes a cluster with a running process 1 complete, and tells how long it took.
func bringUp(ctx context.Context, s session, folders map[string]string, times *timings, envoyGateway bool) error {
	clusterCtx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	images := make(chan error, 1)
	go func() { images <- addons.LoadBaseImages(clusterCtx, s.cluster, folders) }()
	admin, err := addons.WaitForAPI(clusterCtx, s.cluster)
	if err != nil {
		return err
	}
	if err := times.record(s, &times.API, "API server ready"); err != nil {
		return err
	}
	if err := <-images; err != nil {
		return err
	}
	// After its image: a pod that finds none waits for seconds before it looks again.
	if err := addons.ApplyDNS(clusterCtx, s.cluster); err != nil {
		return err
	}
	if err := addons.WaitForNode(clusterCtx, s.cluster, admin); err != nil {
		return err
	}
	if err := times.record(s, &times.Node, "node Ready"); err != nil {
		return err
	}
	if envoyGateway {
		go func() { images <- addons.LoadEnvoyGatewayImages(clusterCtx, s.cluster, folders) }()
	}
	if err := addons.WaitForDNS(clusterCtx, s.cluster); err != nil {
		return err
	}
	if err := times.record(s, &times.DNS, "DNS answers"); err != nil {
		return err
	}
	if !envoyGateway {
		return nil
	}
	if err := <-images; err != nil {
		return err
	}
	gatewayCtx, cancel := context.WithTimeout(ctx, envoyGatewayTimeout)
	defer cancel()
	if err := addons.InstallEnvoyGateway(gatewayCtx, s.cluster, admin, folders); err != nil {
		return fmt.Errorf("Envoy Gateway: %w", err)
	}
	return times.record(s, &times.EnvoyGateway, "Envoy Gateway Available")
}

// record notes and tells how long this up took to get here, unless an earlier one got here before.
func (t *timings) record(s session, milestone *float64, what string) error {
	if *milestone == 0 {
		*milestone = time.Since(t.began).Seconds()
		sayTime(s.out, what, *milestone)
	}
	return t.write(s.cluster)
}

func sayTime(out io.Writer, what string, seconds float64) {
	fmt.Fprintf(out, "%s in %.1f s\n", what, seconds)
}
