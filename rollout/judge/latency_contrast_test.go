package judge

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

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
