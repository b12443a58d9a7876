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
	var times []time.Time
	switch s.Phase {
	case v1alpha1.RolloutStepping, v1alpha1.RolloutAwaitingApproval:
		times = append(times, live.Add(l.step().hold))
	case v1alpha1.RolloutRechecking:
		times = append(times, later(live, s.Since.Time).Add(recheckTime))
	case v1alpha1.RolloutRollingBack, v1alpha1.RolloutSuspended:
		times = append(times, live.Add(drainTime))
	case v1alpha1.RolloutHandingOver:
		if s.Weight == 0 {
			times = append(times, live.Add(drainTime))
			break
		}
		times = append(times, later(live, s.Since.Time).Add(handOverTime))
	}
	if deadline := l.seen.Workload.Deadline; deadline > 0 && s.PodsNotReadySince != nil {
		times = append(times, s.PodsNotReadySince.Add(deadline))
	}
	if l.stableIsDown() {
		times = append(times, s.StableDownSince.Add(downTime))
	}
	var next time.Time
	for _, at := range times {
		if at.After(l.now) {
			next = sooner(next, at)
		}
	}
	return next
}
