package judge

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// shrink is how many of runs are made: fewer in short mode and under the race detector.
func shrink(runs int) int {
	if testing.Short() || raceDetector {
		return max(20, runs/10)
	}
	return runs
}

// atMost is the number of events with probability p in runs independent runs, plus 3 standard deviations of the binomial: what a
// test at level p may show.
func atMost(runs int, p float64) int {
	n := float64(runs)
	return int(math.Ceil(n*p + 3*math.Sqrt(n*p*(1-p))))
}

// tick is a second of calls.
func tick(canaryCalls, canaryErrors, stableCalls, stableErrors uint64) Tick {
	return Tick{
		Elapsed: time.Second, Fresh: true,
		Canary: Counts{Calls: canaryCalls, Errors: canaryErrors}, Stable: Counts{Calls: stableCalls, Errors: stableErrors},
	}
}

// lasting makes a tick last longer.
func (t Tick) lasting(elapsed time.Duration) Tick {
	t.Elapsed = elapsed
	return t
}

// withPods gives each pod of stable its part of the calls and errors.
func (t Tick) withPods(errors ...uint64) Tick {
	for i, n := range errors {
		t.Stable.Pods = append(t.Stable.Pods, PodCounts{ID: fmt.Sprint("pod-", i), Calls: t.Stable.Calls / uint64(len(errors)), Errors: n})
	}
	return t
}

// after feeds the same tick several times.
func (j Judge) after(s State, n int, t Tick) State {
	for range n {
		s = j.Update(s, t)
	}
	return s
}

// untilDecided feeds ticks until the decision is the one that is waited for, and says after how many; 0: not after most.
func (j Judge) untilDecided(s State, most int, want Decision, next func(i int) Tick) (State, int) {
	for i := range most {
		if s = j.Update(s, next(i)); j.Decide(s).Decision == want {
			return s, i + 1
		}
	}
	return s, 0
}

// random draws ticks of a second with so many calls of each side in the mean.
func random(seed, run uint64, canary, stable, canaryRate, stableRate float64) func(int) Tick {
	r := traffic.Rand(seed, run)
	return func(int) Tick {
		side := func(calls, rate float64) (uint64, uint64) {
			failed := traffic.Poisson(r, calls*rate)
			return failed + traffic.Poisson(r, calls*(1-rate)), failed
		}
		canaryCalls, canaryErrors := side(canary, canaryRate)
		stableCalls, stableErrors := side(stable, stableRate)
		return tick(canaryCalls, canaryErrors, stableCalls, stableErrors)
	}
}

func onlyErrors() Judge {
	j := Default()
	j.Latency, j.Cancelled = nil, nil
	return j
}

func withoutLatency() Judge {
	j := Default()
	j.Latency = nil
	return j
}
