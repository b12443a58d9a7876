package gateway

import (
	"maps"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// carryOn keeps current what a live route stands on, although its Gateway or the class is not known: its proxies may well
// go on. The route itself says how the objects are laid out. Endpoints follow the pods, and the weights of the
// route the decision; nothing is made that is not there, and everything else stays as it is.
func (e *expansion) carryOn() {
	route := e.facts.LiveRoute
	if route == nil || len(e.facts.LiveWeights) == 0 {
		return
	}
	// With steps of the weights both shapes lose no call.
	e.shape = shape{oneCluster: e.namesOwnServices(route), zoned: true, fallback: -1}
	e.shape.fallback, e.shape.besides = e.liveStandby()
	if e.shape.oneCluster {
		for _, b := range e.backends {
			if b.inside() && b.facts.OwnService != nil {
				e.addOwnService(b)
				e.emptySlices(b)
			}
		}
	} else {
		e.carrySlots()
	}
	if e.shape.fallback >= 0 {
		// Whoever stood by still does: the others are let go only when the route is seen to have arrived.
		e.shape.envoyGateway, e.shape.probe = true, true
		e.addFallback()
	}
	e.carryWeights(route)
	e.out.exists = e.existing()
}

// namesOwnServices says whether a route leads to Services of Headgate's own, as in the one-cluster shape. Those of slots it names in
// either shape, but only there they have a placeholder.
func (e *expansion) namesOwnServices(route *gwapiv1.GRPCRoute) bool {
	return slices.ContainsFunc(e.backends, func(b backend) bool {
		return b.inside() && namesService(route, b.own) && (b.in == "" || slices.ContainsFunc(b.facts.OwnSlices, isPlaceholderSlice))
	})
}

func isPlaceholderSlice(slice discoveryv1.EndpointSlice) bool { return isPlaceholder(&slice) }

// carrySlots keeps the Services of slots current in the portable shape.
func (e *expansion) carrySlots() {
	for _, b := range e.backends {
		if b.in != "" && b.facts.OwnService != nil {
			e.addOwnService(b)
		}
	}
}

// emptySlices empties the copies of EndpointSlices that are gone, which nobody removes now.
func (e *expansion) emptySlices(b backend) {
	for i := range b.facts.OwnSlices {
		live := &b.facts.OwnSlices[i]
		ref := Ref{Group: discoveryv1.GroupName, Kind: KindEndpointSlice, Namespace: e.exs.Namespace, Name: live.Name}
		wanted := slices.ContainsFunc(e.out.Objects, func(object Object) bool { return RefOf(object) == ref })
		if wanted || slices.Contains(e.out.Kept, ref) || live.Labels[discoveryv1.LabelManagedBy] != sliceManager || isPlaceholder(live) ||
			len(live.Ports) == 0 {
			continue
		}
		e.add(e.slice(b, live.Name, live.AddressType, ptr.Deref(live.Ports[0].Port, placeholderPort), []discoveryv1.Endpoint{}))
	}
}

// carryWeights gives a live route the weights of the decision, as far as it names the backends, and changes nothing else of
// it: what the spec asks for beyond that may be for a Gateway that is not there.
func (e *expansion) carryWeights(route *gwapiv1.GRPCRoute) {
	want := e.wantedOf(e.facts.LiveWeights)
	next := nextWeights(e.facts.LiveWeights, want)
	if want == nil || maps.Equal(next, e.facts.LiveWeights) {
		e.keep(gwapiv1.GroupName, KindGRPCRoute, route.Name)
		return
	}
	out := &gwapiv1.GRPCRoute{
		TypeMeta: metav1.TypeMeta{APIVersion: gwapiv1.GroupVersion.String(), Kind: KindGRPCRoute},
		ObjectMeta: metav1.ObjectMeta{
			Name: route.Name, Namespace: route.Namespace, Labels: maps.Clone(route.Labels), Annotations: maps.Clone(route.Annotations),
		},
		Spec: *route.Spec.DeepCopy(),
	}
	delete(out.Annotations, v1alpha1.AnnotationIntent)
	eachBackendRef(e.exs, e.facts.Canary, out, func(place string, _ int, ref *gwapiv1.GRPCBackendRef) { ref.Weight = ptr.To(next[e.roleAt(place)]) })
	e.add(out)
	e.out.Unfinished = !maps.Equal(next, want)
}

// wantedOf is the decision for the backends that a route names; nil: it is about none of them.
func (e *expansion) wantedOf(named map[string]int32) map[string]int32 {
	decided, out, first, sum := e.decided(), map[string]int32{}, "", int32(0)
	for _, b := range e.backends {
		if _, isNamed := named[b.Name]; !isNamed {
			continue
		}
		if first == "" {
			first = b.Name
		}
		out[b.Name] = decided[b.Name]
		sum += decided[b.Name]
	}
	if sum == 0 {
		return nil
	}
	out[first] += TotalWeight - sum
	return out
}
