package failover

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Outcome is what a look comes to.
type Outcome struct {
	// Active, Traffic, Backends, State and History are parts of the new status; Apply puts them there.
	Active   string
	Traffic  v1alpha1.TrafficStatus
	Backends []v1alpha1.BackendStatus
	State    v1alpha1.DeciderState
	History  []v1alpha1.Decision

	// Decisions are those of this look, which are also the newest of the history: one Event each.
	Decisions []v1alpha1.Decision
	// Switched: one of them was a switch, in the sense of maxSwitchesPerHour.
	Switched bool
	// Conditions are BackendsHealthy and FailedOver.
	Conditions []Condition
	// Next is when to look again if nothing happens before. It is after now; zero: only when something happens.
	Next time.Time
	// Changed says that the status has to be written before anything follows it. Otherwise at most the counts of calls are
	// new. They may be kept in memory instead, for Resume to put back before the next look: losing them in a crash costs
	// evidence, and no decision.
	Changed bool
}

// Apply puts the outcome into a status. It replaces what pointers there point to, so that whoever shares them sees nothing.
func (o Outcome) Apply(status *v1alpha1.ExposedServiceStatus) {
	status.Active, status.Traffic = o.Active, o.Traffic.DeepCopy()
	status.Backends, status.History = o.Backends, o.History
	failover := ptr.Deref(status.Failover, v1alpha1.FailoverStatus{})
	failover.State = o.State.DeepCopy()
	status.Failover = &failover
}

// Decide says what the traffic is to be: from what is asked for, from what was decided and remembered, from what was observed,
// and from the time. It reads nothing else and keeps nothing. The spec must have a backend.
func Decide(spec *v1alpha1.ExposedServiceSpec, previous v1alpha1.ExposedServiceStatus, observation Observation, now time.Time) Outcome {
	// The status holds microseconds; a decision must not depend on whether it has been through it.
	now = now.UTC().Truncate(time.Microsecond)
	l := newLook(spec, &previous, observation, now)

	p := l.move(l.choose())
	l.keepBackBy(p)
	traffic, decisions := l.record(p, previous.Traffic)
	if p.switched {
		l.switches = append(l.switches, now)
		l.switches = l.switches[max(0, len(l.switches)-mostSwitches):]
	}

	out := Outcome{
		Active:    l.name(p.active),
		Traffic:   traffic,
		Backends:  make([]v1alpha1.BackendStatus, len(l.backends)),
		State:     l.state(p),
		History:   remember(previous.History, decisions),
		Decisions: decisions,
		Switched:  p.switched,
		Next:      l.next(p, l.switches),
	}
	for i := range l.backends {
		out.Backends[i] = l.backends[i].status(now, l.settings.hold(len(l.switches)))
	}
	out.Conditions = []Condition{backendsHealthy(l, out.Backends), failedOver(l, p, out.Backends)}
	out.Changed = out.differs(&previous, now)
	return out
}

// state is what the next look has to know.
func (l *look) state(p plan) v1alpha1.DeciderState {
	out := v1alpha1.DeciderState{Held: p.due, Pin: l.obeyed}
	if p.due == "" && !l.room() && l.index(l.held) != none {
		out.Held = l.held // It has been said, and nothing makes it new.
	}
	for i := range l.backends {
		out.Backends = append(out.Backends, l.backends[i].memory)
	}
	if p.ramp != nil {
		out.Ramp = p.ramp.state(l.name(p.ramp.to))
	}
	for _, t := range l.switches {
		out.Switches = append(out.Switches, *micro(t))
	}
	switch {
	case l.pin == none:
		out.Pin = ""
	case p.active == l.pin:
		out.Pin = l.settings.pin
	}
	return out
}

// differs says whether anything is new but the counts of calls, and that the switches of an hour ago have been forgotten.
func (o Outcome) differs(previous *v1alpha1.ExposedServiceStatus, now time.Time) bool {
	return len(o.Decisions) > 0 ||
		previous.Active != o.Active || previous.Traffic == nil || previous.Traffic.Revision != o.Traffic.Revision ||
		!equality.Semantic.DeepEqual(previous.Backends, o.Backends) ||
		!equality.Semantic.DeepEqual(lasting(stateOf(previous), now), lasting(&o.State, now))
}

// lasting is what of a state is worth a write by itself. That a switch is held is written with the decision that says so.
func lasting(state *v1alpha1.DeciderState, now time.Time) v1alpha1.DeciderState {
	out := *state
	out.Held = ""
	out.Switches = slices.DeleteFunc(slices.Clone(state.Switches), func(t metav1.MicroTime) bool { return now.Sub(t.Time) >= window })
	out.Backends = slices.Clone(state.Backends)
	for i := range out.Backends {
		out.Backends[i] = withoutCounts(out.Backends[i])
	}
	return out
}
