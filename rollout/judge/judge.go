package judge

import (
	"math"
	"time"
)

// Judge says what a rollout tolerates. Its tests never change within a rollout. Default has the values that production wants.
type Judge struct {
	// Alpha is the probability of rolling back a canary that is within all margins, for the whole rollout: all tests, all steps,
	// all looks. Above 0 and below 1; otherwise 0.01.
	Alpha float64
	// Beta is the probability, for each step and gate, of advancing although the canary is beyond the gate's margin. Above 0 and
	// below 1; otherwise 0.05.
	Beta float64
	// Planned is the time that the rollout is expected to take. Changes later than that are found too, only more slowly.
	Planned time.Duration
	// Errors compares error rates; nil does not.
	Errors *Errors
	// Latency compares latencies; nil does not.
	Latency *Latency
	// MaxErrorRate is an error rate that the canary must not exceed whatever stable does, above 0 and below 1; 0 asks for none.
	MaxErrorRate float64
}

// Errors is what is tolerated of the canary's error rate: up to Ratio times stable's plus Difference.
type Errors struct {
	Ratio, Difference float64
	// AdvanceDifference takes Difference's place where advancing asks for evidence that the canary is within the margin. A
	// smaller one asks for more calls: some 3.4/AdvanceDifference of them without an error.
	AdvanceDifference float64
}

// Latency is what is tolerated of the canary's latencies.
type Latency struct {
	// Slowdown is the share by which all calls may be slower (0.05: by 5 %). It must cover the differences in speed of healthy pods:
	// twice the standard deviation of their mean logarithm of the latency.
	Slowdown float64
	// Slow are calls above a latency, for advancing. Nil advances without asking for latencies.
	Slow *Slow
}

// Slow is what is tolerated of the share of calls above a latency: Ratio times stable's plus Difference. For advancing it is what
// Slowdown makes of stable's own latencies if that is more, so that who tolerates a slowdown need not prove that there is less.
type Slow struct {
	// Above is the latency, rounded up to a bucket's bound; 0 is stable's 90th percentile before the rollout.
	Above             time.Duration
	Ratio, Difference float64
	// RollBack asks the question of Above for rolling back too.
	RollBack bool
}

// Default is a Judge of errors and latencies: at most one false rollback in a hundred rollouts of healthy canaries.
func Default() Judge {
	return Judge{
		Alpha: 0.01, Beta: 0.05, Planned: time.Hour,
		Errors:  &Errors{Ratio: 1.5, Difference: 0.0005, AdvanceDifference: 0.005},
		Latency: &Latency{Slowdown: 0.05, Slow: &Slow{Ratio: 1.2, Difference: 0.005}},
	}
}

// Tick is what happened in one stretch of time. Stretches do not overlap and no call is in two of them; a scrape that was missed
// makes the next stretch longer.
type Tick struct {
	Elapsed        time.Duration
	Canary, Stable Counts
}

// Counts are increments of one arm.
type Counts struct {
	// Calls finished, and those of them that failed by the service's fault.
	Calls, Errors uint64
	// Latencies of finished calls, of all or of a part (such as unary ones), from the same histogram in both arms.
	Latencies []Bucket
}

const (
	// carryFor is how long counts wait for the other arm: what happened before says little about the same conditions.
	carryFor = 10 * time.Minute
	// enoughToBet is the number of latencies of stable that the bets are chosen from, if Learn was not given as many.
	enoughToBet = 200
)

// Learn adds latencies of stable from before the rollout, best of the last 30 minutes. Once the test of latencies has begun it
// changes nothing. Without it the first ticks of the rollout are used to learn instead of to judge.
func (j Judge) Learn(s State, latencies []Bucket) State {
	if len(latencies) > 0 && !s.latency.begun() && s.latencyCarry.canary == nil && s.canaryTook == nil {
		s.window = s.window.with(latencies)
	}
	return s
}

// NextStep returns the state for a new step: the gates ask afresh, what speaks for rolling back stays.
func (j Judge) NextStep(s State) State {
	s.errorGate, s.latencyGate = process{}, process{}
	return s
}

// UpdateAgainst is Update for what speaks against the canary alone: the gates do not hear of the tick. It is for ticks that are known,
// whatever happened to the canary in them, to prove nothing in its favour.
func (j Judge) UpdateAgainst(s State, t Tick) State {
	next := j.Update(s, t)
	next.errorGate, next.latencyGate = s.errorGate, s.latencyGate
	return next
}

// Update returns the state after a tick. A tick in which one arm has no calls waits for the next one.
func (j Judge) Update(s State, t Tick) State {
	t.Canary.Errors = min(t.Canary.Errors, t.Canary.Calls)
	t.Stable.Errors = min(t.Stable.Errors, t.Stable.Calls)
	s.canary = s.canary.with(t.Canary)
	s.stable = s.stable.with(t.Stable)
	j = j.withDefaults()
	s = j.updateErrors(s, t)
	s = j.updateMaxErrorRate(s, t)
	s = j.updateLatency(s, t)
	s.peak = max(s.peak, natsOf(j.total(s)))
	return s
}

func (j Judge) updateErrors(s State, t Tick) State {
	if j.Errors == nil {
		return s
	}
	n, elapsed, ready := s.errorCarry.join(t.Elapsed, counts{
		canary: []uint64{t.Canary.Errors}, stable: []uint64{t.Stable.Errors},
		canaryCalls: t.Canary.Calls, stableCalls: t.Stable.Calls,
	})
	if !ready {
		s.errorCarry = carry{n, elapsed}
		return s
	}
	s.errorCarry = carry{}
	s.errors = s.errors.advance(j.changes(), moreThan(j.Errors.Ratio, j.Errors.Difference).gains(n), elapsed)
	s.errorGate = s.errorGate.advance(j.recoveries(), lessThan(j.Errors.Ratio, j.Errors.AdvanceDifference).gains(n), elapsed)
	return s
}

func (j Judge) updateMaxErrorRate(s State, t Tick) State {
	if !j.bounded() || t.Canary.Calls == 0 {
		return s
	}
	failed := float64(t.Canary.Errors)
	passed := float64(t.Canary.Calls) - failed
	gains := make([]float64, absoluteGrid)
	for i, alt := range (Absolute{Bound: j.MaxErrorRate}).above() {
		gains[i] = failed*alt.failed + passed*alt.passed
	}
	s.maxErrorRate = s.maxErrorRate.advance(j.changes(), gains, t.Elapsed)
	return s
}

func (j Judge) updateLatency(s State, t Tick) State {
	if j.Latency == nil {
		return s
	}
	if !s.latency.begun() && s.window.calls() < enoughToBet {
		return j.Learn(s, t.Stable.Latencies)
	}
	tick := counts{canary: s.window.bin(t.Canary.Latencies), stable: s.window.bin(t.Stable.Latencies)}
	tick.canaryCalls, tick.stableCalls = sum(tick.canary), sum(tick.stable)
	before := s.stableLatencies()
	s.canaryTook, s.stableTook = addTook(s.canaryTook, tick.canary), addTook(s.stableTook, tick.stable)
	n, elapsed, ready := s.latencyCarry.join(t.Elapsed, tick)
	if !ready {
		s.latencyCarry = carry{n, elapsed}
		return s
	}
	s.latencyCarry = carry{}
	s.latency = s.latency.advance(j.changes(), latencyContrast(s.window, j.Latency.Slowdown).gains(n), elapsed)
	if slow := j.Latency.Slow; slow != nil {
		last := slow.bin(s.window)
		above := n.above(last)
		s.latencyGate = s.latencyGate.advance(j.recoveries(), j.Latency.fewerSlow(before, last).gains(above), elapsed)
		if slow.RollBack {
			s.slow = s.slow.advance(j.changes(), moreThan(slow.Ratio, slow.Difference).gains(above), elapsed)
		}
	}
	return s
}

// changes is the pace of a test that looks for changes. Two ticks at least lift one test alone to the threshold of all.
func (j Judge) changes() pace {
	share := 1 / float64(max(1, len(j.tests(State{}))))
	return pace{planned: j.Planned, first: 0.5, perTick: -math.Log(j.Alpha*share) / 2}
}

// recoveries is the pace of a gate. Nearly everything is bet on a canary that is within the margin from the first tick on, and the
// rest on one that gets there later: without it, errors at the beginning of a step would close its gate for ever.
func (j Judge) recoveries() pace { return pace{planned: j.Planned, first: 0.9} }

// tests are the tests for rolling back.
func (j Judge) tests(s State) []Finding {
	var list []Finding
	if j.Errors != nil {
		list = append(list, Finding{Name: "errors", Evidence: s.errors.lnE()})
	}
	if j.Latency != nil {
		list = append(list, Finding{Name: TestLatency, Evidence: s.latency.lnE()})
		if j.Latency.Slow != nil && j.Latency.Slow.RollBack {
			list = append(list, Finding{Name: "slow calls", Evidence: s.slow.lnE()})
		}
	}
	if j.bounded() {
		list = append(list, Finding{Name: "max error rate", Evidence: s.maxErrorRate.lnE()})
	}
	return list
}

// gates are the tests for advancing.
func (j Judge) gates(s State) []Finding {
	var list []Finding
	if j.Errors != nil {
		list = append(list, Finding{Name: "errors", Evidence: s.errorGate.lnE()})
	}
	if j.Latency != nil && j.Latency.Slow != nil {
		list = append(list, Finding{Name: "latency", Evidence: s.latencyGate.lnE()})
	}
	return list
}

// total is the evidence of all tests together, in nats: their average, which is valid however they depend on each other.
func (j Judge) total(s State) float64 {
	list := j.tests(s)
	if len(list) == 0 {
		return 0
	}
	total := negInf
	for _, f := range list {
		total = logAdd(total, f.Evidence)
	}
	return total - math.Log(float64(len(list)))
}

func (j Judge) bounded() bool { return j.MaxErrorRate > 0 && j.MaxErrorRate < 1 }

func (j Judge) withDefaults() Judge {
	if !(j.Alpha > 0 && j.Alpha < 1) {
		j.Alpha = 0.01
	}
	if !(j.Beta > 0 && j.Beta < 1) {
		j.Beta = 0.05
	}
	if j.Planned <= 0 {
		j.Planned = time.Hour
	}
	return j
}

// bin is the last bin of calls that are not slow.
func (l Slow) bin(w window) int {
	if l.Above <= 0 {
		return w.quantileBin(0.9)
	}
	for i, upTo := range w.upTo {
		if upTo >= l.Above {
			return i
		}
	}
	return len(w.upTo) - 1
}

func sum(list []uint64) uint64 {
	var total uint64
	for _, n := range list {
		total = addUp(total, n)
	}
	return total
}
