package judge

import (
	"math"
	"testing"
	"time"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// took draws latencies with a median and a lognormal distribution, in buckets whose bounds are a factor of 1.5 apart.
func took(draw func(mean float64) uint64, calls float64, median time.Duration) []Bucket {
	const sigma = 0.7
	var list []Bucket
	below := 0.0
	for bound := time.Millisecond; ; bound = bound * 3 / 2 {
		if bound > time.Minute {
			return append(list, Bucket{UpTo: Infinity, Count: draw(calls * (1 - below))})
		}
		upTo := 0.5 * math.Erfc(-math.Log(float64(bound)/float64(median))/sigma/math.Sqrt2)
		list = append(list, Bucket{UpTo: bound, Count: draw(calls * (upTo - below))})
		below = upTo
	}
}

// timed gives seconds of calls with medians of their latencies.
func timed(run uint64, canaryCalls, stableCalls float64, canary, stable func(second int) time.Duration) func(i int) Tick {
	r := traffic.Rand(38, run)
	draw := func(mean float64) uint64 { return traffic.Poisson(r, mean) }
	return func(i int) Tick {
		t := Tick{Elapsed: time.Second, Fresh: true}
		t.Canary.Latencies, t.Stable.Latencies = took(draw, canaryCalls, canary(i)), took(draw, stableCalls, stable(i))
		for _, c := range []*Counts{&t.Canary, &t.Stable} {
			for _, b := range c.Latencies {
				c.Calls += b.Count
			}
		}
		return t
	}
}

func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

const usualLatency = 20 * time.Millisecond

func learnt(j Judge, run uint64) State {
	r := traffic.Rand(39, run)
	return j.Learn(State{}, took(func(mean float64) uint64 { return traffic.Poisson(r, mean) }, 5000, usualLatency))
}

// A full collection of garbage, or a disk that hangs, is one event however many calls wait for it.
func TestStallsOfOneBlockNeverRollBack(t *testing.T) {
	j := Default()
	for run := range uint64(20) {
		stall := func(i int) time.Duration {
			if i >= 60 && i < 70 {
				return 5 * time.Second
			}
			return usualLatency
		}
		if s, at := j.untilDecided(learnt(j, run), 600, RollBack, timed(run, 10, 90, stall, always(usualLatency))); at > 0 {
			t.Errorf("run %d: rolled back after %d s: %+v", run, at, j.Decide(s))
		}
	}
}

func TestACanaryThatIsHalfAsFastAgainIsRolledBackWithinAFewBlocks(t *testing.T) {
	j := Default()
	for run := range uint64(20) {
		_, at := j.untilDecided(learnt(j, run), 600, RollBack, timed(run, 10, 90, always(usualLatency*3/2), always(usualLatency)))
		if at == 0 || at > 100 {
			t.Errorf("run %d: rolled back after %d s", run, at)
		}
	}
}

func TestACanaryAsFastAsStableIsProvedAndNotRolledBack(t *testing.T) {
	j := Default()
	j.Shares = []int32{allParts / 4, allParts}
	for run := range uint64(10) {
		s, at := j.untilDecided(learnt(j, run), 1800, Advance, timed(run, 20, 180, always(usualLatency), always(usualLatency)))
		if at == 0 {
			t.Errorf("run %d: not proved: %+v", run, j.Decide(s))
		}
	}
	wrong, runs := 0, shrink(25)
	for run := range uint64(runs) {
		if _, at := j.untilDecided(learnt(j, run), 600, RollBack, timed(run, 10, 90, always(usualLatency), always(usualLatency))); at > 0 {
			wrong++
		}
	}
	if wrong > atMost(runs, 0.01) {
		t.Errorf("%d of %d canaries as fast as stable are rolled back", wrong, runs)
	}
}

// What slows both down says nothing of the canary.
func TestWhatSlowsBothDownRollsNothingBack(t *testing.T) {
	j := Default()
	slower := func(i int) time.Duration { return []time.Duration{usualLatency, 4 * usualLatency}[i/60%2] }
	for run := range uint64(10) {
		if s, at := j.untilDecided(learnt(j, run), 600, RollBack, timed(run, 10, 90, slower, slower)); at > 0 {
			t.Errorf("run %d: rolled back after %d s: %+v", run, at, j.Decide(s))
		}
	}
}

func TestTheFirstLatenciesOfStableAreLearntAndNotJudged(t *testing.T) {
	j := Default()
	next := timed(1, 10, 90, always(usualLatency), always(usualLatency))
	s := j.after(State{}, 2, next(0))
	if _, stable := s.Took(); stable.Calls != 0 || s.open.canaryTook != nil {
		t.Errorf("judged are %v", stable)
	}
	s = j.after(s, 12, next(0))
	if _, stable := s.Took(); stable.Calls == 0 {
		t.Error("nothing is judged")
	}
}

func TestLatenciesOfColdPodsAreNotJudged(t *testing.T) {
	j := Default()
	cold := timed(1, 10, 90, always(time.Second), always(usualLatency))(0)
	cold.Cold = true
	if s := j.after(learnt(j, 1), 60, cold); s.verdict[kindLatency].begun() || s.canaryTook != nil {
		t.Errorf("judged are %v", s.canaryTook)
	}
}

// Who tolerates a slowdown need not prove that there is less.
func TestWhatSlownessIsToleratedNeedNotBeDisproved(t *testing.T) {
	w := learnt(Default(), 1).window
	last := w.quantileBin(slowFrom)
	n := counts{canary: []uint64{1}, stable: []uint64{9}, canaryCalls: 10, stableCalls: 90}
	strict := Latency{Prove: &Margin{Ratio: 1.2, Difference: 0.005}}
	tolerant := Latency{Slowdown: 0.5, Prove: strict.Prove}
	a, b := strict.fewerSlow(w, last, allParts, n), tolerant.fewerSlow(w, last, allParts, n)
	if a.margin[0] != 1.2 || a.difference != 0.005 || b.margin[0] < 1.5 || b.difference != 0 {
		t.Errorf("allowed are %v and %v without a slowdown, %v and %v with one", a.margin, a.difference, b.margin, b.difference)
	}
}
