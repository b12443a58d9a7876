package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

const (
	primary = "primary"
	backup  = "backup"
	// rate is in calls per second.
	rate = 200
	// maxSwitches is the most that the API allows. A switch away from a dead backend may exceed it.
	maxSwitches = 60
	// cleanUpTime bounds the request to remove the namespace.
	cleanUpTime = 30 * time.Second
)

func other(app string) string {
	if app == primary {
		return backup
	}
	return primary
}

// bench is one shape under measurement.
type bench struct {
	*scene.Cluster
	*listener
	space string
	exs   *v1alpha1.ExposedService
	live  *load.Run
}

// runShape sets the stage for one shape, and measures failovers on it. What was measured before an
// error is returned with it.
func runShape(ctx context.Context, strategy v1alpha1.FailoverStrategy, failovers int, verbose bool) (result, error) {
	out := result{strategy: strategy}
	cluster, err := scene.Connect()
	if err != nil {
		return out, err
	}
	b := &bench{Cluster: cluster, space: "bench-failover-" + strings.ToLower(string(strategy))}
	defer b.cleanUp()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := b.setUp(ctx, strategy); err != nil {
		return out, err
	}

	out.load[0] = loadAverage()
	// A hand-back that comes by itself while the order is on its way spoils a measurement.
	for attempt := 0; len(out.failovers) < failovers && attempt < 2*failovers; attempt++ {
		var f failover
		if f, err = b.failOver(ctx); errors.Is(err, errDisturbed) {
			out.disturbed++
			err = nil
			continue
		}
		if err != nil {
			break
		}
		out.failovers = append(out.failovers, f)
		if verbose {
			fmt.Fprintf(os.Stderr, "%s %3d: %s\n", strategy, len(out.failovers), &f)
		}
	}
	out.addCalls(b.live.Stop())
	out.load[1] = loadAverage()
	return out, err
}

func (b *bench) setUp(ctx context.Context, strategy v1alpha1.FailoverStrategy) error {
	if err := b.MakeNamespace(ctx, b.space); err != nil {
		return err
	}
	if err := b.Deploy(ctx, b.space, scene.App{Name: primary, Replicas: 1}, scene.App{Name: backup, Replicas: 1}); err != nil {
		return err
	}
	b.exs = scene.ExposedService(b.space, "greeter", primary, backup)
	b.exs.Spec.Failover = &v1alpha1.Failover{
		Strategy: &strategy, MaxSwitchesPerHour: ptr.To(int32(maxSwitches)),
		Recovery: &v1alpha1.Recovery{HealthyFor: ptr.To(v1alpha1.LongDuration("1s")), Ramp: []int32{100}},
	}
	if err := b.Put(ctx, b.exs); err != nil {
		return err
	}
	var err error
	if b.listener, err = listen(ctx, b.space, b.Scheme()); err != nil {
		return err
	}
	if _, err := b.untilSettled(ctx); err != nil {
		return err
	}
	if err := b.Get(ctx, keyOf(b.exs), b.exs); err != nil {
		return err
	}
	config, err := scene.Load(b.exs, rate)
	if err != nil {
		return err
	}
	// Envoy may take a moment to listen after the Gateway has its address.
	config.WaitForReady, config.Timeout = true, 5*time.Second
	b.live, err = load.Start(ctx, config)
	return err
}

// cleanUp ends the calls and removes the namespace, whose end it does not wait for.
func (b *bench) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpTime)
	defer cancel()
	if b.live != nil {
		b.live.Stop()
	}
	if err := b.RemoveNamespace(ctx, b.space); err != nil {
		fmt.Fprintf(os.Stderr, "remove namespace %s: %v\n", b.space, err)
	}
}

// loadAverage is how busy the machine is: processes that want to run, over the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
