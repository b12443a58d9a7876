package judge

import (
	"hash/fnv"
	"math"
	"strconv"
	"time"
)

// Judge says what a rollout tolerates and what it proves. Default has the values that production wants.
type Judge struct {
	// Alpha is the probability of rolling back a canary that is within all margins, for the whole rollout: all tests, all steps,
	// all looks. Above 0 and below 1; otherwise 0.01.
	Alpha float64
	// Beta is the probability of proving that the canary is within a margin although it is not, however long it takes. Above 0
	// and below 1; otherwise 0.05.
	Beta float64
	// Planned is the time that the rollout is expected to take. Changes later than that are found too, only more slowly.
	Planned time.Duration
	// Errors compares error rates, Cancelled the shares of calls that their callers gave up; nil does not.
	Errors, Cancelled *Rate
	// Latency compares latencies; nil does not.
	Latency *Latency
	// MaxErrorRate is an error rate that the canary must not exceed whatever stable does, above 0 and below 1; 0 asks for none.
	MaxErrorRate float64
	// Shares are the shares of the calls that the canary is still to get, in parts of 1,000,000: for each one a proof is gathered.
	Shares []int32
}

// Rate is what is allowed of a share of the canary's calls, compared with the same share of stable's.
type Rate struct {
	// Tolerate is what is never rolled back. Prove is what must be proved before the canary has all calls.
	Tolerate, Prove Margin
}

// Margin allows Ratio times stable's share, and Difference more.
type Margin struct{ Ratio, Difference float64 }

// At is the margin that a share of all calls makes as harmless as the margin itself is with all of them: the canary's calls that
// fail beyond stable's rate are as many.
func (m Margin) At(share int32) Margin {
	part := float64(share) / allParts
	return Margin{Ratio: 1 + (m.Ratio-1)/part, Difference: m.Difference / part}
}

// allParts is the share of all calls.
const allParts = 1_000_000

// Latency is what is allowed of the canary's latencies.
type Latency struct {
	// Slowdown is the share by which all calls may be slower (0.05: by 5 %). It must cover the differences in speed of healthy pods:
	// twice the standard deviation of their mean logarithm of the latency.
	Slowdown float64
	// Prove is what must be proved of the share of slow calls, those above stable's 90th percentile, or what Slowdown makes of
	// stable's own latencies if that is more: who tolerates a slowdown need not prove that there is less. Nil asks for no proof.
	Prove *Margin
}

// Default is a Judge of errors, cancelled calls and latencies: at most one false rollback in a hundred rollouts of healthy canaries.
func Default() Judge {
	return Judge{
		Alpha: 0.01, Beta: 0.05, Planned: time.Hour,
		Errors:    &Rate{Tolerate: Margin{Ratio: 1.5, Difference: 0.0005}, Prove: Margin{Ratio: 2, Difference: 0.005}},
		Cancelled: &Rate{Tolerate: Margin{Ratio: 1.5, Difference: 0.005}, Prove: Margin{Ratio: 2, Difference: 0.005}},
		Latency:   &Latency{Slowdown: 0.05, Prove: &Margin{Ratio: 1.25, Difference: 0.01}},
		Shares:    []int32{allParts},
	}
}

// Tick is what happened in one stretch of time. Stretches do not overlap and no call is in two of them; a scrape that was missed
// makes the next stretch longer.
type Tick struct {
	Elapsed        time.Duration
	Canary, Stable Counts
	// Fresh: the canary has the share of its present step in all of the tick.
	Fresh bool
	// Cold: pods of the canary have just got their first calls. Only a canary that fails most of them is suspected then.
	Cold bool
}

// Counts are increments of one side.
type Counts struct {
	// Calls finished, and those of them that failed by the service's fault.
	Calls, Errors uint64
	// Cancelled are calls that their callers gave up before there was an outcome. They are not among Calls.
	Cancelled uint64
	// Begun calls began, and InFlight were under way at the end, where TellsBegun.
	Begun, InFlight uint64
	TellsBegun      bool
	// TellsCancelled: the source knows of cancelled calls.
	TellsCancelled bool
	// Latencies of finished calls, of all or of a part (such as unary ones), from the same histogram in both arms.
	Latencies []Bucket
	// Pods are calls and errors by pod, where they are known; of many pods a part will do.
	Pods []PodCounts
}

// bounded are counts that can be: no more errors than calls, and nothing above mostCount.
func (c Counts) bounded() Counts {
	for _, n := range []*uint64{&c.Calls, &c.Cancelled, &c.Begun, &c.InFlight} {
		*n = min(*n, mostCount)
	}
	c.Errors = min(c.Errors, c.Calls)
	return c
}

// PodCounts are increments of one pod.
type PodCounts struct {
	ID            string
	Calls, Errors uint64
}

// enoughToBet is the number of latencies of stable that the bets are chosen from, if Learn was not given as many.
const enoughToBet = 200

// Learn adds latencies of stable that are not judged, such as those while the canary is not warm. Once the test of latencies has begun
// it changes nothing. Without it the first blocks of the rollout are used to learn instead of to judge.
func (j Judge) Learn(s State, latencies []Bucket) State {
	if len(latencies) > 0 && !s.verdict[kindLatency].begun() && s.canaryTook == nil && s.open.canaryTook == nil {
		s.window = s.window.with(latencies)
	}
	return s
}

// NextStep returns the state for a new step: each proof asks for something fresh, what is known stays.
func (j Judge) NextStep(s State) State {
	s.fresh = [gateKinds]process{}
	s.open.fresh = false
	return s
}

// Recheck returns the state for a second look at a canary that was suspected. Suspicion and proof begin anew; what speaks against the canary
// for good stays.
func (j Judge) Recheck(s State) State {
	if s.open.canary() > 0 {
		s = j.close(s)
	}
	s.suspected = false
	s.alarm, s.coldAlarm, s.gates, s.carry = tests{}, tests{}, nil, sums{}
	s.open, s.unanswered = block{}, unanswered{}
	for k := range kinds {
		s.verdict[k], s.coldVerdict[k] = s.verdict[k].apart(), s.coldVerdict[k].apart()
	}
	return j.NextStep(s)
}

// Update returns the state after a tick. The state of a Judge that allows something else starts over.
func (j Judge) Update(s State, t Tick) State {
	j = j.withDefaults()
	if key := j.key(); s.key != key {
		s = State{key: key, window: s.window}
	}
	t.Canary, t.Stable = t.Canary.bounded(), t.Stable.bounded()
	t.Elapsed = max(0, t.Elapsed)
	s.tellsCancelled = t.Canary.TellsCancelled && t.Stable.TellsCancelled
	s.unanswered, t.Canary.Cancelled = s.unanswered.hear(t)
	s = s.addUp(t)
	if s.streams() {
		t.Canary, t.Stable = t.Canary.begun(), t.Stable.begun()
	}
	s = j.look(s, t)
	s = j.addToBlock(s, t)
	s.suspected = s.suspected || s.lately(j) >= j.threshold(s)
	return s
}

// lately is the evidence of the last moments against the canary.
func (s State) lately(j Judge) float64 { return max(j.total(s.alarm), j.total(s.coldAlarm)) }

// inAll is all evidence against the canary.
func (s State) inAll(j Judge) float64 { return max(j.total(s.verdict), j.total(s.coldVerdict)) }

// key tells the tests of a Judge from those of another one.
func (j Judge) key() string {
	hash := fnv.New32a()
	put := func(list ...float64) {
		for _, x := range list {
			_, _ = hash.Write(strconv.AppendFloat(nil, x, 'g', -1, 64))
			_, _ = hash.Write([]byte{' '})
		}
	}
	put(j.Alpha, j.Beta, j.MaxErrorRate)
	for _, r := range []*Rate{j.Errors, j.Cancelled} {
		if r == nil {
			put(-1)
			continue
		}
		put(r.Tolerate.Ratio, r.Tolerate.Difference, r.Prove.Ratio, r.Prove.Difference)
	}
	if j.Latency != nil {
		put(j.Latency.Slowdown)
		if j.Latency.Prove != nil {
			put(j.Latency.Prove.Ratio, j.Latency.Prove.Difference)
		}
	}
	return strconv.FormatUint(uint64(hash.Sum32()), 16)
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

func sum(list []uint64) uint64 {
	var total uint64
	for _, n := range list {
		total += n
	}
	return total
}

// threshold is the evidence that it takes against the canary, in nats: more where the pods of one version differ more than by chance.
func (j Judge) threshold(s State) float64 { return -math.Log(j.Alpha) * s.spread.factor() }
