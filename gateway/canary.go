package gateway

import (
	"slices"
	"strings"

	"github.com/headgate/headgate/api/v1alpha1"
)

// resolveCanary finds the canary Service of the user's own, and what is wrong with it. Nil: there is none.
func (r Resolved) resolveCanary() (*backend, *Problem) {
	if r.facts.Canary == nil {
		return nil, nil
	}
	b := r.newBackend(canaryBackend(r.facts.Canary))
	b.canary = true
	trouble := r.resolveService(&b, 0)
	if b.found = trouble == nil; !b.found {
		trouble.For, trouble.Backend = v1alpha1.ConditionResolvedRefs, v1alpha1.CanaryName
	}
	b.look()
	return &b, trouble
}

// CanaryUnseen says why nothing can be known of the canary Service of the user's own; empty: it can.
func (r Resolved) CanaryUnseen() string {
	if r.canary == nil {
		return ""
	}
	return r.facts.unwatched(r.canary.namespace(r.exs))
}

// takingPart are the backends that the decision is about: those of the spec, and behind them the canary. There it is a backend like any
// other, but for one thing: it never stands by for the others.
//
// A canary of the user's own is there while the decision names it, but not as long as its Service is not there: the route would name
// something that is not there, which is an error for every call in some data planes. The other slot is there while it has a version,
// and Blue is always there when the stable version is in Green: nobody else may take its place in the route.
func (r Resolved) takingPart() []backend {
	out := slices.Clone(r.backends)
	if r.canary != nil && decisionNames(r.exs, v1alpha1.CanaryName) && (r.canary.found || r.canary.facts.OwnService != nil) {
		out = append(out, *r.canary)
	}
	if r.other != nil && (!r.other.idle() || r.other.in == v1alpha1.SlotBlue) {
		out = append(out, *r.other)
	}
	return out
}

func canaryBackend(service *v1alpha1.ServiceBackend) v1alpha1.Backend {
	return v1alpha1.Backend{Name: v1alpha1.CanaryName, Service: service}
}

// ownCanary says whether the canary is a Service of the user's own, whose absence is the user's to settle.
func ownCanary(exs *v1alpha1.ExposedService) bool {
	return exs.Status.Rollout != nil && strings.HasPrefix(exs.Status.Rollout.Target, "Service/")
}

func decisionNames(exs *v1alpha1.ExposedService, name string) bool {
	return exs.Status.Traffic != nil &&
		slices.ContainsFunc(exs.Status.Traffic.Weights, func(w v1alpha1.BackendWeight) bool { return w.Name == name })
}
