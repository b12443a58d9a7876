package failover

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
)

// plan is what is to be from now on.
type plan struct {
	active int
	ramp   *ramp
	// switched: it counts as a switch.
	switched bool
	// again: something else is due, right after this.
	again bool
	// keptBack: calls are kept back from the backend that from names.
	keptBack *v1alpha1.KeptBack
	// due names the backend to which a switch is due and not allowed.
	due string
	// reason is why something changes; empty: nothing does. From and to are the backends that it is about.
	reason   v1alpha1.DecisionReason
	message  string
	from, to int
}

// moves are the ways to get to the choice. The first that applies is taken; the last always does.
var moves = []func(*look, choice) (plan, bool){
	start,
	obeyPin,
	stay,
	leaveDeadInTrial,
	endTrial,
	giveUpRamp,
	waitToSee,
	leaveDead,
	climbRamp,
	returnToPin,
	holdSwitch,
	tryBackup,
	leaveFailing,
	handBack,
}

func (l *look) move(c choice) plan {
	for _, rule := range moves {
		if p, applies := rule(l, c); applies {
			return p
		}
	}
	return l.unchanged()
}

// unchanged goes on as before.
func (l *look) unchanged() plan {
	return plan{active: l.active, ramp: l.ramp, from: l.active, to: l.active}
}

// atOnce gives everything to the chosen backend in one write.
func (l *look) atOnce(c choice, reason v1alpha1.DecisionReason, message string, args ...any) plan {
	return plan{active: c.to, from: l.active, to: c.to, reason: reason, message: fmt.Sprintf(message, args...)}
}

// start: nobody has served before, or whoever did is no longer in the spec.
func start(l *look, c choice) (plan, bool) {
	if l.active != none {
		return plan{}, false
	}
	to := &l.backends[c.to]
	reason, why := v1alpha1.DecisionSpecChanged, "the backend that served is no longer in the spec"
	if l.first {
		reason, why = v1alpha1.DecisionInitial, "first decision"
	}
	return l.atOnce(c, reason, "%s: %s serves (%s)", why, to.name, to.describe()), true
}

// obeyPin: somebody has pinned a backend since the last look. It is done at once, and nothing bounds it.
func obeyPin(l *look, c choice) (plan, bool) {
	if !c.pinned || l.obeyed == l.settings.pin {
		return plan{}, false
	}
	to := &l.backends[c.to]
	return l.atOnce(c, v1alpha1.DecisionPinned, "pinned to %s (%s), whatever the signals say", to.name, to.describe()), true
}

// stay: whoever serves should.
func stay(l *look, c choice) (plan, bool) {
	if c.to != l.active || l.ramp != nil {
		return plan{}, false
	}
	p := l.unchanged()
	if l.obeyed != "" && l.settings.pin == "" {
		p.reason = v1alpha1.DecisionSpecChanged
		p.message = fmt.Sprintf("the pin to %s was removed, and %s serves on", l.obeyed, l.name(c.to))
	}
	return p, true
}

// giveUpRamp: whoever was handing back serves on. When the other has gone down again this is a relapse, and counts; if a third
// should come back instead, the next look sees to that.
func giveUpRamp(l *look, c choice) (plan, bool) {
	if l.ramp == nil {
		return plan{}, false
	}
	from, to := &l.backends[l.active], &l.backends[l.ramp.to]
	back := choice{to: l.active}
	switch {
	case to.down() && !from.dead() && c.to != l.ramp.to:
		p := l.atOnce(back, v1alpha1.DecisionSwitchedToBackup, "%s went down again with %d %% of the calls: %s; %s serves (%s)",
			to.name, l.ramp.percent, to.describe(), from.name, from.describe())
		p.from, p.switched, p.again = l.ramp.to, true, c.to != l.active
		return p, true
	case c.to == l.active:
		p := l.atOnce(back, v1alpha1.DecisionSpecChanged, "%s is no longer preferred to %s, and gives back the %d %% of the calls that it had",
			to.name, from.name, l.ramp.percent)
		p.from = l.ramp.to
		return p, true
	}
	return plan{}, false
}

// waitToSee: nothing new is known of either side. Unknown changes nothing.
func waitToSee(l *look, c choice) (plan, bool) {
	return l.unchanged(), !l.backends[l.active].seen && l.backends[l.active].fault == nil && !l.backends[c.to].seen
}

// leaveDead: whoever serves has no ready endpoint. Nothing bounds that.
func leaveDead(l *look, c choice) (plan, bool) {
	if !l.backends[l.active].dead() {
		return plan{}, false
	}
	return l.switchTo(c), true
}

// climbRamp: the chosen backend is already coming back. Each step lasts its time, and none is taken unseen.
func climbRamp(l *look, c choice) (plan, bool) {
	if !l.handingTo(c.to) {
		return plan{}, false
	}
	to := &l.backends[c.to]
	if !to.up() || !to.seen || l.now.Sub(l.ramp.since) < l.settings.rampInterval {
		return l.unchanged(), true
	}
	return l.step(c, l.settings.stepAfter(l.ramp.percent)), true
}

// holdSwitch: maxSwitchesPerHour does not allow another one now. That is said once until it does.
func holdSwitch(l *look, c choice) (plan, bool) {
	if l.room() {
		return plan{}, false
	}
	from, to := &l.backends[l.active], &l.backends[c.to]
	p := l.unchanged()
	p.due = to.name
	if l.held != to.name {
		p.reason, p.to = v1alpha1.DecisionSwitchHeld, c.to
		p.message = fmt.Sprintf("a switch from %s (%s) to %s (%s) is due, but there were %d in the last hour and maxSwitchesPerHour is %d; the next one may be at %s",
			from.name, from.describe(), to.name, to.describe(), len(l.switches), l.settings.maxSwitches,
			clock(roomAt(l.switches, l.settings.maxSwitches)))
	}
	return p, true
}

// returnToPin: the pinned backend had no ready endpoint and has one again. Nothing bounds what a person has pinned, and it is no
// switch that uses up what is allowed to others.
func returnToPin(l *look, c choice) (plan, bool) {
	return l.switchTo(c), c.pinned
}

// leaveFailing: whoever serves is down, though it has ready endpoints, and one that is less preferred is up.
func leaveFailing(l *look, c choice) (plan, bool) {
	return l.switchTo(c), c.to > l.active
}

// handBack: one that is preferred is up again. It gets the first share of its ramp that is more than it has.
func handBack(l *look, c choice) (plan, bool) {
	return l.step(c, l.settings.stepAfter(l.shares[l.name(c.to)]/partsPerPercent)), true
}

// step gives the chosen backend its next share of the ramp. Only the last one is a switch, so that every hand-back counts
// once, whether it comes to its end or is broken off.
func (l *look) step(c choice, percent int32) plan {
	from, to := &l.backends[l.active], &l.backends[c.to]
	if percent >= 100 {
		p := l.atOnce(c, v1alpha1.DecisionHandedBack, "%s serves all calls (%s)", to.name, to.describe())
		p.switched = true
		return p
	}
	return plan{
		active: l.active, ramp: &ramp{to: c.to, percent: percent, since: l.now},
		from: l.active, to: c.to,
		reason:  v1alpha1.DecisionHandingBack,
		message: fmt.Sprintf("%s is up (%s) and gets %d %% of the calls, %s the rest", to.name, to.describe(), percent, from.name),
	}
}

// switchTo leaves the active backend at once, and counts.
func (l *look) switchTo(c choice) plan {
	from, to := &l.backends[l.active], &l.backends[c.to]
	p := l.atOnce(c, v1alpha1.DecisionSwitchedToBackup, "%s is down: %s; %s serves (%s)", from.name, from.describe(), to.name, to.describe())
	switch {
	case c.pinned:
		return l.atOnce(c, v1alpha1.DecisionPinned, "%s, which is pinned, has a ready endpoint again (%s)", to.name, to.describe())
	case !to.up():
		p = l.atOnce(c, v1alpha1.DecisionNoBackendUp, "%s is down: %s; no backend is up, and %s has the most ready endpoints (%s)",
			from.name, from.describe(), to.name, to.describe())
	case c.to < l.active:
		p = l.atOnce(c, v1alpha1.DecisionHandedBack, "%s is down: %s; %s serves all calls (%s)",
			from.name, from.describe(), to.name, to.describe())
	}
	p.switched = true
	return p
}

// describe says in few words how a backend is.
func (b *backend) describe() string {
	switch {
	case b.fault != nil:
		return b.fault.detail
	case !b.seen:
		return b.unknown
	case b.down():
		return b.count() + ", held back after " + b.memory.Detail
	}
	return b.count()
}
