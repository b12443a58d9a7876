package signals

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"github.com/prometheus/common/model"
)

// native puts a native histogram of Prometheus's HTTP API into one of ours. The API leaves out buckets without calls, and
// says of each where it begins and ends: in powers of a base that its resolution gives, or at bounds of its own.
func native(sample *model.SampleHistogram) (Histogram, error) {
	out := make(Histogram, 0, len(sample.Buckets))
	for _, b := range sample.Buckets {
		if b == nil || math.IsNaN(float64(b.Lower)) || math.IsNaN(float64(b.Upper)) || b.Lower > b.Upper {
			return nil, errors.New("a native histogram has a bucket without bounds")
		}
		if err := checkCounter("a bucket of a native histogram", float64(b.Count)); err != nil {
			return nil, err
		}
		out = append(out, bucketOf(float64(b.Lower), float64(b.Upper), float64(b.Count)))
	}
	slices.SortFunc(out, func(a, b Bucket) int { return cmp.Compare(a.UpTo, b.UpTo) })
	// Those below zero, and within a nanosecond, are one. Not nil, which would be no histogram.
	return append(Histogram{}, Align(out)[0]...), nil
}
