package judge

import (
	"math"
	"time"
)

// latencyContrast bets on a canary that is slower than slowdown (0.05: by 5 %) allows: a share of its calls, times slower, as the window
// would show it.
//
// The bets rise with the latency (isotonic regression), so with slowdown 0 the test is exact for every canary that is not
// slower in distribution. A bet that contradicts the margin in a bucket is left out of it, so that every term of the lemma at
// contrast is at most 0 when both arms are alike: exact then for any slowdown and any shape of latencies. Exactly at the margin it
// is approximate, since nothing is known of latencies within a bucket.
func latencyContrast(w window, slowdown float64) contrast {
	tolerated := 1 + slowdown
	curve := newCurve(w)
	c := contrast{margin: curve.ratios(tolerated, 1)}
	for b, margin := range c.margin {
		if math.Abs(margin-1) < 1e-9 { // only rounding: without it, it would contradict every bet
			c.margin[b] = 1
		}
	}
	for _, slower := range []float64{1.1, 1.25, 1.5, 2, 4} {
		for _, share := range []float64{1, 0.3, 0.1, 0.02} {
			bet := curve.ratios(slower*tolerated, share)
			for b, margin := range c.margin {
				if (bet[b]-margin)*(margin-1) < 0 {
					bet[b] = margin
				}
			}
			c.bets = append(c.bets, bet)
		}
	}
	return c
}

// curve is the distribution function of a window: at the bounds as counted, between them straight over the logarithm of
// the latency, and over the latency itself in the bucket that starts at zero.
type curve struct {
	upTo  []time.Duration
	share []float64 // of each bin
	upper []float64 // up to and with each bin
}

func newCurve(w window) curve {
	c := curve{upTo: w.upTo, share: w.shares()}
	sum := 0.0
	for _, s := range c.share {
		sum += s
		c.upper = append(c.upper, sum)
	}
	return c
}

// ratios gives for each bin how much more probable it is when share of the calls are slower times slower: at least 0.02, at most 50,
// and never falling with the latency.
func (c curve) ratios(slower, share float64) []float64 {
	ratios := make([]float64, len(c.share))
	below, bin := 0.0, 0
	for b, upTo := range c.upTo {
		upper := 1.0
		if upTo != Infinity {
			at := float64(upTo) / slower
			for bin < len(c.upTo)-1 && float64(c.upTo[bin]) < at {
				bin++
			}
			upper = c.at(bin, at)
		}
		ratios[b] = min(max(1-share+share*(upper-below)/c.share[b], 0.02), 50)
		below = upper
	}
	isotonic(ratios, c.share)
	return ratios
}

// at is the value of the curve at a latency within bin, which is not the last one.
func (c curve) at(bin int, latency float64) float64 {
	return c.upper[bin] - c.share[bin]*(1-c.part(bin, latency))
}

// part is how far into bin a latency is: from 0 to 1 over its logarithm, and over itself in the bucket that starts at zero.
func (c curve) part(bin int, latency float64) float64 {
	upper, lower := float64(c.upTo[bin]), 0.0
	if bin > 0 {
		lower = float64(c.upTo[bin-1])
	}
	switch {
	case upper <= 0:
		return 1
	case lower <= 0:
		return min(max(latency/upper, 0), 1)
	}
	return min(max(math.Log(latency/lower)/math.Log(upper/lower), 0), 1)
}

// fewerSlow tests whether the share of calls above a bin is so small that a share of all calls may be given to the canary, given how
// stable's latencies were distributed before the block.
func (l Latency) fewerSlow(stable window, last int, share int32, n counts) contrast {
	allowed := *l.Prove
	tail, slowed := newCurve(stable).above(last, 1+l.Slowdown)
	if slowed > allowed.Ratio*tail+allowed.Difference {
		allowed = Margin{Ratio: slowed / tail}
	}
	return lessThan(allowed.At(share), n, tail)
}

// sharpest bounds what above believes of a curve: the share above a latency grows with its tenth power at most. A histogram does not
// show more, because all calls of a bucket may lie at its lower bound.
const sharpest = 10

// above is the share of calls above a bin, and what it becomes when all are slower times slower. Within a bucket the logarithm of the
// share falls straight over that of the latency: the least that it can be where the share falls ever faster, as in all usual
// distributions (an increasing generalized failure rate; Lariviere and Porteus, 2001).
func (c curve) above(bin int, slower float64) (tail, slowed float64) {
	tail = 1 - c.upper[bin]
	if bin == len(c.upTo)-1 || tail <= 0 {
		return 0, 0
	}
	at, most := float64(c.upTo[bin])/slower, tail*math.Pow(slower, sharpest)
	for bin > 0 && float64(c.upTo[bin-1]) >= at {
		bin--
	}
	upper := 1 - c.upper[bin]
	lower := upper + c.share[bin]
	return tail, min(lower*math.Pow(upper/lower, c.part(bin, at)), most)
}

// isotonic replaces values by the never falling ones that are closest to them in the sum of weighted squares (pool adjacent
// violators; Ayer et al., 1955).
func isotonic(values, weights []float64) {
	type block struct {
		mean, weight float64
		size         int
	}
	blocks := make([]block, 0, len(values))
	for i, v := range values {
		last := block{v, weights[i], 1}
		for len(blocks) > 0 && blocks[len(blocks)-1].mean >= last.mean {
			before := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			weight := before.weight + last.weight
			last = block{(before.mean*before.weight + last.mean*last.weight) / weight, weight, before.size + last.size}
		}
		blocks = append(blocks, last)
	}
	i := 0
	for _, b := range blocks {
		for range b.size {
			values[i] = b.mean
			i++
		}
	}
}

// slowFrom is the quantile of stable above which calls are slow.
const slowFrom = 0.9

// takeLatencies adds the latencies of a tick to the open block.
func (j Judge) takeLatencies(s State, t Tick) State {
	if j.Latency == nil {
		return s
	}
	if !s.verdict[kindLatency].begun() && s.canaryTook == nil && s.window.calls() < enoughToBet {
		return j.Learn(s, t.Stable.Latencies)
	}
	if s.open.canaryTook == nil && len(t.Canary.Latencies)+len(t.Stable.Latencies) == 0 {
		return s
	}
	canary, stable := s.window.bin(t.Canary.Latencies), s.window.bin(t.Stable.Latencies)
	s.open.canaryTook, s.open.stableTook = addTook(s.open.canaryTook, canary), addTook(s.open.stableTook, stable)
	return s
}

// judgeLatencies takes in the latencies of the open block, which ends.
func (j Judge) judgeLatencies(s State) State {
	b := s.open
	if j.Latency == nil || b.canaryTook == nil || b.cold {
		return s
	}
	n := counts{canary: b.canaryTook, stable: b.stableTook, canaryCalls: sum(b.canaryTook), stableCalls: sum(b.stableTook)}
	before := s.stableLatencies()
	s.canaryTook, s.stableTook = addTook(s.canaryTook, n.canary), addTook(s.stableTook, n.stable)
	if n.canaryCalls == 0 || n.stableCalls == 0 {
		return s
	}
	s.verdict[kindLatency] = s.verdict[kindLatency].hearBlock(
		j.byBlock(kindLatency, partsOfALatencyVerdict), latencyContrast(s.window, j.Latency.Slowdown).gains(n), b.elapsed)
	s = j.conclude(s)
	if j.Latency.Prove == nil {
		return s
	}
	last := s.window.quantileBin(slowFrom)
	slow := n.above(last)
	return j.prove(s, kindLatency, b, func(share int32) []float64 { return j.Latency.fewerSlow(before, last, share, slow).gains(slow) })
}
