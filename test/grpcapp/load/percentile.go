package load

import (
	"math"
	"slices"
	"time"
)

// Latency summarises latencies; all zero when there are none.
type Latency struct {
	P50, P90, P99, Max time.Duration
}

// latencyOf summarises the calls that succeeded: a call refused in no time would make
// a failing server look fast, and one cut by its deadline says more about the deadline.
func latencyOf(calls []record) Latency {
	latencies := make([]time.Duration, 0, len(calls))
	for _, call := range calls {
		if !call.failed() {
			latencies = append(latencies, call.latency)
		}
	}
	slices.Sort(latencies)
	return Latency{
		P50: Percentile(latencies, 50),
		P90: Percentile(latencies, 90),
		P99: Percentile(latencies, 99),
		Max: Percentile(latencies, 100),
	}
}

// Percentile is the nearest-rank percentile, 0 < p <= 100: the smallest value that at
// least p percent of the sorted values do not exceed. It is 0 when there are none.
func Percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
