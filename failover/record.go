package failover

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

const (
	// mostHistory is how many decisions the status keeps.
	mostHistory = 20
	// mostMessage is how long the message of a decision may be.
	mostMessage = 512
)

// record puts the plan into numbers, and everything that changes into a decision with its reason.
func (l *look) record(p plan, previous *v1alpha1.TrafficStatus) (v1alpha1.TrafficStatus, []v1alpha1.Decision) {
	traffic := v1alpha1.TrafficStatus{Weights: l.weights(p), Fallback: l.fallback(p), Settling: l.settling(p, previous)}
	if previous != nil {
		traffic.Revision, traffic.Reason, traffic.Time = previous.Revision, previous.Reason, previous.Time
		// Which slot has which version is for rollouts to decide.
		traffic.Slot, traffic.StableHash, traffic.CanaryHash = previous.Slot, previous.StableHash, previous.CanaryHash
	}
	changed := previous == nil || !slices.Equal(previous.Weights, traffic.Weights) ||
		previous.Fallback != traffic.Fallback || previous.Settling != traffic.Settling

	var decisions []v1alpha1.Decision
	decide := func(reason v1alpha1.DecisionReason, message, from, to string) {
		decisions = append(decisions, v1alpha1.Decision{
			Time: *micro(l.now), Revision: traffic.Revision, Reason: reason, Message: text.Cut(message, mostMessage), From: from, To: to,
		})
		if reason != v1alpha1.DecisionSwitchHeld {
			traffic.Reason, traffic.Time = reason, *micro(l.now)
		}
	}
	if p.reason == v1alpha1.DecisionSwitchHeld {
		decide(p.reason, p.message, l.name(p.from), l.name(p.to))
		p.reason = ""
	}
	if changed {
		traffic.Revision++
	}
	switch {
	case p.reason != "":
		decide(p.reason, p.message, l.name(p.from), l.name(p.to))
	case changed && !hasSettled(p, previous, traffic):
		reason, message := l.standsBy(p, previous, traffic)
		decide(reason, message, l.name(p.active), l.name(p.active))
	}
	return traffic, decisions
}

// standsBy says what has changed when the serving backend has not.
func (l *look) standsBy(p plan, previous *v1alpha1.TrafficStatus, traffic v1alpha1.TrafficStatus) (v1alpha1.DecisionReason, string) {
	sameName := func(a, b v1alpha1.BackendWeight) bool { return a.Name == b.Name }
	if !slices.EqualFunc(previous.Weights, traffic.Weights, sameName) {
		return v1alpha1.DecisionSpecChanged, fmt.Sprintf("the backends are now %s; the fallback is %s", names(traffic.Weights), orNone(traffic.Fallback))
	}
	var changes []string
	for i, w := range traffic.Weights {
		if before := previous.Weights[i].Weight; before != w.Weight && w.Name != l.name(p.active) {
			changes = append(changes, fmt.Sprintf("%s has weight %d instead of %d (%s)", w.Name, w.Weight, before, l.backends[i].describe()))
		}
	}
	if previous.Fallback != traffic.Fallback {
		changes = append(changes, fmt.Sprintf("the fallback is %s instead of %s", orNone(traffic.Fallback), orNone(previous.Fallback)))
	}
	return v1alpha1.DecisionNetChanged, fmt.Sprintf("%s serves on; %s", l.name(p.active), strings.Join(changes, "; "))
}

func names(weights []v1alpha1.BackendWeight) string {
	var out []string
	for _, w := range weights {
		out = append(out, w.Name)
	}
	return strings.Join(out, ", ")
}

func orNone(name string) string {
	if name == "" {
		return "none"
	}
	return name
}

// remember appends decisions to the history. Of a run of changed nets only the last two are kept, so that a backend that
// flaps while it is held back does not push out what people look for.
func remember(history, decisions []v1alpha1.Decision) []v1alpha1.Decision {
	out := slices.Clone(history)
	for _, d := range decisions {
		if n := len(out); n >= 2 && isNetChange(d) && isNetChange(out[n-1]) && isNetChange(out[n-2]) {
			out = slices.Delete(out, n-2, n-1)
		}
		out = append(out, d)
	}
	return out[max(0, len(out)-mostHistory):]
}

func isNetChange(d v1alpha1.Decision) bool { return d.Reason == v1alpha1.DecisionNetChanged }
