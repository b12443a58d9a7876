package failover

import (
	"slices"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// settleTime is how long the fallback stays what it was after another backend has taken over. That
// one's endpoints are new where they serve now, and Envoy uses none of them before its first health
// check: until then they are found where they were, in the fallback.
const settleTime = 5 * time.Second

// standBy is the fallback: the one that is wanted, or, shortly after a switch to it, the one before.
func (l *look) standBy(p plan, previous *v1alpha1.TrafficStatus) string {
	wanted := l.fallback(p)
	if previous == nil || previous.Fallback != l.name(p.active) {
		return wanted
	}
	if p.active != l.active && l.active != none || l.now.Before(l.settledAt) {
		return previous.Fallback
	}
	return wanted
}

// follows says whether nothing has changed but that the fallback, which stayed what it was at the
// last switch, is now what it is to be. That was decided with the switch, and is no decision of its own.
func (l *look) follows(p plan, previous *v1alpha1.TrafficStatus, traffic v1alpha1.TrafficStatus) bool {
	return previous != nil && p.reason == "" && previous.Fallback == l.name(p.active) && slices.Equal(previous.Weights, traffic.Weights)
}

// settledAt is when the last change of the serving backend has settled, by the history. One ahead of
// now is from a clock that has been put back since, and has.
func settledAt(history []v1alpha1.Decision, now time.Time) time.Time {
	for _, d := range slices.Backward(history) {
		switch {
		case d.Time.After(now):
			return time.Time{}
		case d.From == "" || d.From == d.To:
		case d.Reason == v1alpha1.DecisionSwitchedToBackup, d.Reason == v1alpha1.DecisionHandedBack,
			d.Reason == v1alpha1.DecisionPinned, d.Reason == v1alpha1.DecisionNoBackendUp, d.Reason == v1alpha1.DecisionSpecChanged:
			return d.Time.Add(settleTime)
		}
	}
	return time.Time{}
}
