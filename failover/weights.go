package failover

import "github.com/headgate/headgate/api/v1alpha1"

const (
	// allParts is what the weights of a decision add up to.
	allParts = 1_000_000
	// partsPerPercent is one percent of it.
	partsPerPercent = allParts / 100
	// netWeight is what a backend keeps that does not serve but stands by as a net.
	netWeight = 1
)

// weights are the shares of the backends, in order of the spec.
func (l *look) weights(p plan) []v1alpha1.BackendWeight {
	out := make([]v1alpha1.BackendWeight, len(l.backends))
	for i := range l.backends {
		out[i].Name = l.backends[i].name
	}
	rest := int32(allParts)
	if p.ramp != nil {
		out[p.ramp.to].Weight = p.ramp.percent * partsPerPercent
		rest -= out[p.ramp.to].Weight
	}
	for i := range l.backends {
		if l.isNet(p, i) {
			out[i].Weight = netWeight
			rest -= netWeight
		}
	}
	out[p.active].Weight = rest
	return out
}

// isNet: a backend that would serve if it were not held back, and has a ready endpoint, stays reachable beside the one that
// serves. When that one dies and nobody is at the controls, the data plane finds it.
func (l *look) isNet(p plan, i int) bool {
	if i == p.active || i == p.lead() || p.ramp != nil && i == p.ramp.to || !l.backends[i].alive() {
		return false
	}
	if l.pin != none {
		return i == l.pin
	}
	return i < p.lead()
}

// lead is the backend that serves, or that is about to.
func (p plan) lead() int {
	if p.ramp != nil && !p.ramp.isTrial() {
		return p.ramp.to
	}
	return p.active
}

// fallback is the backend to which the data plane turns by itself when the lead dies: after the lead, in order of preference and from the front
// again, the first that is up, or else the first that has a ready endpoint, or else the next.
func (l *look) fallback(p plan) string {
	n := len(l.backends)
	for _, good := range []func(*backend) bool{
		(*backend).up,
		(*backend).alive,
		func(*backend) bool { return true },
	} {
		for step := 1; step < n; step++ {
			if b := &l.backends[(p.lead()+step)%n]; good(b) {
				return b.name
			}
		}
	}
	return ""
}
