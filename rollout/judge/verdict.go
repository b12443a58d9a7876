package judge

import "math"

// Decision is what the evidence so far says.
type Decision string

const (
	// RollBack: the canary is worse than what is tolerated. It is final.
	RollBack Decision = "RollBack"
	// Suspect: it looks so, from too few moments to be sure. Its calls are to be taken away, and after a while it is looked at again (Recheck).
	Suspect Decision = "Suspect"
	// Advance: the canary is surely within what the next share makes harmless.
	Advance Decision = "Advance"
	// Hold: nothing is known yet. No data is never more than this.
	Hold Decision = "Hold"
)

// Verdict is a decision with the numbers that it is made of. Evidence is in nats.
type Verdict struct {
	Decision Decision
	// Evidence against the canary that rolls back at Threshold, and Alarm, which suspects at Threshold.
	Evidence, Alarm, Threshold float64
	// Spread is how many times as much evidence is asked for as if all pods of a version were equal.
	Spread float64
	// Doubtful says that so much speaks against the canary now that it must not advance, whatever speaks for it.
	Doubtful bool
	// Outage: stable fails, and nothing is proved meanwhile.
	Outage bool
	// Streams: most calls last, and those that begin and break are compared.
	Streams bool
	// Tests against the canary, with the evidence of each. Together is their weighted average before the logarithm.
	Tests []Finding
	// Gates for advancing; all must reach their thresholds.
	Gates []Gate
	// Canary and Stable are the calls that were judged, Expected how many of the errors the canary's share of the calls would have given it.
	Canary, Stable Totals
	Expected       float64
}

// TestLatency is the name of the test that compares latencies.
const TestLatency = "latency"

// Finding is the evidence of one test in nats.
type Finding struct {
	Name     string
	Evidence float64
}

// Gate is the evidence of one proof in nats: all of it, and what the present step has brought.
type Gate struct {
	Name                string
	Evidence, Threshold float64
	Fresh, FreshNeeded  float64
}

// Passed says whether the proof is complete.
func (g Gate) Passed() bool { return g.Evidence >= g.Threshold && g.Fresh >= g.FreshNeeded }

// Part is how much of the proof there is, from 0 to 1.
func (g Gate) Part() float64 {
	return min(max(min(g.Evidence/g.Threshold, g.Fresh/g.FreshNeeded), 0), 1)
}

// doubt is the evidence for rolling back, in nats, that forbids to advance: less than one event in which the canary is worse brings.
var doubt = math.Log(2.5)

// Decide says what the state calls for. Without gates it advances whenever nothing speaks against it.
func (j Judge) Decide(s State) Verdict {
	j = j.withDefaults()
	if s.key != j.key() {
		s = State{key: j.key()}
	}
	spread := s.spread.factor()
	v := Verdict{
		Decision: Hold,
		Evidence: s.inAll(j), Alarm: s.lately(j), Threshold: j.threshold(s), Spread: spread,
		Outage: s.Outage(), Streams: s.streams(), Tests: j.findings(s.verdict), Gates: j.asks(s),
		Canary: s.canary, Stable: s.stable, Expected: float64(s.expected) / 1000,
	}
	// Not of calls to cold pods: there may be none any more that could dispel it.
	v.Doubtful = max(j.total(s.verdict), j.total(s.alarm)) >= doubt*spread
	switch {
	case s.failed:
		v.Decision, v.Evidence = RollBack, max(v.Evidence, v.Threshold)
	case s.suspected:
		v.Decision, v.Alarm = Suspect, max(v.Alarm, v.Threshold)
	case !v.Doubtful && !v.Outage && v.passes():
		v.Decision = Advance
	}
	return v
}

// asks are the gates of the next share.
func (j Judge) asks(s State) []Gate {
	if len(j.Shares) == 0 {
		return nil
	}
	var list []Gate
	for _, k := range j.proves(s) {
		list = append(list, Gate{
			Name: names[k], Evidence: s.proofOf(k, j.Shares[0]).lnE(), Threshold: -math.Log(j.Beta),
			Fresh: s.fresh[k].lnE(), FreshNeeded: freshThreshold,
		})
	}
	return list
}

func (v Verdict) passes() bool {
	for _, gate := range v.Gates {
		if !gate.Passed() {
			return false
		}
	}
	return true
}
