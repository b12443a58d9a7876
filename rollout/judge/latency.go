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
	upper := float64(c.upTo[bin])
	if upper <= 0 {
		return c.upper[bin]
	}
	lower, below := 0.0, 0.0
	if bin > 0 {
		lower, below = float64(c.upTo[bin-1]), c.upper[bin-1]
	}
	part := latency / upper
	if lower > 0 {
		part = math.Log(latency/lower) / math.Log(upper/lower)
	}
	return below + c.share[bin]*min(max(part, 0), 1)
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
