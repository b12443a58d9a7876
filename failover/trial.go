package failover

import (
	"fmt"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// A backend whose calls fail is left only for one whose calls do not. One that has had no calls may
// fail in the same way, because both depend on the same thing: before it gets everything it is tried
// with a share of the calls, for as long as it takes to see that.
const (
	trialPercent = 20
	trialTime    = 3 * time.Second
	// longestTrial is how long a trial waits for evidence. Prometheus counts every 15 seconds where nobody has changed that.
	longestTrial = 30 * time.Second
	// longestMeasure is how long it waits for a count of the serving backend that begins after the share has arrived: that is the second
	// one, or the third.
	longestMeasure = 45 * time.Second
)

// isTrial says whether it is a trial; nil is none.
func (r *ramp) isTrial() bool { return r != nil && r.trial }

// tryBackup: whoever serves has ready endpoints but fails its calls, and the one that would take over
// has not shown yet that it does better.
func tryBackup(l *look, c choice) (plan, bool) {
	from, to := &l.backends[l.active], &l.backends[c.to]
	if c.to < l.active || c.pinned || l.ramp != nil || !from.alive() || from.memory.Cause != string(v1alpha1.FaultCallsFail) {
		return plan{}, false
	}
	p := l.unchanged()
	p.ramp = &ramp{to: c.to, percent: trialPercent, trial: true, since: l.now}
	p.to = c.to
	p.reason = v1alpha1.DecisionTryingBackup
	p.message = fmt.Sprintf("%s is down: %s; %s is tried with a fifth of the calls, to see whether it does better", from.name, from.describe(), to.name)
	return p, true
}

// leaveDeadInTrial: whoever serves has no ready endpoint any more, which ends a trial at once.
func leaveDeadInTrial(l *look, c choice) (plan, bool) {
	if !l.ramp.isTrial() || !l.backends[l.active].dead() || c.to == l.active {
		return plan{}, false
	}
	return l.switchTo(c), true
}

// acquitted: its calls are counted until then, and nothing speaks against it.
func (b *backend) acquitted(until time.Time) bool {
	m := &b.memory
	return m.CountedUntil != nil && !m.CountedUntil.Time.Before(until) && m.Calls == 0
}

// endTrial: the backend that is tried has gone down as well, and the other goes on: moving would help nobody. Nor would it where
// both cannot carry what comes. Otherwise it gets everything.
func endTrial(l *look, c choice) (plan, bool) {
	if !l.ramp.isTrial() {
		return plan{}, false
	}
	tried := &l.backends[l.ramp.to]
	switch {
	case c.to == l.ramp.to && tried.up() && tried.seen:
		if l.trialGoesOn() {
			return l.unchanged(), true
		}
		if p, applies := settleOverload(l, c); applies {
			return p, true
		}
		return l.switchTo(c), true
	case c.to == l.active:
		p := l.stayAfterTrial(v1alpha1.DecisionBackupNoBetter)
		p.message = fmt.Sprintf("%s does no better: %s; %s serves on", tried.name, tried.describe(), l.name(l.active))
		return p, true
	}
	return l.unchanged(), c.to == l.ramp.to
}

// trialGoesOn: its time is not over, or the calls of that time are not counted yet, or what could show an overload is not. A source
// is late by a look, and it takes two of them to take a backend down.
func (l *look) trialGoesOn() bool {
	d := l.now.Sub(l.ramp.since)
	switch {
	case d < trialTime:
		return true
	case !l.backends[l.ramp.to].acquitted(l.ramp.since.Add(trialTime)):
		return d < longestTrial
	}
	return l.measures() && l.ramp.serving == nil && d < longestMeasure
}

// stayAfterTrial ends a trial without moving anything. It counts as a switch, so that the next trial waits longer and there are
// not too many.
func (l *look) stayAfterTrial(reason v1alpha1.DecisionReason) plan {
	p := l.unchanged()
	p.ramp, p.from, p.to, p.switched, p.reason = nil, l.ramp.to, l.active, true, reason
	return p
}
