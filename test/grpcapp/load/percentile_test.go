package load

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func TestPercentileIsOfTheNearestRank(t *testing.T) {
	values := func(n int) (sorted []time.Duration) {
		for i := range n {
			sorted = append(sorted, time.Duration(i+1))
		}
		return sorted
	}
	for _, test := range []struct {
		n    int
		p    float64
		want time.Duration
	}{
		{0, 50, 0}, {1, 1, 1}, {1, 100, 1}, {5, 50, 3}, {4, 50, 2}, {100, 99, 99}, {101, 99, 100}, {100, 100, 100}, {10, 90, 9},
	} {
		if got := Percentile(values(test.n), test.p); got != test.want {
			t.Errorf("p%g of 1..%d is %d, want %d", test.p, test.n, got, test.want)
		}
	}
}

func TestLatencyIsOfSuccesses(t *testing.T) {
	got := latencyOf([]record{{latency: 3}, {latency: 1}, {latency: 9, code: codes.Internal}, {latency: 2}})
	if want := (Latency{P50: 2, P90: 3, P99: 3, Max: 3}); got != want {
		t.Errorf("latency is %v, want %v", got, want)
	}
}
