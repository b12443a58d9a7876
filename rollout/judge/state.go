package judge

// State is what a Judge remembers of a rollout: bounded, immutable, written by String and read by ParseState. The zero value is the
// start of a rollout.
type State struct {
	canary, stable Totals
	peak           Nats // of all tests together
	window         window
	// canaryTook and stableTook are the calls whose latencies were judged, by bin of the window; nil: there were none.
	canaryTook, stableTook []uint64

	errors, latency, slow, maxErrorRate process // for rolling back
	errorGate, latencyGate              process // for advancing

	errorCarry, latencyCarry carry
}

// Totals are counts since the rollout began.
type Totals struct {
	Calls, Errors uint64
}

func (n Totals) with(c Counts) Totals {
	return Totals{Calls: addUp(n.Calls, c.Calls), Errors: addUp(n.Errors, c.Errors)}
}

// stableLatencies is how stable's latencies are distributed: in this rollout, once enough of them were judged.
func (s State) stableLatencies() window {
	if sum(s.stableTook) >= enoughToBet {
		return window{upTo: s.window.upTo, count: s.stableTook}
	}
	return s.window
}

func (p process) begun() bool { return p.spent > 0 }
