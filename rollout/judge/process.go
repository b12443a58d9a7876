package judge

import (
	"math"
	"slices"
	"time"
)

// process is the evidence of one family of bets: a mixture over alternatives, and over the times at which a change may begin.
//
//	R_j <- (R_j + start w_j) e^{l_j},  E = sum_j R_j + rest
//
// start is what the tick spends of the budget of 1, w_j the share of alternative j in it, rest what is not spent yet. E starts at 1 and gains nothing in the mean under the
// hypothesis, so it ever reaches 1/alpha with a probability of at most alpha (Ville).
type process struct {
	parts []Nats        // R_j
	spent int64         // of the budget, in billionths
	age   time.Duration // the time that its ticks cover
	// base is where the evidence was before the last block, if ticks are blocks; 0: there was none.
	base Nats
}

const budget = 1_000_000_000

// pace says how a process may spend and gain.
type pace struct {
	// planned is the time over which changes are looked for: first is the share of the budget that is spent on the first tick, and
	// (1-first) planned/(planned+age) of it is left at any age. So a change after the plan is found too, at a price that grows with
	// the logarithm of the age. Zero spends everything on the first tick.
	planned time.Duration
	first   float64
	// perTick is how many nats a tick may lift the evidence above where it stood, or above 1 if it stood lower, and a thousandth more,
	// so that rounding does not cost a tick. Zero is no limit. It is for errors that come in bursts, which are not the independent
	// calls of the lemma. Healthy calls from before do not make a fault take more ticks.
	perTick float64
	// favoured is the share of the starts that the first alternative has; 0: as much as each other one.
	favoured float64
}

// start is the share of the starts that an alternative of n has.
func (p pace) start(j, n int) float64 {
	switch {
	case p.favoured == 0 || n == 1:
		return 1 / float64(n)
	case j == 0:
		return p.favoured
	}
	return (1 - p.favoured) / float64(n-1)
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
	spent := float64(next.spent-p.spent) / budget
	held := make([]float64, len(gains))
	for j := range gains {
		held[j] = negInf
		if j < len(p.parts) {
			held[j] = p.parts[j].ln()
		}
		held[j] = logAdd(held[j], math.Log(spent*speed.start(j, len(gains))))
	}
	most := math.Inf(1)
	if speed.perTick > 0 {
		most = mostGain(held, gains, math.Exp(max(0, before)+speed.perTick)*(1+1e-3)-next.rest())
	}
	for j, gain := range gains {
		next.parts[j] = natsOf(held[j] + min(gain, most))
	}
	return next
}

// mostGain is the gain to cut all gains at, so that their sum is at most limit. To cut the largest ones keeps what moderate alternatives gain:
// if all were scaled down, the extreme ones, which lose all in the next healthy tick, would take everything with them.
func mostGain(held, gains []float64, limit float64) float64 {
	sum := func(most float64) float64 {
		total := 0.0
		for j, gain := range gains {
			total += math.Exp(held[j] + min(gain, most))
		}
		return total
	}
	if sum(math.Inf(1)) <= limit {
		return math.Inf(1)
	}
	low, high := -100.0, slices.Max(gains)
	for range 50 {
		if middle := (low + high) / 2; sum(middle) <= limit {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// hearBlock takes the process through a block. It and the block before it lift the evidence by the pace of one tick: an event may lie in both.
func (p process) hearBlock(speed pace, gains []float64, elapsed time.Duration) process {
	before := p.lnE()
	if p.base != 0 && p.base.ln() < before {
		speed.perTick = max(speed.perTick-(before-p.base.ln()), leastRise)
	}
	next := p.advance(speed, gains, elapsed)
	next.base = natsOf(before)
	return next
}

// apart makes the next block an event of its own.
func (p process) apart() process {
	p.base = 0
	return p
}

// leastRise is no rise, for a pace of zero would not bound it.
const leastRise = 1e-9

func (p process) rest() float64 { return float64(budget-p.spent) / budget }

// lnE is the evidence in nats.
func (p process) lnE() float64 {
	return max(leastNats, logAdd(logSum(p.parts), math.Log(p.rest())))
}

// later adds a time that is not negative, and stays within what a Duration holds.
func later(age, elapsed time.Duration) time.Duration {
	return max(age, age+max(0, elapsed))
}
