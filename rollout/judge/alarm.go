package judge

import (
	"math"
	"time"
)

// carryFor is how long calls of one side wait for the other: what happened before says little about the same conditions.
const carryFor = 10 * time.Minute

// look hears a tick at once. Two of them at least, and two seconds where ticks last as long, make a suspicion: what is suspected loses its calls,
// and whether it is worse is for the blocks to say.
//
// A tick in which one side has no calls waits for the next one. That depends on the numbers of calls alone, so it bets nothing.
func (j Judge) look(s State, t Tick) State {
	if !t.Cold {
		s.coldAlarm = tests{}
	}
	n := sumsOf(t)
	if j.bounded() && n.canaryCalls > 0 {
		s.alarm[kindMaxErrorRate] = s.alarm[kindMaxErrorRate].advance(j.byTick(s, kindMaxErrorRate), j.absoluteGains(n), t.Elapsed)
	}
	if before := s.carry.plus(n); before.elapsed <= carryFor {
		n = before
	}
	if n.canary() == 0 || n.stable() == 0 {
		s.carry = n
		return s
	}
	s.carry = sums{}
	if worst := s.worstLately(); worst > 0 {
		// Counts of one side may be late: what the canary says now may have happened when stable failed as well.
		n.stableErrors = max(n.stableErrors, uint64(math.Ceil(worst*float64(n.stableCalls))))
	}
	for _, k := range []kind{kindErrors, kindCancelled} {
		rate := j.rate(k)
		compared := n.of(k)
		if rate == nil || compared.canaryCalls == 0 && compared.stableCalls == 0 { // there may be cancelled calls alone
			continue
		}
		if t.Cold {
			s.coldAlarm[k] = s.coldAlarm[k].advance(j.byTick(s, k), moreThan(rate.Tolerate.whenCold()).gains(compared), n.elapsed)
			continue
		}
		s.alarm[k] = s.alarm[k].advance(j.byTick(s, k), moreThan(rate.Tolerate).gains(compared), n.elapsed)
	}
	return s
}
