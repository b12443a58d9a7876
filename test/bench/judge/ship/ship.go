// Package ship lets controllers ship a version of a simulated service: Headgate by rollout.Decide, as the product calls it, and others by
// their rules, as they are written in their sources.
package ship

import (
	"time"

	"github.com/headgate/headgate/test/bench/judge/service"
)

// Result is how a rollout ended.
type Result struct {
	// Promoted and RolledBack: neither means that it was still under way after the time that it was given.
	Promoted, RolledBack bool
	// Took is the time until then.
	Took time.Duration
	// Calls are those that the canary had, Failed those of them that failed because of it, by the mean.
	Calls, Failed float64
	// Suspected is the time until its calls were first taken away, SuspectedCalls those until then and SuspectedFailed
	// those that had failed; 0: they never were.
	Suspected                       time.Duration
	SuspectedCalls, SuspectedFailed float64
	// Message is what people are told in the end.
	Message string
}

// Controller ships a version once, for at most so long.
type Controller func(s service.Service, run uint64, most time.Duration) Result
