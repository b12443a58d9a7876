package failover

import (
	"cmp"
	"fmt"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

// fault is something that takes a backend down at once.
type fault struct {
	reason v1alpha1.HealthReason
	// detail are the numbers, such as "0 of 2 endpoints ready".
	detail string
}

// assess takes in what was observed of a backend: what is wrong with it, and whether it is up.
func (l *look) assess(b *backend, observed BackendObservation) {
	b.takeEndpoints(observed.Endpoints, l.now)
	var failing *fault
	for _, calls := range observed.counted(l.now) {
		failing = cmp.Or(takeCalls(b, calls, l.settings.test, l.now), failing)
	}
	for _, check := range []func(*backend, settings) *fault{noneReady, tooFewReady} {
		if b.fault == nil {
			b.fault = check(b, l.settings)
		}
	}
	if b.fault == nil {
		b.fault = failing
	}
	switch {
	case b.fault != nil:
		b.goDown(l.now)
	case !b.seen:
		b.stopRecovering(l.now)
	default:
		b.comeUp(l.now, l.settings.hold(len(l.switches)))
	}
}

func (b *backend) takeEndpoints(e Endpoints, now time.Time) {
	if b.unknown = e.unknown(now); b.unknown != "" {
		return
	}
	b.seen = true
	b.countable, b.ready, b.total, b.why = e.Counting == Counted, 0, 0, e.Why
	if b.countable {
		b.ready, b.total = e.Ready, max(e.Ready, e.Total)
		if e.StaleAfter > 0 {
			b.staleAt = e.Time.Add(e.StaleAfter)
		}
	}
}

func noneReady(b *backend, _ settings) *fault {
	if !b.seen || !b.dead() {
		return nil
	}
	return &fault{v1alpha1.FaultNoReadyEndpoint, b.count()}
}

func tooFewReady(b *backend, s settings) *fault {
	// One percent stands for "any at all", however many endpoints there are.
	if !b.seen || !b.countable || s.minReadyPercent <= 1 || int64(b.ready)*100 >= int64(b.total)*s.minReadyPercent {
		return nil
	}
	return &fault{v1alpha1.FaultTooFewReady, fmt.Sprintf("%s (%s), fewer than minReadyPercent %d allows",
		b.count(), percent(int64(b.ready), int64(b.total)), s.minReadyPercent)}
}

// count is the endpoints for people.
func (b *backend) count() string {
	switch {
	case !b.countable:
		return "outside the cluster"
	case b.total == 0 && b.why != "":
		return "no endpoints: " + b.why
	case b.total == 0:
		return "no endpoints"
	case b.total == 1:
		return fmt.Sprintf("%d of 1 endpoint ready", b.ready)
	}
	return fmt.Sprintf("%d of %d endpoints ready", b.ready, b.total)
}

// goDown takes it down at once. From a fault that is there at every look it begins to recover with the first look without
// it; failing calls are told once, when there is enough evidence, and it begins to recover then and there.
func (b *backend) goDown(now time.Time) {
	m := &b.memory
	again := b.down() && m.Cause == string(v1alpha1.FaultCallsFail) && b.fault.reason == v1alpha1.FaultCallsFail
	if !again { // The numbers of the first alarm say enough, and new ones would be written every few seconds.
		m.Detail = text.Cut(b.fault.detail, 256)
	}
	m.Standing, m.Cause = v1alpha1.BackendDown, string(b.fault.reason)
	m.HealthySince, m.UnknownSince = nil, nil
	if b.fault.reason != v1alpha1.FaultCallsFail {
		forgetCalls(m)
		m.Failing = nil
		return
	}
	m.HealthySince = micro(now)
	if !b.seen {
		m.UnknownSince = micro(now)
	}
}

// stopRecovering stops the clock of its recovery while nothing is known.
func (b *backend) stopRecovering(now time.Time) {
	if m := &b.memory; m.HealthySince != nil && m.UnknownSince == nil {
		m.UnknownSince = micro(now)
	}
}

// comeUp lets it recover: at once when it has never been met, otherwise after the hold.
func (b *backend) comeUp(now time.Time, hold time.Duration) {
	m := &b.memory
	switch {
	case m.UnknownSince != nil && m.HealthySince != nil:
		m.HealthySince = micro(m.HealthySince.Add(now.Sub(m.UnknownSince.Time)))
		m.UnknownSince = nil
	case b.down() && m.HealthySince == nil:
		m.HealthySince = micro(now)
	}
	if b.unmet() || b.down() && now.Sub(m.HealthySince.Time) >= b.ownHold(hold) {
		*m = v1alpha1.BackendMemory{Name: m.Name, Standing: v1alpha1.BackendHealthy, CountedUntil: m.CountedUntil, KeptBack: m.KeptBack}
	}
}

// ownHold is the hold of this backend. One whose calls failed stays down for twice the time of a trial at least, so that trials do
// not follow each other at once, and for longer than the trial of another takes, which would otherwise seem to be no better.
func (b *backend) ownHold(hold time.Duration) time.Duration {
	switch {
	case b.memory.Cause != string(v1alpha1.FaultCallsFail):
		return hold
	case b.challenged:
		return max(hold, longestMeasure+trialTime)
	}
	return max(hold, 2*trialTime)
}

// status is what is said of it, with the hold that is in force after the look.
func (b *backend) status(now time.Time, hold time.Duration) v1alpha1.BackendStatus {
	out := v1alpha1.BackendStatus{Name: b.name, Since: b.before.Since}
	if b.countable {
		ready, total := b.ready, b.total
		out.Ready, out.Total = &ready, &total
	}
	health, reason, message := b.health(hold)
	out.Health, out.Reason, out.Message = health, string(reason), text.Cut(message, 1024)
	if health != b.before.Health || out.Since == nil {
		out.Since = micro(now)
	}
	return out
}

func (b *backend) health(hold time.Duration) (v1alpha1.BackendHealth, v1alpha1.HealthReason, string) {
	m := &b.memory
	switch {
	case b.fault == nil && !b.seen:
		return v1alpha1.BackendUnknown, v1alpha1.HealthNotSeen, b.unknown + b.countsAs()
	case b.down() && m.Cause == string(v1alpha1.FaultCallsFail):
		// Ready endpoints do not show that its calls have stopped failing.
		return v1alpha1.BackendDown, v1alpha1.FaultCallsFail, fmt.Sprintf("%s; up again after %s without that", m.Detail, hold)
	case b.fault != nil:
		return v1alpha1.BackendDown, b.fault.reason, b.fault.detail
	case b.up() && b.countable:
		return v1alpha1.BackendHealthy, v1alpha1.HealthReady, ""
	case b.up():
		return v1alpha1.BackendHealthy, v1alpha1.HealthUncountable, b.why
	}
	return v1alpha1.BackendDown, v1alpha1.HealthRecovering, fmt.Sprintf("nothing wrong since %s, held back for %s until %s, after %s",
		clock(m.HealthySince.Time), hold, clock(m.HealthySince.Add(hold)), m.Detail)
}

// countsAs says what a backend of which nothing new is known is taken for.
func (b *backend) countsAs() string {
	switch {
	case b.up():
		return "; until then it counts as up"
	case b.down():
		return "; until then it counts as down: " + b.memory.Detail
	}
	return ""
}
