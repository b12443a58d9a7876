package failover

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// none stands for no backend where an index is asked for.
const none = -1

// mostSwitches is how many switches are remembered: more than maxSwitchesPerHour may be.
const mostSwitches = 64

// look is what the rules see. They only read it.
type look struct {
	now      time.Time
	settings settings
	// backends are those of the spec, in order of preference. All that follows are indices into them, or none.
	backends []backend
	// active is the backend that has served since the last look.
	active int
	// ramp is the hand-back that is under way; nil: none is.
	ramp *ramp
	// pin is the backend that is pinned.
	pin int
	// rate is how many calls come per second; nil: this look does not tell.
	rate *float64

	// first: nothing has been decided before.
	first bool
	// switches are those of the last hour, the oldest first.
	switches []time.Time
	// held is the backend of which it has been said that a switch to it is held.
	held string
	// settledAt is when the last change of the serving backend has settled.
	settledAt time.Time
	// obeyed is the pin that has been obeyed.
	obeyed string
	// shares are the weights before, by backend.
	shares map[string]int32
}

// ramp is a hand-back that is under way.
type ramp struct {
	to      int
	percent int32
	since   time.Time
	// trial: the backend is tried, and not handed back to.
	trial bool
	// arrived is when the share of a trial was seen in the calls of the backend that is tried; zero: not yet.
	arrived time.Time
	// serving are the calls of the serving backend since then.
	serving *v1alpha1.CountedCalls
}

// newLook puts together what was decided, what was remembered and what was observed.
func newLook(spec *v1alpha1.ExposedServiceSpec, previous *v1alpha1.ExposedServiceStatus, seen Observation, now time.Time) *look {
	state := stateOf(previous)
	l := &look{
		now:       now,
		settings:  settingsOf(spec.Failover),
		backends:  make([]backend, 0, len(spec.Backends)),
		first:     previous.Traffic == nil,
		switches:  recentSwitches(state.Switches, now),
		held:      state.Held,
		obeyed:    state.Pin,
		settledAt: settledAt(previous.History, now),
		shares:    map[string]int32{},
	}
	for _, b := range spec.Backends {
		l.backends = append(l.backends, recallBackend(b.Name, previous, state, now))
	}
	l.active, l.pin = none, l.index(l.settings.pin)
	if !l.first {
		l.active = l.index(previous.Active)
		for _, w := range previous.Traffic.Weights {
			l.shares[w.Name] = w.Weight
		}
	}
	if r := state.Ramp; r != nil && l.active != none {
		if to := l.index(r.To); to != none && to != l.active {
			l.ramp = recallRamp(r, to, now)
		}
	}
	if l.ramp.isTrial() {
		l.backends[l.active].challenged = true
		l.measureTrial(seen)
	}
	l.takeRate(seen, previous.Traffic)
	for i := range l.backends {
		l.assess(&l.backends[i], seen.Backends[l.backends[i].name])
	}
	l.forgetKeptBack()
	return l
}

// recallRamp is a ramp as it was left by the last look.
func recallRamp(r *v1alpha1.RampState, to int, now time.Time) *ramp {
	out := &ramp{to: to, percent: r.Percent, trial: r.Trial, since: earlier(r.Since.Time, now), serving: r.Serving.DeepCopy()}
	if r.Arrived != nil {
		out.arrived = earlier(r.Arrived.Time, now)
	}
	return out
}

// state is what the next look has to know of a ramp.
func (r *ramp) state(to string) *v1alpha1.RampState {
	out := &v1alpha1.RampState{To: to, Percent: r.percent, Trial: r.trial, Since: *micro(r.since), Serving: r.serving.DeepCopy()}
	if !r.arrived.IsZero() {
		out.Arrived = micro(r.arrived)
	}
	return out
}

func stateOf(status *v1alpha1.ExposedServiceStatus) *v1alpha1.DeciderState {
	if status.Failover == nil {
		return &v1alpha1.DeciderState{}
	}
	return ptr.To(ptr.Deref(status.Failover.State, v1alpha1.DeciderState{}))
}

// recentSwitches are the switches of the last hour. Those ahead of now are from a clock that has been put back since: they
// count as of now, for an hour.
func recentSwitches(times []metav1.MicroTime, now time.Time) []time.Time {
	var out []time.Time
	for _, t := range times {
		if now.Sub(t.Time) < window {
			out = append(out, earlier(t.Time, now))
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// index is that of the backend with the name, or none.
func (l *look) index(name string) int {
	return slices.IndexFunc(l.backends, func(b backend) bool { return b.name == name })
}

// name is that of the backend with the index, or nothing.
func (l *look) name(i int) string {
	if i == none {
		return ""
	}
	return l.backends[i].name
}

// room says whether maxSwitchesPerHour allows one more switch.
func (l *look) room() bool { return len(l.switches) < l.settings.maxSwitches }

// roomAt is when it will allow one that is held now.
func roomAt(switches []time.Time, most int) time.Time {
	return switches[len(switches)-most].Add(window)
}
