package rollout

import (
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// next is when something will change by time alone. Zero: never.
func (l *look) next(taken *transition) time.Time {
	if taken != nil {
		return l.now.Add(time.Millisecond) // Another transition may be due.
	}
	s := &l.status
	if s.LiveSince == nil {
		return time.Time{}
	}
	live := s.LiveSince.Time
	var next time.Time
	switch s.Phase {
	case v1alpha1.RolloutStepping, v1alpha1.RolloutAwaitingApproval:
		next = live.Add(l.step().hold)
	case v1alpha1.RolloutRechecking:
		next = later(live, s.Since.Time).Add(recheckTime)
	case v1alpha1.RolloutRollingBack, v1alpha1.RolloutSuspended:
		next = live.Add(drainTime)
	case v1alpha1.RolloutHandingOver:
		next = later(live, s.Since.Time).Add(handOverTime)
		if s.Weight == 0 {
			next = live.Add(drainTime)
		}
	}
	if !next.After(l.now) {
		return time.Time{}
	}
	return next
}
