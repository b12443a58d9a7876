package main

import (
	"context"
	"time"

	"github.com/headgate/headgate/test/bench/scale/rig"
)

// failoverGap is from one failover to the next, where they come one at a time: what follows the route's change is over by then.
const failoverGap = 250 * time.Millisecond

// failOneByOne takes primaries away one after the other, each of another ExposedService.
func (b *bench) failOneByOne(ctx context.Context) error {
	const section = "one failover at a time"
	chosen := b.spread(min(b.singles, b.count))
	took := make([]time.Duration, 0, len(chosen))
	b.down = chosen
	spent, err := b.work(ctx, longQuiet, func(ctx context.Context) error {
		gap := time.NewTicker(failoverGap)
		defer gap.Stop()
		for _, number := range chosen {
			began := time.Now()
			if err := b.fleet.SetPrimary(ctx, number, false); err != nil {
				return err
			}
			since, err := b.routes.Until(ctx, []int{number}, rig.Backup)
			if err != nil {
				return err
			}
			took = append(took, since[0].Sub(began))
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-gap.C:
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.add(section, "failovers", "%d", len(took))
	for _, p := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"the slowest", 1}} {
		b.add(section, p.name, "%s", milliseconds(percentile(took, p.share)))
	}
	b.addProcessorTime(section, spent, len(took))
	b.addRequests("requests for each of those failovers", spent.requests, len(took))
	return nil
}

// failAtOnce takes many primaries away as fast as the API server writes their EndpointSlices.
func (b *bench) failAtOnce(ctx context.Context) error {
	const section = "failovers at once"
	chosen := b.spread(min(b.mass, b.count))
	var written time.Duration
	var took []time.Duration
	b.down = chosen
	spent, err := b.work(ctx, longQuiet, func(ctx context.Context) error {
		began := time.Now()
		if err := b.fleet.SetPrimaries(ctx, chosen, false); err != nil {
			return err
		}
		written = time.Since(began)
		since, err := b.routes.Until(ctx, chosen, rig.Backup)
		for _, t := range since {
			took = append(took, t.Sub(began))
		}
		return err
	})
	if err != nil {
		return err
	}
	b.add(section, "failovers", "%d", len(took))
	b.add(section, "EndpointSlices written within", "%s", seconds(written))
	b.add(section, "first route after", "%s", milliseconds(percentile(took, 0)))
	b.add(section, "p50", "%s", seconds(percentile(took, 0.5)))
	b.add(section, "last route after", "%s", seconds(percentile(took, 1)))
	b.addProcessorTime(section, spent, len(took))
	b.addRequests("requests for each of the failovers at once", spent.requests, len(took))
	return nil
}

// handBack makes the primaries ready that are not, and waits until they serve.
func (b *bench) handBack(ctx context.Context) error {
	_, err := b.work(ctx, longQuiet, func(ctx context.Context) error {
		if err := b.fleet.SetPrimaries(ctx, b.down, true); err != nil {
			return err
		}
		_, err := b.routes.Until(ctx, b.down, rig.Primary)
		return err
	})
	return err
}
