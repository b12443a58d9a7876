package control

import (
	"math"
	"testing"
	"time"

	"github.com/headgate/headgate/rollout/judge"
)

func minutes(w Watcher, calls, errors uint64) (rolledBackAfter int) {
	for n := range 60 {
		t := judge.Tick{
			Elapsed: time.Minute,
			Canary:  judge.Counts{Calls: calls, Errors: errors},
			Stable:  judge.Counts{Calls: 1000, Errors: uint64(n % 3)},
		}
		if w.RollBack(t) {
			return n + 1
		}
	}
	return 0
}

func TestRulesOfOthersDoWhatTheirSourcesSay(t *testing.T) {
	flagger := func() Watcher { return &Flagger{MinSuccess: 0.99, Failures: 5} }
	kayenta := func() Watcher { return &Kayenta{Metric: ErrorRatio} }
	for name, c := range map[string]struct {
		rule          Watcher
		calls, errors uint64
		want          int
	}{
		"Flagger, 2 % errors":                      {flagger(), 100, 2, 5},
		"Flagger, 1 % errors":                      {flagger(), 100, 1, 0},
		"Flagger, no data":                         {flagger(), 0, 0, 5},
		"Kayenta, 5 % errors":                      {kayenta(), 100, 5, 5},
		"Kayenta, fewer errors than stable":        {kayenta(), 100, 0, 0},
		"z-test, 5 % errors where stable has none": {&ZTest{}, 100, 5, 1},
		"z-test, no data":                          {&ZTest{}, 0, 0, 0},
	} {
		if got := minutes(c.rule, c.calls, c.errors); got != c.want {
			t.Errorf("%s: rolls back after %d minutes, want %d", name, got, c.want)
		}
	}
}

// Two samples of five that do not overlap: R's wilcox.test has z = (25-12.5-0.5)/sqrt(5*5*11/12) = 2.507.
func TestStatisticOfApartSamples(t *testing.T) {
	if z := statistic([]float64{6, 7, 8, 9, 10}, []float64{1, 2, 3, 4, 5}, 0); math.Abs(z-2.5067) > 1e-3 {
		t.Errorf("z = %v", z)
	}
}

func TestP99IsInterpolatedWithinItsBucket(t *testing.T) {
	n := judge.Counts{Latencies: []judge.Bucket{{UpTo: time.Second, Count: 98}, {UpTo: 2 * time.Second, Count: 2}, {UpTo: judge.Infinity}}}
	if got := P99(n); math.Abs(got-1.5) > 1e-9 {
		t.Errorf("got %v s, want 1.5", got)
	}
}
