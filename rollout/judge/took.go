package judge

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Took is how long the calls of one arm took whose latencies were judged.
type Took struct {
	// Calls is how many they are.
	Calls uint64
	// P50, P90 and P99 are quantiles of their latencies: what lies within a bucket is estimated by a straight line over
	// the logarithm of the latency, and Infinity is above the last bound.
	P50, P90, P99 time.Duration
	// last is the last bound.
	last time.Duration
}

// Took is how long the calls of both arms took since the test of latencies began. It is for people: nothing is decided from it.
func (s State) Took() (canary, stable Took) {
	return tookOf(s.window.upTo, s.canaryTook), tookOf(s.window.upTo, s.stableTook)
}

// String is such as "p50 12ms, p90 31ms, p99 140ms of 5000 calls".
func (t Took) String() string {
	if t.Calls == 0 {
		return "no calls"
	}
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s of %d calls", t.text(t.P50), t.text(t.P90), t.text(t.P99), t.Calls)
}

func (t Took) text(latency time.Duration) string {
	if latency == Infinity {
		return "above " + readable(t.last)
	}
	return readable(latency)
}

// readable leaves three digits of a latency.
func readable(latency time.Duration) string {
	unit := time.Duration(1)
	for latency/unit >= 1000 {
		unit *= 10
	}
	return latency.Round(unit).String()
}

func tookOf(upTo []time.Duration, count []uint64) Took {
	total := sum(count)
	out := Took{Calls: total}
	if len(upTo) > 1 {
		out.last = upTo[len(upTo)-2]
	}
	if total > 0 {
		out.P50, out.P90, out.P99 = quantile(upTo, count, 0.5), quantile(upTo, count, 0.9), quantile(upTo, count, 0.99)
	}
	return out
}

// quantile is the latency that a share p of the calls took at most. There must be calls.
func quantile(upTo []time.Duration, count []uint64, p float64) time.Duration {
	rank, below := p*float64(sum(count)), 0.0
	for i, n := range count {
		within := float64(n)
		if n == 0 || below+within < rank {
			below += within
			continue
		}
		if upTo[i] == Infinity {
			return Infinity
		}
		upper, lower := float64(upTo[i]), 0.0
		if i > 0 {
			lower = float64(upTo[i-1])
		}
		part := (rank - below) / within
		if lower <= 0 {
			return time.Duration(upper * part)
		}
		return time.Duration(lower * math.Pow(upper/lower, part))
	}
	return Infinity
}

// addTook adds calls by bin.
func addTook(before, more []uint64) []uint64 {
	if before == nil {
		before = make([]uint64, len(more))
	}
	total := slices.Clone(before)
	for i, n := range more {
		total[i] = addUp(total[i], n)
	}
	return total
}
