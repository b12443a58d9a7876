package judge

// State is what a Judge remembers of a rollout: bounded, immutable, written by String and read by ParseState. The zero value is the
// start of a rollout.
type State struct {
	// key is that of the tests.
	key            string
	canary, stable Totals
	// expected is how many of the canary's errors its share of the calls would have given it.
	expected milli
	// suspected and failed are what was found; the one is forgotten by Recheck, the other never.
	suspected, failed, tellsCancelled bool

	window window
	// canaryTook and stableTook are the calls whose latencies were judged, by bin of the window; nil: there were none.
	canaryTook, stableTook []uint64

	// alarm hears each tick at once and verdict each block; both speak against the canary. Calls to cold pods are for others of their own.
	alarm, verdict, coldAlarm, coldVerdict tests
	// gates are the proofs for it, fresh those of the present step alone.
	gates []proof
	fresh [gateKinds]process
	// sparing is the evidence that outages of stable spare the canary, episode the outage that is under way.
	sparing process
	episode sums

	// seen are the calls that show what is usual, the older ones only in part.
	seen sums
	// carry waits for calls of the other side.
	carry      sums
	open       block
	blocks     []block
	spread     spread
	unanswered unanswered
}

// Totals are counts since the rollout began.
type Totals struct {
	Calls, Errors, Cancelled, Begun uint64
}

func (n Totals) with(c Counts) Totals {
	return Totals{
		Calls: addUp(n.Calls, c.Calls), Errors: addUp(n.Errors, c.Errors), Cancelled: addUp(n.Cancelled, c.Cancelled), Begun: addUp(n.Begun, c.Begun),
	}
}

// streams says that most calls last: fewer than half of those that began at stable have come to an end.
func (s State) streams() bool {
	return s.stable.Begun >= fewStreams && 2*addUp(s.stable.Calls, s.stable.Cancelled) < s.stable.Begun
}

// fewStreams are too few calls to tell.
const fewStreams = 20

// begun makes calls of those that begin, where they last: what is compared is how many of them break.
func (c Counts) begun() Counts {
	c.Calls = max(c.Calls, c.Begun)
	return c
}

// addUp counts a tick for people.
func (s State) addUp(t Tick) State {
	s.canary, s.stable = s.canary.with(t.Canary), s.stable.with(t.Stable)
	if calls := float64(t.Canary.Calls) + float64(t.Stable.Calls); calls > 0 {
		s.expected = s.expected.plus((float64(t.Canary.Errors) + float64(t.Stable.Errors)) * float64(t.Canary.Calls) / calls)
	}
	return s
}

// stableLatencies is how stable's latencies are distributed: in this rollout, once enough of them were judged.
func (s State) stableLatencies() window {
	if sum(s.stableTook) >= enoughToBet {
		return window{upTo: s.window.upTo, count: s.stableTook}
	}
	return s.window
}

func (p process) begun() bool { return p.spent > 0 }
