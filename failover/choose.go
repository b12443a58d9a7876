package failover

// choice is the backend that should serve.
type choice struct {
	to int
	// pinned: because somebody says so.
	pinned bool
}

// preferences are the rules of who should serve. The first that applies decides; the last always does.
var preferences = []func(*look) (choice, bool){
	whoIsPinned,
	firstUp,
	whoeverServes,
	mostEndpoints,
	nobodyElse,
}

func (l *look) choose() choice {
	for _, rule := range preferences {
		if c, applies := rule(l); applies {
			return c
		}
	}
	return choice{to: 0}
}

// whoIsPinned: a pin is obeyed whatever the signals say, but calls have to go somewhere: not to a backend that is known to
// have no ready endpoint.
func whoIsPinned(l *look) (choice, bool) {
	return choice{to: l.pin, pinned: true}, l.pin != none && !l.backends[l.pin].dead()
}

// firstUp: in order of preference, the first that is up and not kept back. One of which nothing has ever been known stays where
// it is.
func firstUp(l *look) (choice, bool) {
	for i := range l.backends {
		b := &l.backends[i]
		incumbent := i == l.active || l.active == none
		if b.up() && !l.unseenRival(i) && !l.keepsBackFrom(i) || b.unmet() && incumbent {
			return choice{to: i}, true
		}
	}
	return choice{}, false
}

// unseenRival: it is preferred to a backend that serves well, but nothing new is known of it. Unknown changes nothing.
func (l *look) unseenRival(i int) bool {
	return !l.backends[i].seen && i < l.active && l.backends[l.active].up() && !l.handingTo(i)
}

// whoeverServes: nobody is up, and whoever serves still has a ready endpoint. A ramp between two such stands still.
func whoeverServes(l *look) (choice, bool) {
	switch {
	case l.active == none:
		return choice{}, false
	case l.ramp == nil || l.ramp.isTrial() && l.backends[l.active].alive():
		return choice{to: l.active}, l.backends[l.active].alive()
	case l.backends[l.ramp.to].alive():
		return choice{to: l.ramp.to}, true
	}
	return choice{to: l.active}, l.backends[l.active].alive()
}

// mostEndpoints: whoever serves has none left, and others, though not up, have some.
func mostEndpoints(l *look) (choice, bool) {
	best := 0
	for i := range l.backends {
		if l.backends[i].endpoints() > l.backends[best].endpoints() {
			best = i
		}
	}
	return choice{to: best}, l.backends[best].alive()
}

// nobodyElse: nobody has a ready endpoint, and all places are the same.
func nobodyElse(l *look) (choice, bool) {
	switch {
	case l.ramp != nil:
		return choice{to: l.ramp.to}, true
	case l.active != none:
		return choice{to: l.active}, true
	}
	return choice{to: 0}, true
}

// handingTo says whether a ramp to the backend is under way.
func (l *look) handingTo(i int) bool { return l.ramp != nil && l.ramp.to == i }
