package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

// The versions of the application.
const (
	stableVersion = "1"
	newVersion    = "2"
)

const (
	// steadyTime is how long the first version answers before the second is shipped.
	steadyTime = 3 * time.Second
	// quietTime is how long no call may reach a version that was rolled back before it counts as gone, and quietBound
	// how long that may take.
	quietTime, quietBound = 3 * time.Second, time.Minute
)

// trial is one run of a scenario with one tool: a service of its own.
type trial struct {
	*bench
	contender contender
	scenario  scenario
	service   service
	number    int
	live      *load.Run
	// canaryCalled tells, when it is called first, that the new version has got its first call, or will get none.
	canaryCalled func()
}

// start begins to call the service.
func (t *trial) start(ctx context.Context, address string) (err error) {
	if t.scenario.rate == 0 {
		return nil
	}
	t.live, err = load.Start(ctx, load.Config{
		Target: address, Authority: t.service.Host(), Rate: t.scenario.rate, Connections: 2,
		// Long enough that a busy machine delays calls and does not fail them.
		Timeout: 10 * time.Second,
	})
	return err
}

// steady waits until the first version alone has answered all calls for a while.
func (t *trial) steady(ctx context.Context) error {
	if t.live == nil {
		return nil
	}
	since, seen := time.Now(), 0
	return until(ctx, settleTime, "steady answers of "+t.service.Name, func(context.Context) error {
		recent, all := t.live.Recent(seen)
		// Errors of the application are part of some scenarios; a call that nobody answers is of none.
		if seen = all; recent.Unanswered > 0 || recent.ByVersion[newVersion] > 0 {
			since = time.Now()
		}
		if time.Since(since) < steadyTime || all == 0 {
			return fmt.Errorf("%w: for %s; %v", errNotYet, time.Since(since).Round(time.Second), t.live.Snapshot().Failures)
		}
		return nil
	})
}

// play ships the new version and watches what becomes of it.
func (t *trial) play(ctx context.Context) (result, error) {
	defer t.canaryCalled()
	out := result{Contender: t.contender.name, Scenario: t.scenario.name, Run: t.number, Outcome: held}
	next := t.service
	next.Version, next.ErrorShare = newVersion, t.scenario.canary
	counted, end := context.WithCancel(ctx)
	defer end()
	pods, err := t.CountBy(counted, t.service.Namespace, client.MatchingLabels{instanceLabel: t.service.Name})
	if err != nil {
		return out, err
	}
	shipped := time.Now()
	if err := t.ship(ctx, t.contender.tool.workload(), next); err != nil {
		return out, err
	}
	watched, stop := context.WithCancel(ctx)
	defer stop()
	go t.listen(watched)

	last := progress{}
	// A look is not cut short when the time is over.
	err = until(ctx, t.scenario.watch, "a verdict on "+t.service.Name, func(context.Context) error {
		object, err := t.read(ctx, t.contender.tool.object(), t.service.Namespace, t.service.Name)
		if err != nil {
			return err
		}
		if last = t.contender.tool.progress(object); last.state == underWay {
			return errNotYet
		}
		out.Outcome = last.state
		return nil
	})
	if err != nil && !errors.Is(err, errNotYet) {
		return out, err
	}
	out.Seconds, out.Weight, out.Words = time.Since(shipped).Seconds(), last.weight, last.words
	started, there := pods.Used(shipped)
	out.Started, out.PodSeconds = started, there.Seconds()
	if out.Outcome == rolledBack {
		if err := t.untilQuiet(ctx); err != nil {
			return out, err
		}
	}
	if t.live != nil {
		out.count(t.live.Stop(), shipped)
	}
	t.say("%s: %s, run %d: %s", t.contender.title, t.scenario.title, t.number, &out)
	return out, nil
}

// listen waits for the first call to the new version.
func (t *trial) listen(ctx context.Context) {
	defer t.canaryCalled()
	if t.live == nil {
		return
	}
	const often = 20 * time.Millisecond
	seen := 0
	_ = scene.UntilWithin(ctx, t.scenario.watch, often, "a call to the new version", func(context.Context) error { //nolint:errcheck // no call is as good
		recent, all := t.live.Recent(seen)
		if seen = all; recent.ByVersion[newVersion] == 0 {
			return errNotYet
		}
		return nil
	})
}

// untilQuiet waits until the new version has had no call for a while.
func (t *trial) untilQuiet(ctx context.Context) error {
	if t.live == nil {
		return nil
	}
	since := time.Now()
	_, seen := t.live.Recent(0)
	return until(ctx, quietBound, "the end of calls to the version of "+t.service.Name+" that was rolled back", func(context.Context) error {
		recent, all := t.live.Recent(seen)
		if seen = all; recent.ByVersion[newVersion] > 0 {
			since = time.Now()
		}
		if time.Since(since) < quietTime {
			return errNotYet
		}
		return nil
	})
}
