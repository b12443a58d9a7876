package judge

import (
	"math"
	"time"
)

// process is the evidence of one family of bets: a mixture over alternatives, and over the times at which a change may begin.
//
//	R_j <- (R_j + start/J) e^{l_j},  E = sum_j R_j + rest
//
// start is what the tick spends of the budget of 1, rest what is not spent yet. E starts at 1 and gains nothing in the mean under the
// hypothesis, so it ever reaches 1/alpha with a probability of at most alpha (Ville).
type process struct {
	parts []Nats        // R_j
	spent int64         // of the budget, in billionths
	age   time.Duration // the time that its ticks cover
}

const budget = 1_000_000_000

// pace says how a process may spend and gain.
type pace struct {
	// planned is the time over which changes are looked for: first is the share of the budget that is spent on the first tick, and
	// (1-first) planned/(planned+age) of it is left at any age. So a change after the plan is found too, at a price that grows with
	// the logarithm of the age. Zero spends everything on the first tick.
	planned time.Duration
	first   float64
	// perTick is how many nats a tick may lift the evidence, and a thousandth more, so that rounding does not cost a tick. Zero is no
	// limit. It is for errors that come in bursts, which are not the independent calls of the lemma.
	perTick float64
}

func (p pace) spentBy(age time.Duration) int64 {
	if p.planned <= 0 {
		return budget
	}
	planned := p.planned.Seconds()
	return budget - int64(math.Ceil(budget*(1-p.first)*planned/(planned+max(0, age.Seconds()))))
}

// advance takes the process through one tick with the gains l_j.
func (p process) advance(speed pace, gains []float64, elapsed time.Duration) process {
	before := p.lnE()
	next := process{parts: make([]Nats, len(gains)), age: later(p.age, elapsed)}
	next.spent = max(p.spent, speed.spentBy(next.age))
	start := math.Log(float64(next.spent-p.spent) / budget / float64(len(gains)))
	for j, gain := range gains {
		held := negInf
		if j < len(p.parts) {
			held = p.parts[j].ln()
		}
		next.parts[j] = natsOf(logAdd(held, start) + gain)
	}
	if speed.perTick > 0 {
		limit := math.Exp(before+speed.perTick)*(1+1e-3) - next.rest()
		if excess := logSum(next.parts) - math.Log(limit); excess > 0 {
			lower(next.parts, excess)
		}
	}
	return next
}

func (p process) rest() float64 { return float64(budget-p.spent) / budget }

// lnE is the evidence in nats.
func (p process) lnE() float64 {
	return max(leastNats, logAdd(logSum(p.parts), math.Log(p.rest())))
}

// later adds a time that is not negative, and stays within what a Duration holds.
func later(age, elapsed time.Duration) time.Duration {
	return max(age, age+max(0, elapsed))
}
