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
		ends := b.holdEnds(hold)
		for _, t := range ends {
			consider(t)
		}
		if len(ends) > 0 && len(switches) > 0 {
			consider(switches[0].Add(window)) // The hold is shorter then.
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

// holdEnds is when it may be up again, and when calls are no longer kept back from it.
func (b *backend) holdEnds(hold time.Duration) []time.Time {
	var out []time.Time
	if b.down() && b.seen && b.memory.HealthySince != nil {
		out = append(out, b.memory.HealthySince.Add(b.ownHold(hold)))
	}
	if kept := b.memory.KeptBack; kept != nil {
		out = append(out, kept.Since.Add(hold), kept.Since.Add(window))
	}
	return out
}

// stepTime is how long a step lasts.
func (l *look) stepTime(r *ramp) time.Duration {
	switch {
	case !r.isTrial():
		return l.settings.rampInterval
	case l.now.Sub(r.since) < trialTime:
		return trialTime
	case l.now.Sub(r.since) < longestTrial:
		return longestTrial
	}
	return longestMeasure
}
