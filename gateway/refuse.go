package gateway

import (
	"slices"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// RefOf names an object of an expansion, which carries its kind.
func RefOf(object Object) Ref {
	gvk := object.GetObjectKind().GroupVersionKind()
	return Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
}

// With adds problems. The expansion itself is not changed.
func (e Expansion) With(problems ...Problem) Expansion {
	e.Problems = append(slices.Clip(e.Problems), problems...)
	return e
}

// Keep names more objects that are to be left as they are. The expansion itself is not changed.
func (e Expansion) Keep(refs ...Ref) Expansion {
	e.Kept = append(slices.Clip(e.Kept), refs...)
	return e
}

// Without refuses one object: it is left as it is if it exists, and not made if it does not. So is what would do harm or
// nothing at all without it, unless that is there already; a route that can do without it goes on and does not name it
// any more. The problems say why. The expansion itself is not changed.
func (e Expansion) Without(ref Ref, problems ...Problem) Expansion {
	e.Objects, e.Kept = slices.Clone(e.Objects), slices.Clone(e.Kept)
	out := e.With(problems...)
	refuse(&out, ref)
	return out
}

// Claiming is the expansion whose route claims the calls that another one does, by host names and matches, and no more. It is for
// a live route when what the spec asks for anew is somebody else's. The expansion itself is not changed.
func (e Expansion) Claiming(live *gwapiv1.GRPCRoute) Expansion {
	e.Objects = slices.Clone(e.Objects)
	for i, object := range e.Objects {
		route, ok := object.(*gwapiv1.GRPCRoute)
		if !ok || len(route.Spec.Rules) != len(live.Spec.Rules) {
			continue
		}
		route = route.DeepCopy()
		route.Spec.Hostnames = slices.Clone(live.Spec.Hostnames)
		for j := range route.Spec.Rules {
			route.Spec.Rules[j].Matches = live.Spec.Rules[j].DeepCopy().Matches
		}
		e.Objects[i] = route
	}
	return e
}

// refuse changes the expansion in place.
func refuse(e *Expansion, ref Ref) {
	e.Objects = slices.DeleteFunc(e.Objects, func(object Object) bool { return RefOf(object) == ref })
	if !slices.Contains(e.Kept, ref) {
		e.Kept = append(e.Kept, ref)
	}
	if ref.Kind == KindGRPCRoute {
		e.Unfinished = false // Its weights go nowhere.
	}
	if e.exists[ref] {
		return
	}
	for _, object := range slices.Clone(e.Objects) {
		if standsOn(object, ref) && !e.exists[RefOf(object)] {
			refuse(e, RefOf(object))
		}
	}
	unname(e, ref)
}

// standsOn says whether an object that is not there yet must not be made while another is somebody else's, or is not
// there: a Gateway of Headgate's own without what it is to be made with, a route or a patch for somebody else's Gateway, a
// policy for somebody else's route, endpoints for somebody else's Service.
func standsOn(object Object, other Ref) bool {
	switch o := object.(type) {
	case *gwapiv1.Gateway:
		return other.Kind == KindEnvoyProxy
	case *gwapiv1.GRPCRoute:
		return other.Kind == KindGateway
	case *egv1a1.BackendTrafficPolicy:
		return other.Kind == KindGRPCRoute
	case *egv1a1.EnvoyPatchPolicy:
		return other.Kind == KindGRPCRoute || other.Kind == KindGateway
	case *discoveryv1.EndpointSlice:
		return other.Kind == KindService && o.Labels[discoveryv1.LabelServiceName] == other.Name
	}
	return false
}

// unname takes an object out of the route, which goes on with the others. The weight that it had goes to the first of
// them that is no canary's: all weights zero would be an error for every call. A route that has nothing else is left as it is.
func unname(e *Expansion, ref Ref) {
	index := slices.IndexFunc(e.Objects, func(object Object) bool { _, ok := object.(*gwapiv1.GRPCRoute); return ok })
	if index < 0 || ref.Kind != KindService && ref.Kind != KindBackend {
		return
	}
	route, _ := e.Objects[index].DeepCopyObject().(*gwapiv1.GRPCRoute)
	fallback := FallbackName(&v1alpha1.ExposedService{ObjectMeta: route.ObjectMeta})
	changed := false
	for i := range route.Spec.Rules {
		rule := &route.Spec.Rules[i]
		refs, weight := remaining(rule.BackendRefs, ref)
		if len(refs) == len(rule.BackendRefs) {
			continue
		}
		changed = true
		heir := func(have gwapiv1.GRPCBackendRef) bool { return string(have.Name) != fallback }
		first := slices.IndexFunc(refs, func(have gwapiv1.GRPCBackendRef) bool { return heir(have) && string(have.Name) != e.spare })
		if first < 0 {
			first = slices.IndexFunc(refs, heir)
		}
		if first < 0 {
			refuse(e, RefOf(route))
			return
		}
		if ref.Name != fallback {
			refs[first].Weight = ptr.To(ptr.Deref(refs[first].Weight, 1) + weight)
		}
		rule.BackendRefs = refs
	}
	if changed {
		e.Objects[index] = route
	}
	if ref.Kind == KindBackend && ref.Name == fallback && e.Failover.Mode == v1alpha1.FailoverPriorities {
		e.Failover.Fallback, e.FailoverReason = "", v1alpha1.ReasonNoFallback
		e.FailoverMessage = "the Backend " + ref.Namespace + "/" + ref.Name + ", which is to stand by, cannot be made: see the Accepted condition"
	}
}

// remaining are the references that do not name an object, and the weight of those that do.
func remaining(refs []gwapiv1.GRPCBackendRef, gone Ref) (out []gwapiv1.GRPCBackendRef, weight int32) {
	for _, have := range refs {
		if string(ptr.Deref(have.Kind, KindService)) == gone.Kind && string(have.Name) == gone.Name && have.Namespace == nil {
			weight += ptr.Deref(have.Weight, 1)
			continue
		}
		out = append(out, have)
	}
	return out, weight
}

// existing are those objects of the expansion that are known to be there and to be ours. What belongs to a live route is
// taken to be there as well.
func (e *expansion) existing() map[Ref]bool {
	out := map[Ref]bool{}
	for name, facts := range e.facts.Backends {
		if facts.OwnService != nil {
			out[Ref{Kind: KindService, Namespace: e.exs.Namespace, Name: ServiceName(e.exs, name)}] = true
		}
	}
	for in, have := range e.facts.Slots {
		if have.Service != nil {
			out[Ref{Kind: KindService, Namespace: e.exs.Namespace, Name: SlotServiceName(e.exs, in)}] = true
		}
	}
	ofBackend := func(name string) Ref {
		return Ref{Group: egv1a1.GroupName, Kind: KindBackend, Namespace: e.exs.Namespace, Name: name}
	}
	if len(e.facts.LiveStandby) > 0 {
		out[ofBackend(FallbackName(e.exs))] = true
	}
	for name, host := range e.facts.LiveHosts {
		if host.Exists {
			out[ofBackend(HostName(e.exs, name))] = true
		}
	}
	if e.facts.LiveWeights == nil {
		return out
	}
	for _, object := range e.out.Objects {
		switch ref := RefOf(object); ref.Kind {
		case KindService, KindEndpointSlice, KindBackend:
		default:
			out[ref] = true
		}
	}
	return out
}
