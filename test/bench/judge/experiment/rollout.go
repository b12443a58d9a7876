// Package experiment has the acceptance experiments of the judge: simulated rollouts with fixed seeds, and what must come out of them.
// The tests of rollout/judge hold the judge to them; the command test/bench/judge prints them beside what others' rules do.
package experiment

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/headgate/headgate/rollout/judge"
	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// Course is a number that may change in the course of a rollout.
type Course func(at time.Duration) float64

// Steady is a number that does not.
func Steady(x float64) Course { return func(time.Duration) float64 { return x } }

// From is before until at and after from then on.
func From(at time.Duration, before, after float64) Course {
	return func(now time.Duration) float64 {
		if now < at {
			return before
		}
		return after
	}
}

// Rollout is a simulated rollout.
type Rollout struct {
	Length, Tick                 time.Duration
	Canary, Stable               Course  // calls per second
	CanaryErrors, StableErrors   Course  // share of failed calls
	Cluster                      float64 // errors come in clusters of a geometric size with this mean; below 1 they come alone
	CanaryLatency, StableLatency Latencies
	Window                       Latencies // stable's before the rollout; StableLatency if nil
}

// Latencies are bucket bounds and the probability of each bucket in the course of a rollout; nil observes none.
type Latencies func(at time.Duration) ([]time.Duration, []float64)

// Before is the window of stable's latencies in the 30 minutes before the rollout.
func (r Rollout) Before(run uint64) []judge.Bucket {
	from := r.Window
	if from == nil {
		from = r.StableLatency
	}
	if from == nil {
		return nil
	}
	return draw(traffic.Rand(2, run), 1800*r.Stable(0), from, 0)
}

// Ticks draws the rollout number run.
func (r Rollout) Ticks(run uint64) iter.Seq[judge.Tick] {
	return func(yield func(judge.Tick) bool) {
		random := traffic.Rand(1, run)
		for at := time.Duration(0); at < r.Length; at += r.Tick {
			t := judge.Tick{
				Elapsed: r.Tick,
				Canary:  r.counts(random, at, r.Canary(at), r.CanaryErrors(at), r.CanaryLatency),
				Stable:  r.counts(random, at, r.Stable(at), r.StableErrors(at), r.StableLatency),
			}
			if !yield(t) {
				return
			}
		}
	}
}

func (r Rollout) counts(random *rand.Rand, at time.Duration, perSecond, failing float64, latencies Latencies) judge.Counts {
	mean := perSecond * r.Tick.Seconds()
	errors := r.errors(random, mean*failing)
	return judge.Counts{
		Calls: errors + traffic.Poisson(random, mean*(1-failing)), Errors: errors,
		Latencies: draw(random, mean, latencies, at),
	}
}

func (r Rollout) errors(random *rand.Rand, mean float64) uint64 {
	if r.Cluster <= 1 {
		return traffic.Poisson(random, mean)
	}
	var errors uint64
	for range traffic.Poisson(random, mean/r.Cluster) {
		errors++
		for random.Float64() > 1/r.Cluster {
			errors++
		}
	}
	return errors
}

func draw(random *rand.Rand, calls float64, latencies Latencies, at time.Duration) []judge.Bucket {
	if latencies == nil {
		return nil
	}
	bounds, shares := latencies(at)
	buckets := make([]judge.Bucket, len(bounds))
	for i := range bounds {
		buckets[i] = judge.Bucket{UpTo: bounds[i], Count: traffic.Poisson(random, calls*shares[i])}
	}
	return buckets
}
