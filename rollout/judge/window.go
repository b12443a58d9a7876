package judge

import (
	"math"
	"slices"
	"time"
)

// Bucket is the number of calls that took at most UpTo and more than the next smaller UpTo: one bucket of a histogram, classic or
// native, not cumulative.
type Bucket struct {
	UpTo  time.Duration
	Count uint64
}

// Infinity is the upper bound of the last bucket.
const Infinity = time.Duration(math.MaxInt64)

// Seconds makes a bucket's bound of one in seconds, to the nanosecond.
func Seconds(bound float64) time.Duration {
	ns := math.Round(bound * 1e9)
	switch {
	case ns >= math.MaxInt64:
		return Infinity
	case ns > 0:
		return time.Duration(ns)
	}
	return 0
}

// mostBins bounds the size of the state: the 42 buckets of gRPC (gRFC A66) fit unmerged.
const mostBins = 48

// window is the distribution of stable's latencies that the bets are chosen from. Its quality decides how fast a slower canary is
// found, never how often a healthy one is rolled back.
type window struct {
	upTo  []time.Duration // ascending, the last one is Infinity
	count []uint64
}

func (w window) calls() uint64 {
	var sum uint64
	for _, c := range w.count {
		sum += c
	}
	return sum
}

// with adds buckets, each with a bin of its own until there are too many: then the neighbours with the fewest calls become one.
func (w window) with(buckets []Bucket) window {
	next := window{upTo: slices.Clone(w.upTo), count: slices.Clone(w.count)}
	if len(next.upTo) == 0 {
		next = window{upTo: []time.Duration{Infinity}, count: []uint64{0}}
	}
	for _, b := range buckets {
		at, found := slices.BinarySearch(next.upTo, b.UpTo)
		if !found {
			next.upTo = slices.Insert(next.upTo, at, b.UpTo)
			next.count = slices.Insert(next.count, at, 0)
		}
		next.count[at] = addUp(next.count[at], b.Count)
	}
	for len(next.upTo) > mostBins {
		least := 0
		for i := range len(next.upTo) - 1 {
			if addUp(next.count[i], next.count[i+1]) < addUp(next.count[least], next.count[least+1]) {
				least = i
			}
		}
		next.count[least+1] = addUp(next.count[least], next.count[least+1])
		next.upTo = slices.Delete(next.upTo, least, least+1)
		next.count = slices.Delete(next.count, least, least+1)
	}
	return next
}

// bin sorts buckets into the window's bins. Both arms must come with the same buckets.
func (w window) bin(buckets []Bucket) []uint64 {
	counts := make([]uint64, len(w.upTo))
	for _, b := range buckets {
		at, _ := slices.BinarySearch(w.upTo, b.UpTo)
		at = min(at, len(counts)-1)
		counts[at] = addUp(counts[at], b.Count)
	}
	return counts
}

// shares are the probabilities of the bins, each with 0.05 calls more than were seen, so that none is zero.
func (w window) shares() []float64 {
	const extra = 0.05
	shares := make([]float64, len(w.count))
	total := 0.0
	for i, c := range w.count {
		shares[i] = float64(c) + extra
		total += shares[i]
	}
	for i := range shares {
		shares[i] /= total
	}
	return shares
}

// quantileBin is the last bin at or below the p-quantile: the share of calls in later bins is as close to 1-p, by its
// logarithm, as the bins allow.
func (w window) quantileBin(p float64) int {
	tail, best, distance := 1.0, 0, math.Inf(1)
	for i, share := range w.shares() {
		tail -= share
		if i == len(w.upTo)-1 {
			break
		}
		if d := math.Abs(math.Log(max(tail, 1e-9) / (1 - p))); d < distance {
			best, distance = i, d
		}
	}
	return best
}

// mostCount bounds a number of calls, and with it the length of the text: a million calls a second for eleven days.
const mostCount = 1e12 - 1

// addUp is a+b, or the largest count there is.
func addUp(a, b uint64) uint64 {
	return min(a, mostCount) + min(b, mostCount-min(a, mostCount))
}
