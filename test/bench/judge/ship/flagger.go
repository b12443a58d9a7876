package ship

import (
	"time"

	"github.com/headgate/headgate/rollout/judge"
	"github.com/headgate/headgate/test/bench/judge/service"
)

// Flagger gives the canary a tenth of the calls more each minute, up to a half, if 99 % of its calls succeeded in that minute. No data is a
// failed check, and failed checks add up until the rollout ends; the fifth rolls back (fluxcd/flagger at 15bd6ad5, pkg/controller:
// scheduler.go, scheduler_metrics.go; thresholds of its tutorial).
func Flagger(s service.Service, run uint64, most time.Duration) Result {
	const threshold, stepWeight, maxWeight = 5, 0.1, 0.5
	weight, failed := 0.0, 0
	return minutely(s, run, most, time.Minute, &weight, func(canary judge.Counts) (promoted, rolledBack bool) {
		if weight == 0 {
			weight = stepWeight
			return false, false
		}
		if !succeeds(canary, 0.99) {
			failed++
			return false, failed >= threshold
		}
		if weight >= maxWeight-1e-9 {
			return true, false
		}
		weight += stepWeight
		return false, false
	})
}

// Argo has steps of 20, 40, 60 and 80 % of five minutes. A background analysis measures the share of successes of the last five minutes each
// five minutes: below 95 % is a failure, and more than three roll back (argo-rollouts at 9f8d111d, docs/features/analysis.md and
// canary.md). Without data a measurement is an error; five in a row roll back.
func Argo(s service.Service, run uint64, most time.Duration) Result {
	const failureLimit, consecutiveErrorLimit = 3, 4
	steps := []float64{0.2, 0.4, 0.6, 0.8}
	weight, failures, errors, at := steps[0], 0, 0, 0
	return minutely(s, run, most, 5*time.Minute, &weight, func(canary judge.Counts) (promoted, rolledBack bool) {
		switch {
		case canary.Calls == 0:
			errors++
		case !succeeds(canary, 0.95):
			failures, errors = failures+1, 0
		default:
			errors = 0
		}
		if failures > failureLimit || errors > consecutiveErrorLimit {
			return false, true
		}
		if at++; at == len(steps) {
			return true, false
		}
		weight = steps[at]
		return false, false
	})
}

// succeeds says whether so many of the calls did. To who asks a counter of finished calls, one that hangs is none.
func succeeds(canary judge.Counts, least float64) bool {
	return canary.Calls > 0 && 1-float64(canary.Errors)/float64(canary.Calls) >= least
}

// minutely looks at what was counted since the last look.
func minutely(s service.Service, run uint64, most, interval time.Duration, weight *float64, look func(judge.Counts) (promoted, rolledBack bool)) Result {
	r, out := s.Start(run), Result{}
	var seen judge.Counts
	pods := max(1, s.Pods)
	if s.Pods == 0 {
		pods = 10
	}
	for out.Took = time.Second; out.Took <= most; out.Took += time.Second {
		canary, _, _, _ := r.Second(*weight, pods)
		seen.Calls, seen.Errors = seen.Calls+canary.Calls, seen.Errors+canary.Errors
		if out.Took%interval != 0 {
			continue
		}
		out.Promoted, out.RolledBack = look(seen)
		out.Calls, out.Failed = r.Calls, r.Failed
		if out.Promoted || out.RolledBack {
			return out
		}
		seen = judge.Counts{}
	}
	out.Calls, out.Failed = r.Calls, r.Failed
	return out
}
