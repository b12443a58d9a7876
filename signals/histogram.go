package signals

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Bucket is the number of calls that took longer than From and at most UpTo.
type Bucket struct {
	From, UpTo time.Duration
	Count      float64
}

const (
	// Unbounded is the upper bound of a bucket without one.
	Unbounded = time.Duration(math.MaxInt64)
	// fromZero is the lower bound of a bucket that calls of no time at all are in.
	fromZero = time.Duration(-1)
)

// Histogram is how many calls took how long: buckets in ascending order that do not overlap. A classic histogram has
// all of its buckets, a native one those with calls in them.
type Histogram []Bucket

// Align gives histograms the same buckets, so that they can be compared and added up: those that overlap become one, in all of
// them. That is exact. A classic histogram with other bounds loses what is finer than both, and a native one of a
// higher resolution comes down to the lower, whose buckets hold its own.
func Align(histograms ...Histogram) []Histogram {
	common := commonBuckets(histograms)
	out := make([]Histogram, len(histograms))
	for i, h := range histograms {
		out[i] = slices.Clone(common)
		at := 0
		for _, bucket := range h {
			for common[at].UpTo < bucket.UpTo {
				at++
			}
			out[i][at].Count += bucket.Count
		}
	}
	return out
}

// commonBuckets are the smallest buckets that each bucket of the histograms lies within, with no calls in them.
func commonBuckets(histograms []Histogram) Histogram {
	all := slices.Concat(histograms...)
	slices.SortFunc(all, func(a, b Bucket) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(b.UpTo, a.UpTo)) })
	var out Histogram
	for _, bucket := range all {
		if last := len(out) - 1; last >= 0 && (bucket.From < out[last].UpTo || bucket.UpTo <= out[last].UpTo) {
			out[last].UpTo = max(out[last].UpTo, bucket.UpTo)
			continue
		}
		out = append(out, Bucket{From: bucket.From, UpTo: bucket.UpTo})
	}
	return out
}

// Calls is how many calls are in it.
func (h Histogram) Calls() float64 {
	sum := 0.0
	for _, bucket := range h {
		sum += bucket.Count
	}
	return sum
}

// Plus are the calls of both.
func (h Histogram) Plus(other Histogram) Histogram {
	if len(h) == 0 {
		return other
	}
	both := Align(h, other)
	for i := range both[0] {
		both[0][i].Count += both[1][i].Count
	}
	return both[0]
}

// rounding is by how much a number may differ from what it is for reasons of arithmetic alone.
const rounding = 1e-6

// minus are the calls since an earlier reading of the same histogram. It fell when that had more of them in some bucket.
func (h Histogram) minus(before Histogram) (grown Histogram, fell bool) {
	both := Align(h, before)
	for i := range both[0] {
		both[0][i].Count -= both[1][i].Count
		fell = fell || both[0][i].Count < -rounding
		both[0][i].Count = max(0, both[0][i].Count)
	}
	return both[0], fell
}

// bucketOf puts bounds in seconds into a bucket. What ends at zero, or below, is one that begins there.
func bucketOf(lower, upper, count float64) Bucket {
	out := Bucket{From: duration(lower), UpTo: duration(upper), Count: count}
	if upper <= 0 || out.UpTo <= 0 {
		return Bucket{From: fromZero, UpTo: 0, Count: count}
	}
	if lower < 0 || math.IsInf(lower, -1) {
		out.From = fromZero
	}
	return out
}

// duration is a number of seconds, to the nanosecond.
func duration(seconds float64) time.Duration {
	nanoseconds := math.Round(seconds * 1e9)
	switch {
	case nanoseconds >= math.MaxInt64:
		return Unbounded
	case nanoseconds > 0:
		return time.Duration(nanoseconds)
	}
	return 0
}
