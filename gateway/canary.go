package gateway

import (
	"slices"
	"strings"

	"github.com/headgate/headgate/api/v1alpha1"
)

// resolveCanary puts the canary behind the backends of the spec while the decision names it. There it
// is a backend like any other, but for two things: it never stands by for the others, and as long as
// its Service is not there the route does not name it, which would be an error for every call in some
// data planes.
func (e *expansion) resolveCanary() {
	if e.facts.Canary == nil || !decisionNames(e.exs, v1alpha1.CanaryName) {
		return
	}
	b := backend{Backend: canaryBackend(e.facts.Canary), facts: e.facts.Backends[v1alpha1.CanaryName], canary: true}
	trouble := e.resolveService(&b, 0)
	b.found = trouble == nil
	if trouble != nil && ownCanary(e.exs) {
		e.out.Problems = append(e.out.Problems, *trouble)
	}
	if b.found || b.facts.OwnService != nil {
		e.backends = append(e.backends, b)
	}
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

// WeightsArrived says whether the Gateway's controller has accepted a route with the weights of the
// decision.
func WeightsArrived(exs *v1alpha1.ExposedService, facts Facts) bool {
	e := &expansion{exs: exs, facts: facts}
	e.resolveBackends()
	return e.weightsArrived()
}

// ReadyCanary is how many endpoints of the canary's Service are ready.
func ReadyCanary(exs *v1alpha1.ExposedService, facts Facts) int32 {
	if facts.Canary == nil {
		return 0
	}
	e := &expansion{exs: exs, facts: facts}
	b := backend{Backend: canaryBackend(facts.Canary), facts: facts.Backends[v1alpha1.CanaryName], canary: true}
	b.found = e.resolveService(&b, 0) == nil
	ready, _ := b.count()
	return ready
}
