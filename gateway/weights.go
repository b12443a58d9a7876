package gateway

import (
	"maps"
	"slices"

	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// TotalWeight is what the weights of a route's backends add up to, the fallback's aside.
const TotalWeight = int32(1_000_000)

// leastWeight is what a backend gets before its share where it has a cluster of its own.
const leastWeight = int32(1)

// decided is the decision of the status, as far as it is about the backends of the spec. Without
// one the first backend has everything.
func (e *expansion) decided() map[string]int32 {
	weights := map[string]int32{}
	if decision := e.exs.Status.Traffic; decision != nil {
		for _, b := range e.backends {
			for _, weight := range decision.Weights {
				if weight.Name == b.Name && weight.Weight > 0 {
					weights[b.Name] = weight.Weight
				}
			}
		}
	}
	if len(weights) == 0 {
		weights[e.backends[0].Name] = TotalWeight
	}
	return weights
}

// wanted is the decision for the backends that the route can name.
func (e *expansion) wanted() map[string]int32 {
	want := map[string]int32{}
	first, rest := "", int32(0)
	maps.Copy(want, e.decided())
	for _, b := range e.backends {
		switch {
		case !e.hasPlace(b):
			rest += want[b.Name]
			delete(want, b.Name)
		case first == "":
			first = b.Name
		}
	}
	if first != "" && rest > 0 {
		// All weights zero would be an error for every call.
		want[first] += rest
	}
	return want
}

// weights are those that the route is to have, for the backends that it can name.
func (e *expansion) weights() map[string]int32 {
	want := map[string]int32{}
	wanted, first, sum := e.wanted(), "", int32(0)
	for _, b := range e.backends {
		if !e.hasPlace(b) {
			continue
		}
		want[b.Name] = wanted[b.Name]
		sum += wanted[b.Name]
		if first == "" {
			first = b.Name
		}
	}
	if first != "" && sum < TotalWeight {
		// Part of the decision is about what is not here (yet).
		want[first] += TotalWeight - sum
	}
	if e.shape.oneCluster && !e.shape.zoned || e.facts.LiveWeights == nil {
		return want
	}
	next := nextWeights(e.facts.LiveWeights, want)
	for name := range want {
		if next[name] != want[name] {
			e.out.Unfinished = true
		}
	}
	return next
}

// nextWeights is the next step from one set of weights to another where each backend has a cluster
// of its own: a backend that had no weight gets the least there is before it gets its share, so that
// its cluster is there and warm, and one that is to lose all keeps the least until the others have
// their shares. Both steps were measured to lose no call, where a single write loses some.
func nextWeights(live, want map[string]int32) map[string]int32 {
	next := make(map[string]int32, len(want))
	fresh := false
	for name, weight := range want {
		next[name] = live[name]
		if weight > 0 && live[name] == 0 {
			next[name] = leastWeight
			fresh = true
		}
	}
	if fresh {
		return next
	}
	settled := true
	for name, weight := range want {
		next[name] = weight
		if weight > 0 && live[name] != weight {
			settled = false
		}
	}
	if settled {
		return next
	}
	for name, weight := range want {
		if weight == 0 && live[name] > 0 {
			next[name] = leastWeight
		}
	}
	return next
}

// decidedWeight is what the decision gives to a backend.
func decidedWeight(exs *v1alpha1.ExposedService, name string) int32 {
	if exs.Status.Traffic == nil {
		return 0
	}
	for _, weight := range exs.Status.Traffic.Weights {
		if weight.Name == name {
			return weight.Weight
		}
	}
	return 0
}

// LiveWeights are the weights of a live route, by the places that its backendRefs stand for: the names of the backends, that of a canary of
// the user's own, and PlaceGreen. References to anything else are left out. Where one could stand for
// several backends, it is the first of them that none before it stands for: a route of ours names them
// in this order.
func LiveWeights(exs *v1alpha1.ExposedService, canary *v1alpha1.ServiceBackend, route *gwapiv1.GRPCRoute) map[string]int32 {
	if route == nil {
		return nil
	}
	weights := map[string]int32{}
	eachBackendRef(exs, canary, route, func(place string, _ int, ref *gwapiv1.GRPCBackendRef) { weights[place] = ptr.Deref(ref.Weight, 1) })
	return weights
}

// eachBackendRef calls a function with each reference of a route to a backend, its index, and the place of that.
func eachBackendRef(
	exs *v1alpha1.ExposedService, canary *v1alpha1.ServiceBackend, route *gwapiv1.GRPCRoute, f func(place string, index int, ref *gwapiv1.GRPCBackendRef),
) {
	backends := exs.Spec.Backends
	if canary != nil {
		backends = append(slices.Clip(backends), canaryBackend(canary))
	}
	taken := map[string]bool{}
	for i := range route.Spec.Rules {
		refs := route.Spec.Rules[i].BackendRefs
		for j := range refs {
			k := slices.IndexFunc(backends, func(b v1alpha1.Backend) bool {
				return !taken[b.Name] && standsFor(exs, b, refs[j].BackendObjectReference)
			})
			if k >= 0 {
				taken[backends[k].Name] = true
				f(backends[k].Name, j, &refs[j])
			} else if isGreen(exs, refs[j].BackendObjectReference) {
				f(PlaceGreen, j, &refs[j])
			}
		}
	}
}

// isGreen says whether a backendRef is that of the slot Green.
func isGreen(exs *v1alpha1.ExposedService, ref gwapiv1.BackendObjectReference) bool {
	return string(ptr.Deref(ref.Kind, KindService)) == KindService && string(ref.Name) == SlotServiceName(exs, v1alpha1.SlotGreen) &&
		string(ptr.Deref(ref.Namespace, gwapiv1.Namespace(exs.Namespace))) == exs.Namespace
}

// standsFor says whether a backendRef is the backend's, in either shape.
func standsFor(exs *v1alpha1.ExposedService, b v1alpha1.Backend, ref gwapiv1.BackendObjectReference) bool {
	kind := string(ptr.Deref(ref.Kind, KindService))
	namespace := string(ptr.Deref(ref.Namespace, gwapiv1.Namespace(exs.Namespace)))
	if b.FQDN == nil && kind == KindService && string(ref.Name) == ServiceName(exs, b.Name) && namespace == exs.Namespace {
		return true
	}
	switch {
	case b.Service != nil:
		return kind == KindService && string(ref.Name) == b.Service.Name && namespace == ptr.Deref(b.Service.Namespace, exs.Namespace) &&
			ptr.Deref(ref.Port, 0) == int32(b.Service.Port)
	case b.ServiceImport != nil:
		return kind == KindServiceImport && string(ref.Name) == b.ServiceImport.Name && ptr.Deref(ref.Port, 0) == int32(b.ServiceImport.Port)
	}
	return kind == KindBackend && string(ref.Name) == HostName(exs, b.Name)
}
