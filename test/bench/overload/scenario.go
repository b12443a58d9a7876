package main

import (
	"context"
	"time"

	"github.com/headgate/headgate/test/scene"
)

const (
	primary, backup         = "primary", "backup"
	primaryPods, backupPods = int32(2), int32(1)
	// calm is the rate of calls, in calls per second, where backends are slow or die.
	calm = 200.0
	// workers and work are what each pod can do with a limit: so many calls at once, each for as long.
	workers = 5
	work    = 50 * time.Millisecond
	// queue is how many calls may wait in a pod that has a bound for that.
	queue = 20
	// capacity is what the primaries can carry, in calls per second.
	capacity = float64(primaryPods) * workers * float64(time.Second/work)
	// freezeTime is how long a freeze lasts.
	freezeTime = 5 * time.Second
	slowTime   = 10 * time.Second
	overTime   = 30 * time.Second
)

// scenario is something bad that happens to the backends.
type scenario struct {
	name, says string
	// rate is in calls per second; lasts is the time between begin and end.
	rate  float64
	lasts time.Duration
	// before is done before any call; begin starts the trouble; end ends it.
	before, begin, end func(context.Context, *stage) error
	// calmBefore is the rate before and after, where rate would be too much already; 0: rate.
	calmBefore float64
	// capacity is what the backends that serve can carry, in calls per second; 0: more than the rate.
	capacity float64
	// dies: pods do, and with them their counts of attempts.
	dies bool
}

var scenarios = []scenario{
	slow("slow-100", "every backend takes 100 ms", "constant", "value", "100ms"),
	slow("slow-400", "every backend takes 400 ms", "constant", "value", "400ms"),
	slow("slow-1000", "every backend takes 1 s", "constant", "value", "1s"),
	slow("slow-tail", "every backend takes 300 ms on average, lognormal, with a standard deviation of as much", "lognormal", "mean", "300ms", "stddev", "300ms"),
	{
		name: "slow-primaries", says: "the primaries take 400 ms, the backup does not", rate: calm, lasts: slowTime,
		begin: orders(primary, "latency", "distribution", "constant", "value", "400ms"), end: orders(primary, "reset"),
	},
	{
		name: "slow-one", says: "one of the two primaries takes 1 s", rate: calm, lasts: slowTime,
		begin: func(ctx context.Context, s *stage) error {
			pods, err := s.Pods(ctx, s.space, primary)
			if err != nil {
				return err
			}
			return s.OrderPod(ctx, s.space, pods[0], "latency", "distribution", "constant", "value", "1s")
		},
		end: orders(primary, "reset"),
	},
	over("over-150-unavailable", "150 % of what the primaries carry; beyond the queue they answer UNAVAILABLE", 1.5, queue, "UNAVAILABLE"),
	over("over-150-exhausted", "the same with RESOURCE_EXHAUSTED", 1.5, queue, "RESOURCE_EXHAUSTED"),
	over("over-150-slower", "150 %; the queue has no bound", 1.5, -1, "UNAVAILABLE"),
	over("over-300-unavailable", "300 % of what the primaries carry; beyond the queue they answer UNAVAILABLE", 3, queue, "UNAVAILABLE"),
	over("over-300-exhausted", "the same with RESOURCE_EXHAUSTED", 3, queue, "RESOURCE_EXHAUSTED"),
	over("over-300-slower", "300 %; the queue has no bound", 3, -1, "UNAVAILABLE"),
	death("crash", "the primaries crash", func(ctx context.Context, s *stage) error { return s.Crash(ctx, s.space, primary) }, nil),
	death("force-delete", "the primaries are deleted without grace", func(ctx context.Context, s *stage) error { return s.Kill(ctx, s.space, primary) }, nil),
	death("freeze", "the primaries freeze for 5 s", orders(primary, "freeze", "duration", freezeTime.String()), nil),
	death("scale-to-zero", "the primaries are scaled to zero",
		func(ctx context.Context, s *stage) error { return s.Scale(ctx, s.space, primary, 0) },
		func(ctx context.Context, s *stage) error { return s.Scale(ctx, s.space, primary, primaryPods) }),
	death("unready", "the primaries become unready", orders(primary, "not-ready"), orders(primary, "ready")),
}

func slow(name, says, distribution string, parameters ...string) scenario {
	return scenario{
		name: name, says: says, rate: calm, lasts: slowTime,
		begin: both(append([]string{"latency", "distribution", distribution}, parameters...)...), end: both("reset"),
	}
}

func over(name, says string, times float64, places int, code string) scenario {
	return scenario{
		name: name, says: says, rate: times * capacity, calmBefore: capacity / 2, lasts: overTime, capacity: capacity,
		before: func(ctx context.Context, s *stage) error {
			if err := both("latency", "distribution", "constant", "value", work.String())(ctx, s); err != nil {
				return err
			}
			return both("capacity", "limit", text(workers), "queue", text(places), "code", code)(ctx, s)
		},
	}
}

func death(name, says string, begin, end func(context.Context, *stage) error) scenario {
	return scenario{name: name, says: says, rate: calm, lasts: slowTime, begin: begin, end: end, dies: true}
}

// orders sends an order to every pod of an application.
func orders(app, order string, parameters ...string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error { return s.Order(ctx, s.space, app, order, parameters...) }
}

// both sends an order to every pod, the backup's first.
func both(order ...string) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		for _, app := range []string{backup, primary} {
			if err := s.Order(ctx, s.space, app, order[0], order[1:]...); err != nil {
				return err
			}
		}
		return nil
	}
}

var apps = []scene.App{{Name: primary, Replicas: primaryPods}, {Name: backup, Replicas: backupPods}}
