package failover

import (
	"strings"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// fittingPart of what a backend can carry is what it gets back without a further thought: the rate of a second is not that of the
// next one.
const fittingPart = 0.8

// keepsBackFrom says whether the serving backend serves on although another is up that should, because that could not carry the calls.
// It is over when that backend has the endpoints that it takes.
func (l *look) keepsBackFrom(i int) bool {
	b := &l.backends[i]
	kept := b.memory.KeptBack
	switch {
	case kept == nil || l.active == none || i == l.active:
		return false
	case !b.countable || b.ready >= kept.Endpoints:
		return false
	case i < l.active:
		return l.backends[l.active].up()
	}
	return l.failsItsCalls() && l.waitsForTrial(kept.Since.Time)
}

// waitsForTrial: the next trial of a backend that could not carry the calls is after the hold, when trials are allowed and calls
// fail then too. If they do not the serving backend is about to be up again.
func (l *look) waitsForTrial(since time.Time) bool {
	if !l.room() || l.now.Sub(since) < l.settings.hold(len(l.switches)) {
		return true
	}
	return !l.backends[l.active].failsFreshly(l.now)
}

// failsItsCalls says whether the serving backend does, and has ready endpoints. One that is down for another reason is left whatever
// others can carry.
func (l *look) failsItsCalls() bool {
	active := &l.backends[l.active]
	return active.alive() && active.down() && active.memory.Cause == string(v1alpha1.FaultCallsFail)
}

// fits says whether a backend can carry the calls of the present look. Where they are not known it cannot.
func (l *look) fits(b *backend) bool {
	kept := b.memory.KeptBack
	carries := float64(kept.Carries) / float64(max(1, kept.Endpoints)) * float64(b.ready)
	return l.rate != nil && *l.rate <= fittingPart*carries
}

// takeRate is how many calls come per second, by those of the serving backend. A look that spans a change of the weights does not
// tell.
func (l *look) takeRate(seen Observation, previous *v1alpha1.TrafficStatus) {
	if l.active == none || previous == nil {
		return
	}
	active := &l.backends[l.active]
	for _, calls := range active.untaken(seen.Backends[active.name], l.now) {
		l.rate = nil
		if !calls.Start.Before(previous.Time.Time) {
			rate := float64(calls.Calls) / calls.End.Sub(calls.Start).Seconds() / l.ramp.rest()
			l.rate = &rate
		}
	}
}

// forgetKeptBack: calls are kept back from a less preferred backend while the serving one fails its calls, and from a preferred one
// until it is up and can carry them, for an hour at most.
func (l *look) forgetKeptBack() {
	for i := range l.backends {
		b := &l.backends[i]
		kept := b.memory.KeptBack
		switch {
		case kept == nil:
		case l.settings.test == nil, l.active == none, i == l.active,
			i > l.active && !l.failsItsCalls(),
			i < l.active && (b.up() && l.fits(b) || l.now.Sub(kept.Since.Time) >= window):
			b.memory.KeptBack = nil
		}
	}
}

// keepBackBy remembers from whom calls are kept back, and forgets it with the next trial.
func (l *look) keepBackBy(p plan) {
	switch {
	case p.keptBack != nil:
		l.backends[p.from].memory.KeptBack = p.keptBack
	case p.ramp != nil:
		l.backends[p.ramp.to].memory.KeptBack = nil
	}
}

// keptBack says from which backends calls are kept back; empty: from none.
func (l *look) keptBack(p plan) string {
	var out []string
	for i := range l.backends {
		if p.active == l.active && l.keepsBackFrom(i) {
			out = append(out, l.name(i))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; calls are kept back from " + strings.Join(out, " and ") + ", which could not carry them"
}
