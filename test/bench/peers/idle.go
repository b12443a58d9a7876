package main

import (
	"context"
	"time"

	"github.com/headgate/headgate/test/bench/meter"
)

const (
	// idleTime is how long is measured, and sampleTime how long the kubelet may take for a sample.
	idleTime, sampleTime = time.Minute, time.Minute
	// restTime is for how long a tool has had nothing to do before.
	restTime = 20 * time.Second
)

// idle is what a tool costs while nothing happens.
type idle struct {
	Contender string `json:"contender"`
	Services  int    `json:"services"`
	// Requests are those to the API server a minute, by their kind, without watches.
	Requests map[meter.Kind]float64 `json:"requestsPerMinute"`
	// CPU is in percent of one core, and Memory, the working set, in bytes; both for all pods together.
	CPU    float64 `json:"cpuPercent"`
	Memory float64 `json:"memoryBytes"`
	Pods   int     `json:"pods"`
}

// measureIdle lets a minute pass.
func (b *bench) measureIdle(ctx context.Context, c contender, services int, out *results) error {
	b.say("%s: a minute with %d settled services and nothing to do", c.title, services)
	operator, err := meter.New(b.Cluster, c.tool.seat().namespace, c.tool.seat().account)
	if err != nil {
		return err
	}
	if err := operator.CountRequests(ctx); err != nil {
		return err
	}
	defer func() { _ = operator.StopCounting(context.WithoutCancel(ctx)) }() //nolint:errcheck // schemas without requests do no harm
	began, err := operator.UsagesFrom(ctx, time.Now().Add(restTime), restTime+sampleTime)
	if err != nil {
		return err
	}
	start := time.Now()
	before, err := operator.Requests(ctx)
	if err != nil {
		return err
	}
	ended, err := operator.UsagesFrom(ctx, meter.Latest(began).Add(idleTime), idleTime+sampleTime)
	if err != nil {
		return err
	}
	after, err := operator.Requests(ctx)
	if err != nil {
		return err
	}
	minutes := time.Since(start).Minutes()
	counted, err := meter.Between(before, after)
	if err != nil {
		return err
	}
	costs, err := meter.PodCosts(began, ended)
	if err != nil {
		return err
	}
	found := idle{Contender: c.name, Services: services, Requests: map[meter.Kind]float64{}, Pods: len(costs)}
	for kind, count := range counted {
		found.Requests[kind] = float64(count) / minutes
	}
	for _, pod := range costs {
		found.CPU += pod.Percent
		found.Memory += pod.Memory
	}
	out.Idle = append(out.Idle, found)
	b.say("%s: requests a minute: %.0f reads, %.0f writes, %.0f events, %.0f for its lease; %.2f %% of a core, %.0f MiB", c.title,
		found.Requests[meter.Reads], found.Requests[meter.Writes], found.Requests[meter.Events], found.Requests[meter.Lease], found.CPU, found.Memory/(1<<20))
	return nil
}
