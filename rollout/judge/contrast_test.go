package judge

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// The mean of e^l by enumeration of all outcomes, at the margin and within it: at most 1. Floating point costs a billionth.
func TestEvidenceGainsNothingInTheMean(t *testing.T) {
	const size = 6
	for _, stable := range []float64{0.01, 0.1, 0.3, 0.6} {
		for _, ratio := range []float64{1, 1.5, 2} {
			for _, difference := range []float64{0, 0.0005, 0.05} {
				margin := ratio*stable + difference
				for _, canary := range []float64{0, margin / 2, margin, (1 + margin) / 2, 1} {
					if canary > 1 {
						continue
					}
					if canary <= margin {
						atMostOne(t, moreThan(ratio, difference), size, canary, stable)
					}
					if canary >= margin {
						atMostOne(t, lessThan(ratio, difference), size, canary, stable)
					}
				}
			}
		}
	}
}

func atMostOne(t *testing.T, c contrast, size uint64, canary, stable float64) {
	t.Helper()
	for nC := uint64(1); nC <= size; nC++ {
		for nS := uint64(1); nS <= size; nS++ {
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

// The same for latencies: two calls of each arm in all buckets, any window, both arms alike.
func TestLatencyEvidenceGainsNothingInTheMeanOfEqualArms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, shares := anyWindow(t)
		c := latencyContrast(w, rapid.SampledFrom([]float64{0, 0.05, 0.3}).Draw(t, "slowdown"))
		nC := rapid.Uint64Range(1, 2).Draw(t, "canary calls")
		means := make([]float64, len(c.bets))
		outcome(shares, int(nC), func(canary []uint64, p float64) {
			outcome(shares, 2, func(stable []uint64, q float64) {
				for j, gain := range c.gains(counts{canary: canary, stable: stable, canaryCalls: nC, stableCalls: 2}) {
					means[j] += p * q * math.Exp(gain)
				}
			})
		})
		for j, mean := range means {
			if mean > 1+1e-9 {
				t.Fatalf("bet %d has a mean of %v", j, mean)
			}
		}
	})
}

// anyWindow is a window and, unrelated to it, the probabilities of its bins.
func anyWindow(t *rapid.T) (window, []float64) {
	var buckets []Bucket
	var shares []float64
	total := 0.0
	for i := range rapid.IntRange(2, 6).Draw(t, "bins") {
		upTo := time.Duration(math.Pow(3, float64(i))) * time.Millisecond
		buckets = append(buckets, Bucket{UpTo: upTo, Count: rapid.Uint64Range(0, 1000).Draw(t, "count")})
	}
	w := window{}.with(buckets)
	for range w.upTo {
		share := rapid.Float64Range(0.001, 1).Draw(t, "share")
		shares = append(shares, share)
		total += share
	}
	for i := range shares {
		shares[i] /= total
	}
	return w, shares
}

// outcome calls yield for each way in which calls fall into bins.
func outcome(shares []float64, calls int, yield func(counts []uint64, p float64)) {
	var fall func(left int, counts []uint64, p float64)
	fall = func(left int, counts []uint64, p float64) {
		if left == 0 {
			yield(counts, p)
			return
		}
		for b, share := range shares {
			counts[b]++
			fall(left-1, counts, p*share)
			counts[b]--
		}
	}
	fall(calls, make([]uint64, len(shares)), 1)
}

// With slowdown 0, a canary that is faster in distribution gains no evidence either.
func TestLatencyEvidenceGainsNothingInTheMeanOfAFasterCanary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, stable := anyWindow(t)
		canary := append([]float64(nil), stable...)
		for b := len(canary) - 1; b > 0; b-- {
			moved := canary[b] * rapid.Float64Range(0, 1).Draw(t, "moved")
			canary[b] -= moved
			canary[b-1] += moved
		}
		c := latencyContrast(w, 0)
		means := make([]float64, len(c.bets))
		outcome(canary, 1, func(n []uint64, p float64) {
			outcome(stable, 2, func(m []uint64, q float64) {
				for j, gain := range c.gains(counts{canary: n, stable: m, canaryCalls: 1, stableCalls: 2}) {
					means[j] += p * q * math.Exp(gain)
				}
			})
		})
		for j, mean := range means {
			if mean > 1+1e-9 {
				t.Fatalf("bet %d has a mean of %v", j, mean)
			}
		}
	})
}

// Ticks with the same split can be merged: their gains add up.
func TestGainsOfTicksWithTheSameSplitAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := moreThan(1.5, 0.0005)
		if rapid.Bool().Draw(t, "less") {
			c = lessThan(1.5, 0.005)
		}
		nC, nS := rapid.Uint64Range(1, 100).Draw(t, "canary"), rapid.Uint64Range(1, 100).Draw(t, "stable")
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

// The whole of a process: whatever it spends and caps, E gains nothing if the gains do not.
func TestProcessKeepsItsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		speed := pace{planned: time.Hour, perTick: rapid.Float64Range(0, 5).Draw(t, "cap")}
		p := process{}
		for range rapid.IntRange(1, 30).Draw(t, "ticks") {
			elapsed := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "elapsed"))
			gain := rapid.Float64Range(-5, 5).Draw(t, "gain")
			before := math.Exp(p.lnE())
			same := p.advance(speed, []float64{0, 0}, elapsed)
			if after := math.Exp(same.lnE()); after > before*(1+1e-12) || after < before*(1-1e-4) {
				t.Fatalf("a tick that says nothing takes the evidence from %v to %v", before, after)
			}
			p = p.advance(speed, []float64{gain, -gain}, elapsed)
			if p.spent < 0 || p.spent > budget {
				t.Fatalf("spent %d of %d", p.spent, budget)
			}
			if speed.perTick > 0 && p.lnE() > math.Log(before)+speed.perTick+2e-3 {
				t.Fatalf("one tick took the evidence from %v to %v", before, math.Exp(p.lnE()))
			}
		}
	})
}

// Absolute, by the tree of all outcomes of some ticks, at the bound: M is at most what was spent, at every depth.
func TestAbsoluteGainsNoMoreThanItSpends(t *testing.T) {
	for _, bound := range []float64{0.05, 0.3} {
		a := Absolute{Bound: bound, Alpha: 0.01, Horizon: time.Minute}.withDefaults()
		var above, under float64
		var walk func(s AbsoluteState, depth int, p float64)
		walk = func(s AbsoluteState, depth int, p float64) {
			if depth == 0 {
				above += p * math.Exp(logSum(s.Above[:]))
				under += p * math.Exp(logSum(s.Under[:]))
				return
			}
			for errors := range uint64(4) {
				walk(a.Update(s, 3, errors, time.Second), depth-1, p*binomial(3, errors, bound))
			}
		}
		const ticks = 6
		walk(AbsoluteState{}, ticks, 1)
		spent := ticks * a.mass(3, time.Second)
		if above > spent*(1+1e-9) || above < spent/2 {
			t.Errorf("bound %v: a mean of %v of evidence above, from %v spent", bound, above, spent)
		}
		if spent = headStart + spent/2; under > spent*(1+1e-9) || under < spent/2 {
			t.Errorf("bound %v: a mean of %v of evidence below, from %v spent", bound, under, spent)
		}
	}
}

// The control of experiment A4: the cap is what keeps bursts of errors from rolling back.
func TestWithoutTheCapBurstsOfErrorsRollBack(t *testing.T) {
	j := Default().withDefaults()
	j.Latency = nil
	for capped, want := range map[bool]func(wrong int) bool{
		true:  func(wrong int) bool { return wrong <= 4 }, // 1 % of 100 and 3 standard deviations
		false: func(wrong int) bool { return wrong > 5 },
	} {
		speed := j.changes()
		if !capped {
			speed.perTick = 0
		}
		wrong := 0
		for run := range uint64(100) {
			if bursts(speed, run) >= -math.Log(j.Alpha) {
				wrong++
			}
		}
		if !want(wrong) {
			t.Errorf("capped %v: %d of 100 healthy rollouts reach the threshold", capped, wrong)
		}
	}
}

// bursts gives the most evidence that an hour at 10/90 calls a second brings if 0.1 % of both fail, five on average at a time.
func bursts(speed pace, run uint64) float64 {
	r := traffic.Rand(4, run)
	burst := func(calls float64) (errors uint64) {
		for range traffic.Poisson(r, calls*0.001/5) {
			errors++
			for r.Float64() > 0.2 {
				errors++
			}
		}
		return errors
	}
	p, most := process{}, 0.0
	for range 360 {
		n := counts{canary: []uint64{burst(100)}, stable: []uint64{burst(900)}}
		n.canaryCalls, n.stableCalls = n.canary[0]+traffic.Poisson(r, 100), n.stable[0]+traffic.Poisson(r, 900)
		p = p.advance(speed, moreThan(1.5, 0.0005).gains(n), 10*time.Second)
		most = max(most, p.lnE())
	}
	return most
}

func TestIsotonicPoolsWhatFalls(t *testing.T) {
	for _, c := range []struct{ values, weights, want []float64 }{
		{[]float64{1, 2, 3}, []float64{1, 1, 1}, []float64{1, 2, 3}},
		{[]float64{3, 1, 2}, []float64{1, 1, 1}, []float64{2, 2, 2}},
		{[]float64{1, 4, 2, 5}, []float64{1, 1, 3, 1}, []float64{1, 2.5, 2.5, 5}},
	} {
		isotonic(c.values, c.weights)
		if fmt.Sprint(c.values) != fmt.Sprint(c.want) {
			t.Errorf("got %v, want %v", c.values, c.want)
		}
	}
}

func TestWindowKeepsItsCallsAndItsSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, calls := window{}, uint64(0)
		for range rapid.IntRange(1, 150).Draw(t, "buckets") {
			b := Bucket{UpTo: time.Duration(rapid.Int64Range(0, 1e10).Draw(t, "up to")), Count: rapid.Uint64Range(0, 50).Draw(t, "count")}
			w = w.with([]Bucket{b})
			calls += b.Count
		}
		if w.calls() != calls || len(w.upTo) > mostBins || w.upTo[len(w.upTo)-1] != Infinity {
			t.Fatalf("%d calls in %v, want %d", w.calls(), w.upTo, calls)
		}
	})
}
