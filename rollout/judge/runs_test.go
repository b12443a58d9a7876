package judge_test

import (
	"math"
	"testing"
)

// shrink is how many of runs are made: fewer in short mode and under the race detector.
func shrink(runs int) int {
	if testing.Short() || raceDetector {
		return max(20, runs/10)
	}
	return runs
}

// atMost is the number of events with probability p in runs independent runs, plus 3 standard deviations of the binomial: what a
// test at level p may show.
func atMost(runs int, p float64) int {
	n := float64(runs)
	return int(math.Ceil(n*p + 3*math.Sqrt(n*p*(1-p))))
}
