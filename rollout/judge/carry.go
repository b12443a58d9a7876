package judge

import "time"

// carry is what waits until both arms have calls. That depends on the numbers of calls only, never on errors or latencies, so merging
// ticks this way bets nothing.
type carry struct {
	counts
	elapsed time.Duration
}

// join adds a tick, and says whether both arms have calls by now.
func (c carry) join(elapsed time.Duration, tick counts) (merged counts, covers time.Duration, ready bool) {
	if c.canary == nil || later(c.elapsed, elapsed) > carryFor {
		merged, covers = tick, later(0, elapsed)
	} else {
		covers = later(c.elapsed, elapsed)
		merged = counts{
			canary: addEach(c.canary, tick.canary), stable: addEach(c.stable, tick.stable),
			canaryCalls: addUp(c.canaryCalls, tick.canaryCalls), stableCalls: addUp(c.stableCalls, tick.stableCalls),
		}
	}
	return merged, covers, merged.canaryCalls > 0 && merged.stableCalls > 0
}

// above leaves one bucket: the calls in bins after last.
func (n counts) above(last int) counts {
	n.canary = []uint64{sum(n.canary[last+1:])}
	n.stable = []uint64{sum(n.stable[last+1:])}
	return n
}

func addEach(a, b []uint64) []uint64 {
	total := make([]uint64, len(a))
	for i := range a {
		total[i] = addUp(a[i], b[i])
	}
	return total
}
