package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/scene"
)

// play goes through a stage: it makes the services, lets the tool take them over, and ships the new version of each.
func (b *bench) play(ctx context.Context, c contender, scenarios stage, address string, out *results) (err error) {
	trials := b.trials(c, scenarios, out.Runs)
	b.say("%s: %d services for %s", c.title, len(trials), scenarios)
	defer func() {
		// After an interruption as well: a tool that is gone takes no finalizer away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
		defer cancel()
		if cleared := b.clear(ctx, trials); err == nil {
			err = cleared
		}
	}()
	prometheus, err := b.deployPrometheus(ctx, c.space())
	if err != nil {
		return err
	}
	for _, t := range trials {
		if err := b.apply(ctx, c.tool.shape(), t.service); err != nil {
			return err
		}
	}
	if err := each(ctx, trials, (*trial).untilSettled); err != nil {
		return err
	}
	if c.idle && scenarios.isCalm() {
		if err := b.measureIdle(ctx, c, len(trials), out); err != nil {
			return err
		}
	}
	for _, t := range trials {
		if err := t.start(ctx, address); err != nil {
			return err
		}
	}
	if err := each(ctx, trials, (*trial).steady); err != nil {
		return err
	}
	for _, group := range b.groups(trials) {
		if err := b.playTogether(ctx, c, group, prometheus, out); err != nil {
			return err
		}
	}
	return nil
}

// trials are those of a stage.
func (b *bench) trials(c contender, scenarios stage, runs int) []*trial {
	var out []*trial
	for _, s := range scenarios {
		for i := range cmp.Or(s.services, runs) {
			out = append(out, &trial{
				bench: b, contender: c, scenario: s, number: i + 1,
				service: service{
					Namespace: c.space(), Name: fmt.Sprintf("%s-%d", s.name, i+1),
					Version: stableVersion, ErrorShare: s.stable, Replicas: s.replicas, Image: scene.GreeterImage(),
					Interval: interval, Failures: c.failures,
					Prometheus:     prometheusAddress(c.space()),
					AsksPrometheus: s.accident == metricsNever || s.accident == metricsLost,
				},
			})
		}
	}
	return out
}

// groups are the trials that go at the same time. A controller is killed once a trial.
func (*bench) groups(trials []*trial) [][]*trial {
	if len(trials) == 0 || trials[0].scenario.accident != killed {
		return [][]*trial{trials}
	}
	var out [][]*trial
	for _, t := range trials {
		out = append(out, []*trial{t})
	}
	return out
}

// playTogether ships the new versions of several services at once, and lets the accident happen to all of them.
func (b *bench) playTogether(ctx context.Context, c contender, trials []*trial, prometheus *scene.Prometheus, out *results) error {
	happens := accidents{bench: b, contender: c, prometheus: prometheus}
	if err := happens.before(ctx, trials[0].scenario.accident); err != nil {
		return err
	}
	var called sync.WaitGroup
	called.Add(len(trials))
	var group errgroup.Group
	found := make([]result, len(trials))
	for i, t := range trials {
		t.canaryCalled = sync.OnceFunc(called.Done)
		group.Go(func() (err error) {
			found[i], err = t.play(ctx)
			return err
		})
	}
	group.Go(func() error {
		called.Wait()
		return happens.midway(ctx, trials[0].scenario.accident)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	out.Results = append(out.Results, found...)
	return nil
}

// untilSettled waits until the tool has taken the first version over.
func (t *trial) untilSettled(ctx context.Context) error {
	return until(ctx, settleTime, t.contender.title+" to take over "+t.service.Name, func(ctx context.Context) error {
		object, err := t.read(ctx, t.contender.tool.object(), t.service.Namespace, t.service.Name)
		if err != nil {
			return err
		}
		if !t.contender.tool.settled(object) {
			return fmt.Errorf("%w: its status is %v", errNotYet, object.Object["status"])
		}
		return nil
	})
}

// clear ends the calls, deletes the services and waits until their pods are gone, so that the next ones have the machine
// for themselves.
func (b *bench) clear(ctx context.Context, trials []*trial) error {
	for _, t := range trials {
		if t.live != nil {
			t.live.Stop()
		}
		if err := b.discard(ctx, t.contender.tool.shape(), t.service); err != nil {
			return err
		}
	}
	return until(ctx, cleanUpTime, "the end of the services' pods", func(ctx context.Context) error {
		var pods corev1.PodList
		if err := b.List(ctx, &pods, client.InNamespace(trials[0].service.Namespace), client.HasLabels{instanceLabel}); err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("%w: %d are left", errNotYet, len(pods.Items))
		}
		return nil
	})
}

// each does the same with all trials at once.
func each(ctx context.Context, trials []*trial, do func(*trial, context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range trials {
		group.Go(func() error { return do(t, ctx) })
	}
	return group.Wait()
}
