package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/headgate/headgate/test/bench/scale/rig"
)

const (
	// shortQuiet is how long an operator asks for nothing before it is called at rest, and longQuiet where something may be put
	// off: the fallback's ClusterIP by three seconds, a change of the fallback by five.
	shortQuiet = 2 * time.Second
	longQuiet  = 7 * time.Second
	// collections is of how many garbage collections the heap in use is the least.
	collections = 3
)

// subject is an operator to be measured.
type subject struct {
	rig.Source

	binary, folder string
	// flags are its own.
	flags []string
}

// bench is one operator with one number of ExposedServices.
type bench struct {
	options
	subject
	result

	count    int
	server   *rig.APIServer
	plane    *rig.DataPlane
	fleet    *rig.Fleet
	routes   rig.Routes
	operator *rig.Operator
	log      string
	// down are those whose primaries have been taken away.
	down []int
}

// measure goes through all measurements, on an API server of their own. What was measured before an error is returned with it.
func measure(ctx context.Context, o options, s subject, count int) (rows []row, err error) {
	folder, err := os.MkdirTemp(s.folder, "run-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, subject: s, count: count, routes: rig.NewRoutes(), log: filepath.Join(folder, "operator.log")}
	say("starting the API server")
	if b.server, err = rig.StartAPIServer(ctx, s.Source, folder); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.server.Stop()) }()
	following, stop := context.WithCancel(ctx)
	defer stop()
	if b.plane, err = b.server.StartDataPlane(following, b.routes.Observe); err != nil {
		return nil, err
	}
	if b.fleet, err = b.server.NewFleet(ctx); err != nil {
		return nil, err
	}
	b.fleet.Headless = b.headless
	defer func() {
		if b.operator != nil {
			err = errors.Join(err, b.operator.Stop())
		}
	}()
	for _, step := range b.steps() {
		say("%s", step.name)
		if err := step.do(ctx); err != nil {
			return b.rows, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return b.rows, b.plane.Err()
}

// step is one measurement.
type step struct {
	name string
	do   func(context.Context) error
}

// steps are the measurements in their order.
func (b *bench) steps() []step {
	steps := []step{
		{"starting the operator", b.begin},
		{"exposing", b.expose},
		{"at rest", b.rest},
		{"failovers one at a time", b.failOneByOne},
		{"handing back", b.handBack},
		{"failovers at once", b.failAtOnce},
		{"handing back", b.handBack},
		{"restart", b.restart},
	}
	if b.others > 0 {
		steps = append(steps, step{"EndpointSlices of others", b.addOthers})
	}
	return steps
}

// within bounds a wait.
func (b *bench) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, b.patience, fmt.Errorf("not within %s", b.patience))
}

// start starts the operator.
func (b *bench) start(ctx context.Context) error {
	operator, err := rig.StartOperator(ctx, rig.Start{Binary: b.binary, Kubeconfig: b.server.Kubeconfig, Log: b.log, Args: b.flags})
	if err != nil {
		return err
	}
	b.operator = operator
	return nil
}

func (b *bench) untilQuiet(ctx context.Context, quiet time.Duration) (time.Time, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	return b.server.Requests.UntilQuiet(ctx, quiet)
}

// usage is what something has taken.
type usage struct {
	// requests are the operator's.
	requests rig.Requests
	// operator and server are processor times: of the operator, and of the API server for whoever asked it.
	operator, server time.Duration
}

// spent is all that the operator and the API server have been used for so far.
func (b *bench) spent(ctx context.Context) (usage, error) {
	requests, err := b.server.Requests.Counts()
	if err != nil {
		return usage{}, err
	}
	own, err := b.operator.Usage()
	if err != nil {
		return usage{}, err
	}
	server, err := b.server.CPU(ctx)
	return usage{requests: requests, operator: own.CPU, server: server}, err
}

// work lets something happen, waits until the operator is at rest again, and says what that has cost.
func (b *bench) work(ctx context.Context, quiet time.Duration, happen func(context.Context) error) (usage, error) {
	before, err := b.spent(ctx)
	if err != nil {
		return usage{}, err
	}
	bounded, cancel := b.within(ctx)
	defer cancel()
	if err := happen(bounded); err != nil {
		return usage{}, err
	}
	if _, err := b.untilQuiet(ctx, quiet); err != nil {
		return usage{}, err
	}
	after, err := b.spent(ctx)
	return usage{
		requests: after.requests.Since(before.requests),
		operator: after.operator - before.operator,
		server:   after.server - before.server,
	}, err
}

// addProcessorTime adds what each of count objects took; 1: all together.
func (b *bench) addProcessorTime(section string, used usage, count int) {
	format, suffix := milliseconds, " for each"
	if count == 1 {
		format, suffix = seconds, ""
	}
	b.add(section, "processor time"+suffix, "%s", format(used.operator/time.Duration(count)))
	b.add(section, "processor time of the API server"+suffix, "%s", format(used.server/time.Duration(count)))
}

// begin starts the operator beside Services that nobody exposes yet.
func (b *bench) begin(ctx context.Context) error {
	if err := b.fleet.AddBackends(ctx, 0, b.count); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	waiting, cancel := b.within(ctx)
	defer cancel()
	if err := b.operator.UntilReady(waiting); err != nil {
		return err
	}
	if _, err := b.untilQuiet(ctx, shortQuiet); err != nil {
		return err
	}
	return b.addMemory("new ExposedServices", "before there are any")
}

func (b *bench) addMemory(section, when string) error {
	own, err := b.operator.Usage()
	if err != nil {
		return err
	}
	b.add(section, "memory "+when+": RSS (of it the program's file; peak)", "%s (%s; %s)",
		mebibytes(own.RSS), mebibytes(own.File), mebibytes(own.Peak))
	return nil
}

// expose makes the ExposedServices, all at once.
func (b *bench) expose(ctx context.Context) error {
	const section = "new ExposedServices"
	watching, stop := context.WithCancel(ctx)
	defer stop()
	readiness, err := b.server.FollowReadiness(watching)
	if err != nil {
		return err
	}
	var created time.Duration
	var ready []time.Duration
	spent, err := b.work(ctx, longQuiet, func(ctx context.Context) error {
		began := time.Now()
		if err := b.fleet.Expose(ctx, 0, b.count); err != nil {
			return err
		}
		created = time.Since(began)
		since, err := readiness.Until(ctx, b.all(), true)
		for _, t := range since {
			ready = append(ready, t.Sub(began))
		}
		if err == nil && b.ownSlices {
			err = b.fleet.AddOwnSlices(ctx, 0, b.count)
		}
		return err
	})
	if err != nil {
		return err
	}
	b.add(section, "written within", "%s", seconds(created))
	b.add(section, "half of them Ready after", "%s", seconds(percentile(ready, 0.5)))
	b.add(section, "all Ready after", "%s", seconds(percentile(ready, 1)))
	b.addProcessorTime(section, spent, b.count)
	if err := b.addMemory(section, "when all are Ready"); err != nil {
		return err
	}
	b.addRequests("requests for each new ExposedService", spent.requests, b.count)
	return nil
}

// rest watches the operator while nothing happens.
func (b *bench) rest(ctx context.Context) error {
	const section = "at rest"
	spent, err := b.work(ctx, 0, func(context.Context) error {
		window := time.NewTimer(b.idle)
		defer window.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-window.C:
			return nil
		}
	})
	if err != nil {
		return err
	}
	perMinute := time.Minute.Seconds() / b.idle.Seconds()
	b.add(section, "requests a minute", "%.1f", perMinute*float64(spent.requests.Sum(rig.All)))
	b.add(section, "processor time a minute", "%s", seconds(time.Duration(perMinute*float64(spent.operator))))
	if err := b.addMemory(section, "afterwards"); err != nil {
		return err
	}
	// The collection that this waits for takes garbage out of the way, and comes last therefore.
	waiting, cancel := b.within(ctx)
	defer cancel()
	heap, err := b.operator.LiveHeap(waiting, collections)
	if err != nil {
		return err
	}
	b.add(section, "heap in use", "%s", mebibytes(int64(heap)))
	return nil
}

// all are the numbers of all ExposedServices.
func (b *bench) all() []int { return b.spread(b.count) }

// spread are some numbers, evenly over all.
func (b *bench) spread(count int) []int {
	out := make([]int, count)
	for i := range out {
		out[i] = i * b.count / count
	}
	return out
}
