package judge

import "time"

// sums are calls of both sides.
type sums struct {
	elapsed                                    time.Duration
	canaryCalls, canaryErrors, canaryCancelled uint64
	stableCalls, stableErrors, stableCancelled uint64
}

func sumsOf(t Tick) sums {
	return sums{
		elapsed:     t.Elapsed,
		canaryCalls: t.Canary.Calls, canaryErrors: t.Canary.Errors, canaryCancelled: t.Canary.Cancelled,
		stableCalls: t.Stable.Calls, stableErrors: t.Stable.Errors, stableCancelled: t.Stable.Cancelled,
	}
}

func (n sums) plus(m sums) sums {
	return sums{
		elapsed:     later(n.elapsed, m.elapsed),
		canaryCalls: addUp(n.canaryCalls, m.canaryCalls), canaryErrors: addUp(n.canaryErrors, m.canaryErrors),
		canaryCancelled: addUp(n.canaryCancelled, m.canaryCancelled),
		stableCalls:     addUp(n.stableCalls, m.stableCalls), stableErrors: addUp(n.stableErrors, m.stableErrors),
		stableCancelled: addUp(n.stableCancelled, m.stableCancelled),
	}
}

func (n sums) half() sums {
	return sums{
		n.elapsed / 2, n.canaryCalls / 2, n.canaryErrors / 2, n.canaryCancelled / 2, n.stableCalls / 2, n.stableErrors / 2, n.stableCancelled / 2,
	}
}

// canary and stable are the calls of a side that have come to an end in one way or the other.
func (n sums) canary() uint64 { return addUp(n.canaryCalls, n.canaryCancelled) }
func (n sums) stable() uint64 { return addUp(n.stableCalls, n.stableCancelled) }

// of are the counts that a test of a kind compares. There must be calls.
func (n sums) of(k kind) counts {
	if k == kindCancelled {
		return counts{
			canary: []uint64{n.canaryCancelled}, stable: []uint64{n.stableCancelled}, canaryCalls: n.canary(), stableCalls: n.stable(),
		}
	}
	return counts{canary: []uint64{n.canaryErrors}, stable: []uint64{n.stableErrors}, canaryCalls: n.canaryCalls, stableCalls: n.stableCalls}
}

// rate of a Judge that a kind compares; nil: none.
func (j Judge) rate(k kind) *Rate {
	switch k {
	case kindErrors:
		return j.Errors
	case kindCancelled:
		return j.Cancelled
	}
	return nil
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
