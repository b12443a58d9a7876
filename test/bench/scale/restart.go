package main

import (
	"context"
	"time"

	"github.com/headgate/headgate/test/bench/scale/rig"
)

// restart stops the operator, takes a primary away, and starts it again: what it decides first was waiting for it.
func (b *bench) restart(ctx context.Context) error {
	const section = "restart"
	if err := b.operator.Stop(); err != nil {
		return err
	}
	number := b.count / 2
	if err := b.fleet.SetPrimary(ctx, number, false); err != nil {
		return err
	}
	before, err := b.server.Requests.Counts()
	if err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	waiting, cancel := b.within(ctx)
	defer cancel()
	since, err := b.routes.Until(waiting, []int{number}, rig.Backup)
	if err != nil {
		return err
	}
	b.add(section, "first route, of a primary that is down, after", "%s", seconds(since[0].Sub(b.operator.Began)))
	last, err := b.untilQuiet(ctx, longQuiet)
	if err != nil {
		return err
	}
	b.add(section, "last request after", "%s", seconds(last.Sub(b.operator.Began)))
	own, err := b.operator.Usage()
	if err != nil {
		return err
	}
	b.add(section, "processor time", "%s", seconds(own.CPU))
	if err := b.addMemory(section, "at rest again"); err != nil {
		return err
	}
	after, err := b.server.Requests.Counts()
	if err != nil {
		return err
	}
	b.addRequests("requests of the restart, all together", after.Since(before), 1)
	return nil
}

// addOthers makes EndpointSlices that concern no ExposedService, and then restarts the operator once more.
func (b *bench) addOthers(ctx context.Context) error {
	const section = "with EndpointSlices of others"
	began := time.Now()
	spent, err := b.work(ctx, shortQuiet, func(ctx context.Context) error { return b.fleet.AddOthers(ctx, b.others) })
	if err != nil {
		return err
	}
	b.add(section, "EndpointSlices, with five endpoints each", "%d", b.others)
	say("written in %s", seconds(time.Since(began)))
	b.add(section, "processor time while they are written", "%s", seconds(spent.operator))
	if err := b.addMemory(section, "when they are there"); err != nil {
		return err
	}
	if err := b.operator.Stop(); err != nil {
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
	b.add(section, "caches are full after a restart after", "%s", seconds(time.Since(b.operator.Began)))
	if _, err := b.untilQuiet(ctx, longQuiet); err != nil {
		return err
	}
	if err := b.addMemory(section, "after a restart"); err != nil {
		return err
	}
	heap, err := b.operator.LiveHeap(waiting, collections)
	if err != nil {
		return err
	}
	b.add(section, "heap in use after a restart", "%s", mebibytes(int64(heap)))
	return nil
}
