package failover

import "time"

// next is when something will change by time alone. Zero: never.
func (l *look) next(p plan, switches []time.Time) time.Time {
	var next time.Time
	consider := func(t time.Time) {
		t = t.Add(time.Microsecond - time.Nanosecond).Truncate(time.Microsecond)
		if t.After(l.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if p.again {
		consider(l.now.Add(time.Millisecond))
	}
	hold := l.settings.hold(len(switches))
	for i := range l.backends {
		b := &l.backends[i]
		if !b.staleAt.IsZero() {
			// Just after: on the bound itself it is not stale.
			consider(b.staleAt.Add(time.Microsecond))
		}
		if b.down() && b.seen && b.memory.HealthySince != nil {
			consider(b.memory.HealthySince.Add(b.ownHold(hold)))
			if len(switches) > 0 {
				consider(switches[0].Add(window)) // The hold is shorter then.
			}
		}
	}
	if p.ramp != nil && l.backends[p.ramp.to].up() && l.backends[p.ramp.to].seen {
		consider(p.ramp.since.Add(l.stepTime(p.ramp)))
	}
	consider(l.settledAt)
	if p.active != l.active {
		consider(l.now.Add(settleTime))
	}
	if p.due != "" && len(switches) >= l.settings.maxSwitches {
		consider(roomAt(switches, l.settings.maxSwitches))
	}
	return next
}

// stepTime is how long a step lasts.
func (l *look) stepTime(r *ramp) time.Duration {
	switch {
	case r.isTrial() && l.now.Sub(r.since) >= trialTime:
		return longestTrial
	case r.isTrial():
		return trialTime
	}
	return l.settings.rampInterval
}
