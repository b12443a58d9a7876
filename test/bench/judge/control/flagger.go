package control

import (
	"time"

	"github.com/headgate/headgate/rollout/judge"
)

// Flagger checks the success rate of the last minute once a minute. No data is a failed check, and failed checks add up until the
// rollout ends (fluxcd/flagger at 15bd6ad5, pkg/controller/scheduler_metrics.go: runBuiltinMetricChecks and FailedChecks).
type Flagger struct {
	MinSuccess float64 // 0.99
	Failures   int     // 5: spec.analysis.threshold

	failed  int
	elapsed time.Duration
	minute  judge.Counts
}

// RollBack says whether so many checks have failed.
func (w *Flagger) RollBack(t judge.Tick) bool {
	w.minute = add(w.minute, t.Canary)
	w.elapsed += t.Elapsed
	if w.elapsed < time.Minute {
		return false
	}
	calls, errors := float64(w.minute.Calls), float64(w.minute.Errors)
	if calls == 0 || 1-errors/calls < w.MinSuccess {
		w.failed++
	}
	w.minute, w.elapsed = judge.Counts{}, 0
	return w.failed >= w.Failures
}
