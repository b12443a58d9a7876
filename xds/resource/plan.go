package resource

import (
	"maps"
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	// allParts is what the weights of a decision add up to.
	allParts = 1_000_000
	// netWeight is the weight of a backend that is held back and stands by as a net (failover/weights.go).
	netWeight = 1
)

// standing says what the decision has a backend do.
type standing string

const (
	// serves: it gets calls as soon as no backend before it has a healthy endpoint.
	serves standing = "serves"
	// standsBy: it gets calls when no backend that serves has a healthy endpoint left.
	standsBy standing = "standsBy"
	// excluded: it gets none while there is another.
	excluded standing = "excluded"
)

// plan is the decision, said in clusters.
type plan struct {
	// standings are those of the backends of the spec, in its order.
	standings []standing
	// main is the cluster that holds them in this order.
	main cluster
	// shares are the backends and canaries that have a share beside the serving backend, or may be given one
	// next. Each has a cluster in which it comes first.
	shares []share
}

// share is a part of the calls for a cluster of its own.
type share struct {
	// name is the backend's or canary's, and cluster that of its cluster.
	name, cluster string
	// weight is its part; 0: its cluster is there before its first call, and of a canary after its last.
	weight uint32
}

func planFor(e Exposure) plan {
	d := decisionOf(e.Service)
	shipped := d.weights[v1alpha1.CanaryName]
	if e.Slots[v1alpha1.CanaryName] == "" {
		shipped = 0
	}
	d = d.gather(shipped)
	p := plan{main: cluster{slotClusterName(e.Service, stableSlot(e)), allParts}}
	serving := d.serving()
	for i, backend := range d.backends {
		p.standings = append(p.standings, d.standing(i, serving))
		weight := d.weights[backend.Name]
		switch {
		case i == serving:
		case weight > netWeight:
			if i == 0 {
				weight -= shipped
			}
			p.shares = append(p.shares, share{backend.Name, ShareName(e.Service, backend.Name), weight})
		case d.mayGetShare(i, serving):
			p.shares = append(p.shares, share{backend.Name, ShareName(e.Service, backend.Name), 0})
		}
	}
	if slot := e.Slots[v1alpha1.CanaryName]; slot != "" {
		p.shares = append(p.shares, share{v1alpha1.CanaryName, slotClusterName(e.Service, slot), shipped})
	}
	for _, name := range slices.Sorted(maps.Keys(d.weights)) {
		_, known := e.Backends[name]
		if known && d.index(name) < 0 && e.Slots[name] == "" {
			p.shares = append(p.shares, share{name, ShareName(e.Service, name), d.weights[name]})
		}
	}
	for _, s := range p.shares {
		p.main.weight -= min(s.weight, p.main.weight)
	}
	return p
}

// stableSlot is that of the first backend; empty: it has none.
func stableSlot(e Exposure) v1alpha1.Slot { return e.Slots[e.Service.Spec.Backends[0].Name] }

// decision is what the status of an ExposedService says.
type decision struct {
	backends []v1alpha1.Backend
	weights  map[string]uint32
	fallback string
	// trials: a backup may be tried, because failing calls count.
	trials bool
	// rampTo is the backend that is handed back to, or tried.
	rampTo string
}

func decisionOf(exs *v1alpha1.ExposedService) decision {
	d := decision{backends: exs.Spec.Backends, weights: map[string]uint32{}}
	d.trials = exs.Spec.Failover != nil && exs.Spec.Failover.Errors != nil
	if traffic := exs.Status.Traffic; traffic != nil {
		d.fallback = traffic.Fallback
		for _, w := range traffic.Weights {
			d.weights[w.Name] = uint32(min(max(w.Weight, 0), allParts))
		}
	}
	if f := exs.Status.Failover; f != nil && f.State != nil && f.State.Ramp != nil {
		d.rampTo = f.State.Ramp.To
	}
	return d
}

// gather gives the weight of a canary in a slot back to the first backend: which backend serves is not about versions.
func (d decision) gather(canary uint32) decision {
	d.weights = maps.Clone(d.weights)
	d.weights[d.backends[0].Name] += canary
	return d
}

func (d decision) index(name string) int {
	return slices.IndexFunc(d.backends, func(b v1alpha1.Backend) bool { return b.Name == name })
}

// serving is the backend that serves what nobody else has a share of: the one with the most weight,
// but during a ramp the one that the ramp takes calls from, until the ramp is over. It does not change in
// the middle of a ramp, where a change would send all calls the other way for as long as a client
// knows the new endpoints and the old routes.
func (d decision) serving() int {
	most := func(eligible func(name string) bool) int {
		best := -1
		for i, b := range d.backends {
			if eligible(b.Name) && (best < 0 || d.weights[b.Name] > d.weights[d.backends[best].Name]) {
				best = i
			}
		}
		return best
	}
	if i := most(func(name string) bool { return name != d.rampTo && d.weights[name] > netWeight }); i >= 0 {
		return i
	}
	return max(most(func(string) bool { return true }), 0)
}

// mayGetShare says whether the next decision may give a backend a share: a net may be handed back to, and a
// fallback may be tried.
func (d decision) mayGetShare(i, serving int) bool {
	name := d.backends[i].Name
	return i < serving && d.weights[name] == netWeight || i > serving && d.trials && name == d.fallback
}

// standing is what the decision has a backend do in the cluster that is led by the serving one.
//
// A backend before the serving one would get its calls if it were healthy, so it is at most a net: where
// the decision says so, by a weight or as the fallback. A backend after it is its net by the order of
// priorities, unless the decision names a fallback behind it, or before the serving one: then it was
// passed over.
func (d decision) standing(i, serving int) standing {
	name, fallback := d.backends[i].Name, d.index(d.fallback)
	switch {
	case i == serving:
		return serves
	case i < serving && (d.weights[name] > 0 || i == fallback):
		return standsBy
	case i < serving:
		return excluded
	case fallback >= 0 && fallback != serving && (fallback < serving || i < fallback):
		return standsBy
	}
	return serves
}
