package gateway

import (
	"cmp"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"

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
	// canary is the canary of a rollout; nil: there is none.
	canary *backend
	// statuses are those of the backends, in the order of the spec.
	statuses []v1alpha1.BackendStatus
	problems []Problem
	// canaryProblem is what is wrong with the canary's Service.
	canaryProblem *Problem
}

// Resolve looks up the Service and port of every backend, and of the canary, with their endpoints.
func Resolve(exs *v1alpha1.ExposedService, facts Facts) Resolved {
	r := Resolved{exs: exs, facts: facts, backends: make([]backend, 0, len(exs.Spec.Backends))}
	var messages []string
	for i, spec := range exs.Spec.Backends {
		b := backend{Backend: spec, facts: facts.Backends[spec.Name]}
		var trouble *Problem
		switch {
		case spec.Service != nil:
			trouble = r.resolveService(&b, i)
		case spec.ServiceImport != nil:
			trouble = r.resolveImport(&b, i)
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
	for i, b := range r.backends {
		r.statuses = append(r.statuses, r.status(b, messages[i]))
	}
	r.canary, r.canaryProblem = r.resolveCanary()
	r.problems = append(r.problems, twins(exs)...)
	return r
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
	return v1alpha1.BackendStatus{Name: b.Name, Ready: &ready, Total: &total, Message: message}
}

func (r Resolved) granted(to Ref, from ...Ref) bool { return granted(r.exs, r.facts, to, from...) }

// expansion begins one, with the backends that the decision is about.
func (r Resolved) expansion() *expansion {
	e := r.outlined()
	e.backends = r.takingPart()
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

// ReadyCanary is how many endpoints of the canary's Service are ready.
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
}

// Slices says where the endpoints of each backend are, by the backends' names. The canary is among them
// while the decision names it.
func (r Resolved) Slices() map[string]BackendSlices {
	out := map[string]BackendSlices{}
	for _, b := range r.takingPart() {
		out[b.Name] = BackendSlices{Slices: b.seen, Port: b.seenPort, Number: cmp.Or(b.port.Port, b.number()), Addresses: b.host.addresses}
	}
	return out
}
