package signals

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// cumulative is a bucket of a classic histogram, as Prometheus has it: the calls that took at most so many seconds.
type cumulative struct{ upTo, count float64 }

// upperBound reads a label le.
func upperBound(le string) (float64, error) {
	bound, err := strconv.ParseFloat(le, 64)
	if err != nil || math.IsNaN(bound) {
		return 0, fmt.Errorf("le is %q, which is no number of seconds", presentable(le))
	}
	return bound, nil
}

// classic puts the buckets of one classic histogram into one of ours. It needs all of them.
func classic(buckets []cumulative) (Histogram, error) {
	slices.SortFunc(buckets, func(a, b cumulative) int { return cmp.Compare(a.upTo, b.upTo) })
	if len(buckets) == 0 || !math.IsInf(buckets[len(buckets)-1].upTo, 1) {
		return nil, errors.New("a histogram has no bucket le=\"+Inf\": all of its buckets are needed")
	}
	out := make(Histogram, 0, len(buckets))
	lower, below := math.Inf(-1), 0.0
	for i, b := range buckets {
		switch {
		case i > 0 && b.upTo == lower:
			return nil, fmt.Errorf("a histogram has two buckets le=\"%v\"", b.upTo)
		case b.count < below-rounding:
			return nil, fmt.Errorf("a histogram has fewer calls up to %v s than up to %v s", b.upTo, lower)
		}
		out = append(out, bucketOf(lower, b.upTo, max(0, b.count-below)))
		lower, below = b.upTo, max(below, b.count)
	}
	// Those below zero, and within a nanosecond, are one.
	return Align(out)[0], nil
}
