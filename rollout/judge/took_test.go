package judge

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTookIsReadByPeople(t *testing.T) {
	bounds := []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, Infinity}
	for name, c := range map[string]struct {
		count []uint64
		want  string
	}{
		"nothing":                         {nil, "no calls"},
		"all in the first bucket":         {[]uint64{100, 0, 0}, "p50 5ms, p90 9ms, p99 9.9ms of 100 calls"},
		"over the logarithm of a bucket":  {[]uint64{0, 100, 0}, "p50 31.6ms, p90 79.4ms, p99 97.7ms of 100 calls"},
		"above the last bound":            {[]uint64{50, 0, 50}, "p50 10ms, p90 above 100ms, p99 above 100ms of 100 calls"},
		"of so many that nothing is left": {[]uint64{mostCount, mostCount, mostCount}, "p50 31.6ms, p90 above 100ms, p99 above 100ms of 2999999999997 calls"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tookOf(bounds, c.count).String(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Whatever the counts: quantiles rise, and lie in the bucket that the call of that rank is in.
func TestQuantilesLieInTheirBucket(t *testing.T) {
	bounds := []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 21 * time.Millisecond, time.Hour, Infinity}
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.SliceOfN(rapid.Uint64Range(0, 9), len(bounds), len(bounds)).Draw(t, "count")
		if sum(count) == 0 {
			return
		}
		last := time.Duration(0)
		for _, p := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			got := quantile(bounds, count, p)
			if got < last {
				t.Fatalf("the %v-quantile is %s, below %s", p, got, last)
			}
			last = got
			below, upTo := uint64(0), uint64(0)
			for i, bound := range bounds {
				if bound < got {
					below += count[i]
				}
				if i == 0 || bounds[i-1] <= got {
					upTo += count[i]
				}
			}
			if rank := p * float64(sum(count)); float64(below) > rank+1e-9 || float64(upTo) < rank-1e-9 {
				t.Fatalf("the %v-quantile of %v is %s: %d calls are below its bucket and %d up to it", p, count, got, below, upTo)
			}
		}
	})
}
