package gateway

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Resolved is an ExposedService whose backends have been looked up in the facts, once for all that is asked
// about them in a run. What it says depends on the decision only where a method says so; that is the
// decision in the ExposedService's status at the moment of the call.
type Resolved struct {
	exs   *v1alpha1.ExposedService
	facts Facts
	// backends are those of the spec.
	backends []backend
	// roles say who is in which slot of the first backend, and other is who is in the one that is not the stable version's; nil: there are none.
	roles roles
	other *backend
	// canary is the canary of the user's own; nil: there is none.
	canary *backend
	// statuses are those of the backends, in the order of the spec.
	statuses []v1alpha1.BackendStatus
	problems []Problem
	// canaryProblem is what is wrong with the canary's Service.
	canaryProblem *Problem
}

// Resolve looks up the Service and port of every backend, and of the canary, with their endpoints.
func Resolve(exs *v1alpha1.ExposedService, facts Facts) Resolved {
	r := Resolved{exs: exs, facts: facts, backends: make([]backend, 0, len(exs.Spec.Backends)), roles: rolesNow(exs, facts)}
	var messages []string
	for i, spec := range exs.Spec.Backends {
		b := r.newBackend(spec)
		if i == 0 {
			r.takeSlot(&b)
		}
		var trouble *Problem
		switch {
		case spec.Service != nil:
			trouble = r.resolveService(&b, i)
		case spec.ServiceImport != nil:
			trouble = r.resolveImport(&b, i)
		case spec.FQDN != nil:
			trouble = r.resolveHost(&b, i)
		}
		message := ""
		if b.found = trouble == nil; !b.found {
			message = trouble.Message
			trouble.For, trouble.Backend = v1alpha1.ConditionResolvedRefs, spec.Name
			r.problems = append(r.problems, *trouble)
		}
		b.look()
		r.backends, messages = append(r.backends, b), append(messages, message)
	}
	r.resolveHosts()
	r.other = r.otherSlot()
	for i, b := range r.backends {
		r.statuses = append(r.statuses, r.status(b, messages[i]))
	}
	r.canary, r.canaryProblem = r.resolveCanary()
	r.problems = append(r.problems, twins(exs)...)
	if trouble := r.foreignHosts(); trouble != nil {
		r.problems = append(r.problems, *trouble)
	}
	if trouble := r.cannotHaveSlots(); trouble != nil {
		r.problems = append(r.problems, *trouble)
	}
	return r
}

func (r Resolved) newBackend(spec v1alpha1.Backend) backend {
	return backend{Backend: spec, facts: r.facts.Backends[spec.Name], own: ServiceName(r.exs, spec.Name), label: spec.Name}
}

// now is the same with the roles that the status has now: a decision may have exchanged them since the facts were read, which are about
// places and not about roles.
func (r Resolved) now() Resolved {
	if rolesNow(r.exs, r.facts) == r.roles {
		return r
	}
	return Resolve(r.exs, r.facts)
}

// twins says which Services stand in the spec twice: once with the ExposedService's own namespace, and
// once without one. The API compares what is written; it does not know the object's namespace.
func twins(exs *v1alpha1.ExposedService) []Problem {
	type place struct {
		namespace, name string
		port            v1alpha1.PortNumber
	}
	placeOf := func(service *v1alpha1.ServiceBackend) place {
		b := backend{Backend: v1alpha1.Backend{Service: service}}
		return place{b.namespace(exs), service.Name, service.Port}
	}
	var out []Problem
	first := map[place]string{}
	check := func(field string, service *v1alpha1.ServiceBackend) {
		at := placeOf(service)
		if before, twice := first[at]; twice {
			out = append(out, Problem{Reason: v1alpha1.ReasonServiceNotSupported, Message: fmt.Sprintf(
				"%s is the Service of %s, because namespace %s is that of the ExposedService: name another Service, or remove one of them",
				field, before, at.namespace)})
			return
		}
		first[at] = field
	}
	for i, b := range exs.Spec.Backends {
		if b.Service != nil {
			check(fmt.Sprintf("spec.backends[%d].service", i), b.Service)
		}
	}
	if exs.Spec.Rollout != nil && exs.Spec.Rollout.Canary != nil {
		check("spec.rollout.canary.service", &exs.Spec.Rollout.Canary.Service)
	}
	return out
}

func (r Resolved) status(b backend, message string) v1alpha1.BackendStatus {
	if !b.inside() {
		return r.hostStatus(b)
	}
	ready, total := b.count()
	if b.in != "" && r.canaryCounts(total) {
		more, all := r.other.count()
		ready, total = ready+more, total+all
	}
	return v1alpha1.BackendStatus{Name: b.Name, Ready: &ready, Total: &total, Message: message}
}

// canaryCounts: the first backend is as well as its canary is, which is about to be the stable version, has most of its calls, or has all
// pods that there are, because somebody has released the workload.
func (r Resolved) canaryCounts(stable int32) bool {
	if r.other == nil || r.other.Name != v1alpha1.CanaryName {
		return false
	}
	if rollout := r.exs.Status.Rollout; rollout != nil && (rollout.Phase == v1alpha1.RolloutPromoting || rollout.Phase == v1alpha1.RolloutReleasing) {
		return true
	}
	if stable == 0 {
		return true
	}
	return decidedWeight(r.exs, v1alpha1.CanaryName) > decidedWeight(r.exs, r.exs.Spec.Backends[0].Name)
}

func (r Resolved) granted(to Ref, from ...Ref) bool { return granted(r.exs, r.facts, to, from...) }

// expansion begins one, with the backends that the decision is about.
func (r Resolved) expansion() *expansion {
	r = r.now()
	e := r.outlined()
	e.facts.LiveWeights, e.roleAt = r.byRole(r.facts.LiveWeights), r.roleAt
	e.backends = r.takingPart()
	if r.other != nil {
		e.out.spare = r.other.own
	}
	e.out.Backends, e.out.Problems = slices.Clone(r.statuses), r.Problems()
	return e
}

// Count says how many endpoints each backend has, in the order of the spec, and what is wrong with
// its Service or host if anything is. Without a number nobody can count them: they are outside the cluster.
// A backend whose health is said to be Unknown is one of which nothing is known yet.
func (r Resolved) Count() []v1alpha1.BackendStatus { return slices.Clone(r.statuses) }

// Problems says what is wrong with the Services and permissions of the backends, whatever carries the
// traffic, and with a canary of the user's own that the decision names.
func (r Resolved) Problems() []Problem {
	out := slices.Clone(r.problems)
	if r.canaryProblem != nil && ownCanary(r.exs) && decisionNames(r.exs, v1alpha1.CanaryName) {
		out = append(out, *r.canaryProblem)
	}
	return out
}

// WeightsArrived says whether the Gateway's controller has accepted a route with the weights of the
// decision, as far as the route can name the backends.
func (r Resolved) WeightsArrived() bool { return r.expansion().weightsArrived() }

// ReadyCanary is how many endpoints of the canary Service of the user's own are ready.
func (r Resolved) ReadyCanary() int32 {
	if r.canary == nil {
		return 0
	}
	ready, _ := r.canary.count()
	return ready
}

// BackendSlices is where a backend's endpoints are.
type BackendSlices struct {
	// Slices are the EndpointSlices that know its pods best. Endpoints are ready in them only if their pods
	// are.
	Slices []discoveryv1.EndpointSlice
	// Port is the name of the port in them, and Number the backend's own number of it; 0: it is not known.
	Port   string
	Number int32
	// Addresses are those of an fqdn backend that the proxies can reach.
	Addresses []string
	// Slot is which slot of the first backend its version is in; empty: it has none.
	Slot v1alpha1.Slot
	// Hash is the pod-template-hash of that version; empty: it is not told apart.
	Hash string
	// Service is the Service of ours that it has. Nil: it is not there.
	Service *corev1.Service
	// Probe is the gRPC readiness probe that its pods declare.
	Probe Probe
}

// Slices says where the endpoints of each backend are, by the backends' names. The canary is among them while there is one: one of the
// user's own while the decision names it, another one while its slot has a version.
func (r Resolved) Slices() map[string]BackendSlices {
	out := map[string]BackendSlices{}
	for _, b := range r.now().takingPart() {
		if b.idle() {
			continue
		}
		out[b.Name] = BackendSlices{
			Slices: b.seen, Port: b.seenPort, Number: cmp.Or(b.port.Port, b.number()), Addresses: b.host.addresses,
			Slot: b.in, Hash: b.hash, Service: b.facts.OwnService, Probe: b.facts.Probe,
		}
	}
	return out
}

// RouteIndexes are the places of the backends in the live route, from 0, by the backends' names. Where they cannot share a cluster, Envoy
// Gateway numbers their clusters so.
func (r Resolved) RouteIndexes() map[string]int {
	out := map[string]int{}
	route := r.facts.LiveRoute
	if route == nil || len(route.Spec.Rules) == 0 {
		return out
	}
	r = r.now()
	eachBackendRef(r.exs, r.facts.Canary, route, func(place string, index int, _ *gwapiv1.GRPCBackendRef) { out[r.roleAt(place)] = index })
	return out
}
