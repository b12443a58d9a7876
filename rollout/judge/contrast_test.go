package judge

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The mean of e^l by enumeration of all outcomes, at the margin and within it: at most 1. Floating point costs a billionth.
//
// Which alternative lessThan chooses depends on the number of calls and on a rate that is known before: whatever both are, it must
// gain nothing.
func TestEvidenceGainsNothingInTheMean(t *testing.T) {
	const size = 6
	for _, stable := range []float64{0.01, 0.1, 0.3, 0.6} {
		for _, ratio := range []float64{1, 1.5, 2} {
			for _, difference := range []float64{0, 0.0005, 0.05} {
				tolerated := Margin{Ratio: ratio, Difference: difference}
				eachRate(tolerated, stable, func(canary float64, within bool) {
					if within {
						atMostOne(t, size, canary, stable, func(uint64, uint64) contrast { return moreThan(tolerated) })
					}
				})
				for _, share := range []int32{allParts / 100, allParts / 10, allParts} {
					proved := tolerated.At(share)
					eachRate(proved, stable, func(canary float64, within bool) {
						if within && canary < proved.Ratio*stable+proved.Difference {
							return
						}
						for _, rate := range []float64{0, 0.001, 0.05, 0.5} {
							atMostOne(t, size, canary, stable, func(nC, nS uint64) contrast {
								return lessThan(proved, counts{canaryCalls: nC, stableCalls: nS}, rate)
							})
						}
					})
				}
			}
		}
	}
}

// eachRate calls yield for rates of the canary around what a margin allows.
func eachRate(m Margin, stable float64, yield func(canary float64, within bool)) {
	allowed := m.Ratio*stable + m.Difference
	for _, canary := range []float64{0, allowed / 2, allowed, (1 + allowed) / 2, 1} {
		if canary <= 1 {
			yield(canary, canary <= allowed)
		}
	}
}

func atMostOne(t *testing.T, size uint64, canary, stable float64, of func(nC, nS uint64) contrast) {
	t.Helper()
	for nC := uint64(1); nC <= size; nC++ {
		for nS := uint64(1); nS <= size; nS++ {
			c := of(nC, nS)
			means := make([]float64, len(c.bets))
			for eC := range nC + 1 {
				for eS := range nS + 1 {
					weight := binomial(nC, eC, canary) * binomial(nS, eS, stable)
					gains := c.gains(counts{canary: []uint64{eC}, stable: []uint64{eS}, canaryCalls: nC, stableCalls: nS})
					for j, gain := range gains {
						means[j] += weight * math.Exp(gain)
					}
				}
			}
			for j, mean := range means {
				if mean > 1+1e-9 {
					t.Errorf("rates %v and %v, %d and %d calls, bet %v: mean %v", canary, stable, nC, nS, c.bets[j], mean)
				}
			}
		}
	}
}

func binomial(n, k uint64, p float64) float64 {
	ways := 1.0
	for i := range k {
		ways *= float64(n-i) / float64(i+1)
	}
	return ways * math.Pow(p, float64(k)) * math.Pow(1-p, float64(n-k))
}

// Ticks with the same split can be merged: their gains add up.
func TestGainsOfTicksWithTheSameSplitAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := moreThan(Margin{1.5, 0.0005})
		nC, nS := rapid.Uint64Range(1, 100).Draw(t, "canary"), rapid.Uint64Range(1, 100).Draw(t, "stable")
		if rapid.Bool().Draw(t, "less") {
			c = lessThan(Margin{1.5, 0.005}, counts{canaryCalls: nC, stableCalls: nS}, 0.01)
		}
		tick := func(times uint64) counts {
			return counts{
				canary: []uint64{rapid.Uint64Range(0, nC).Draw(t, "errors")}, stable: []uint64{rapid.Uint64Range(0, nS).Draw(t, "errors")},
				canaryCalls: times * nC, stableCalls: times * nS,
			}
		}
		a, b := tick(1), tick(3)
		both := counts{
			canary: addEach(a.canary, b.canary), stable: addEach(a.stable, b.stable),
			canaryCalls: a.canaryCalls + b.canaryCalls, stableCalls: a.stableCalls + b.stableCalls,
		}
		one, other, sum := c.gains(a), c.gains(b), c.gains(both)
		for j := range sum {
			if got, want := sum[j], one[j]+other[j]; got != want && math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
				t.Fatalf("bet %d: %v at once, %v apart", j, got, want)
			}
		}
	})
}
