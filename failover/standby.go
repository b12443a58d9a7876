package failover

import (
	"slices"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// settleTime is for how long a backend that stood by and serves now stands by as well. Its endpoints are new where they serve,
// and Envoy uses none of them before their first health check: until then they are found where they were.
const settleTime = 5 * time.Second

// settling is the backend that has begun to serve a moment ago and stood by until then; empty: none.
func (l *look) settling(p plan, previous *v1alpha1.TrafficStatus) string {
	active := l.name(p.active)
	if previous == nil || previous.Fallback != active && previous.Settling != active {
		return ""
	}
	if p.active != l.active || l.now.Before(l.settledAt) {
		return active
	}
	return ""
}

// hasSettled says whether nothing has changed but that a backend has settled. That follows from the decision by which it began to
// serve, and is none of its own.
func hasSettled(p plan, previous *v1alpha1.TrafficStatus, traffic v1alpha1.TrafficStatus) bool {
	return previous != nil && p.reason == "" && previous.Fallback == traffic.Fallback && slices.Equal(previous.Weights, traffic.Weights)
}

// settledAt is when the last change of the serving backend has settled, by the history. One ahead of
// now is from a clock that has been put back since, and has.
func settledAt(history []v1alpha1.Decision, now time.Time) time.Time {
	for _, d := range slices.Backward(history) {
		switch {
		case d.Time.After(now):
			return time.Time{}
		case d.From == d.To:
		case d.Reason == v1alpha1.DecisionSwitchedToBackup, d.Reason == v1alpha1.DecisionHandedBack,
			d.Reason == v1alpha1.DecisionPinned, d.Reason == v1alpha1.DecisionNoBackendUp, d.Reason == v1alpha1.DecisionSpecChanged:
			return d.Time.Add(settleTime)
		}
	}
	return time.Time{}
}
