package gateway

import (
	"slices"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// addRoute makes the GRPCRoute. All matches stand in one rule: they all lead to the same backends,
// and Envoy Gateway names a cluster after the index of its rule, so that removing one rule of
// several would rename the clusters of the others.
//
// The backendRefs carry no filters: with one, Envoy Gateway makes a cluster for each backend, and a
// change of weights loses calls.
func (e *expansion) addRoute() {
	parent := gwapiv1.ParentReference{Name: gwapiv1.ObjectName(e.out.Gateway.Name)}
	if ref := e.exs.Spec.Gateway.ParentRef; ref != nil {
		if ref.Namespace != nil {
			parent.Namespace = ptr.To(gwapiv1.Namespace(*ref.Namespace))
		}
		if ref.SectionName != nil {
			parent.SectionName = ptr.To(gwapiv1.SectionName(*ref.SectionName))
		}
	}
	route := &gwapiv1.GRPCRoute{
		TypeMeta:   metav1.TypeMeta{APIVersion: gwapiv1.GroupVersion.String(), Kind: KindGRPCRoute},
		ObjectMeta: e.meta(e.exs.Name, ""),
		Spec: gwapiv1.GRPCRouteSpec{
			CommonRouteSpec: gwapiv1.CommonRouteSpec{ParentRefs: []gwapiv1.ParentReference{parent}},
			Rules:           []gwapiv1.GRPCRouteRule{{Matches: matches(e.exs.Spec.Rules), BackendRefs: e.backendRefs()}},
		},
	}
	route.Spec.Hostnames, _ = e.hostnames()
	e.add(route)
}

func matches(rules []v1alpha1.Rule) []gwapiv1.GRPCRouteMatch {
	var out []gwapiv1.GRPCRouteMatch
	for _, rule := range rules {
		for _, match := range rule.Matches {
			out = append(out, routeMatch(match))
		}
	}
	return out
}

func routeMatch(match v1alpha1.Match) gwapiv1.GRPCRouteMatch {
	var out gwapiv1.GRPCRouteMatch
	if match.Service != nil || match.Method != nil {
		matchType := gwapiv1.GRPCMethodMatchExact
		if match.Type == v1alpha1.MatchRegularExpression {
			matchType = gwapiv1.GRPCMethodMatchRegularExpression
		}
		out.Method = &gwapiv1.GRPCMethodMatch{Type: &matchType, Service: match.Service, Method: match.Method}
	}
	for _, header := range match.Headers {
		headerType := gwapiv1.GRPCHeaderMatchExact
		if header.Type == v1alpha1.MatchRegularExpression {
			headerType = gwapiv1.GRPCHeaderMatchRegularExpression
		}
		out.Headers = append(out.Headers, gwapiv1.GRPCHeaderMatch{
			Type: &headerType, Name: gwapiv1.GRPCHeaderName(header.Name), Value: header.Value,
		})
	}
	return out
}

// backendRefs gives each backend the weight of the decision. In the one-cluster shape the fallback
// stands beside them with weight 1, the least with which it is in the cluster at all: priority 1 gets
// nothing while priority 0 has an endpoint, whatever the weights are. Where Envoy Gateway's Backend
// API is off the fallback is named with weight 0, which sends nothing there: Envoy Gateway gives a
// Backend a verdict only while a route names it, and that verdict is where the API's coming back shows.
//
// Envoy Gateway calls localities and clusters by their index here. So the slot Blue is always the first, whoever is in it, and Green comes
// after all others: nobody's index changes when Green comes and goes. Nor does that of Green when a canary of the user's own does.
func (e *expansion) backendRefs() []gwapiv1.GRPCBackendRef {
	var refs []gwapiv1.GRPCBackendRef
	weights := e.weights()
	add := func(fits func(backend) bool) {
		for _, b := range e.backends {
			if object, ok := e.backendObject(b); ok && fits(b) {
				refs = append(refs, gwapiv1.GRPCBackendRef{BackendRef: gwapiv1.BackendRef{
					BackendObjectReference: object, Weight: ptr.To(weights[b.Name]),
				}})
			}
		}
	}
	in := func(slot v1alpha1.Slot) func(backend) bool { return func(b backend) bool { return b.in == slot } }
	isLast := func(b backend) bool {
		return b.in == "" && b.canary && slices.ContainsFunc(e.backends, in(v1alpha1.SlotGreen))
	}
	add(in(v1alpha1.SlotBlue))
	add(func(b backend) bool { return b.in == "" && !isLast(b) })
	if e.hasFallback {
		weight := int32(0)
		if e.shape.priorities {
			weight = 1
		}
		refs = append(refs, gwapiv1.GRPCBackendRef{BackendRef: gwapiv1.BackendRef{
			BackendObjectReference: envoyBackend(FallbackName(e.exs)), Weight: &weight,
		}})
	}
	add(in(v1alpha1.SlotGreen))
	add(isLast)
	return refs
}

// backendObject is what the route names for a backend; false: the backend has no place in it.
func (e *expansion) backendObject(b backend) (gwapiv1.BackendObjectReference, bool) {
	switch {
	case !e.hasPlace(b):
		return gwapiv1.BackendObjectReference{}, false
	case b.inside() && (e.shape.oneCluster || e.namesSlot(b)):
		return gwapiv1.BackendObjectReference{Name: gwapiv1.ObjectName(b.own), Port: ptr.To(b.number())}, true
	case b.ServiceImport != nil:
		return gwapiv1.BackendObjectReference{
			Group: ptr.To(gwapiv1.Group(GroupMultiCluster)), Kind: ptr.To(gwapiv1.Kind(KindServiceImport)),
			Name: gwapiv1.ObjectName(b.ServiceImport.Name), Port: ptr.To(b.number()),
		}, true
	case b.Service != nil:
		ref := gwapiv1.BackendObjectReference{Name: gwapiv1.ObjectName(b.Service.Name), Port: ptr.To(b.number())}
		if namespace := b.namespace(e.exs); namespace != e.exs.Namespace {
			ref.Namespace = ptr.To(gwapiv1.Namespace(namespace))
		}
		return ref, true
	}
	return envoyBackend(HostName(e.exs, b.Name)), true
}

// namesSlot says whether a route of the portable shape names the backend by the Service of its slot. One that has just been made has no
// endpoints: until it has, and as long as there is one version, the user's own Service has the same.
func (e *expansion) namesSlot(b backend) bool {
	return b.in != "" && (b.other || b.in == v1alpha1.SlotGreen || b.hash != "" || b.ownSlicesKnown() ||
		e.facts.LiveWeights == nil || namesService(e.facts.LiveRoute, b.own))
}

func namesService(route *gwapiv1.GRPCRoute, name string) bool {
	return route != nil && slices.ContainsFunc(route.Spec.Rules, func(rule gwapiv1.GRPCRouteRule) bool {
		return slices.ContainsFunc(rule.BackendRefs, func(ref gwapiv1.GRPCBackendRef) bool {
			return ptr.Deref(ref.Kind, KindService) == KindService && string(ref.Name) == name
		})
	})
}

func envoyBackend(name string) gwapiv1.BackendObjectReference {
	return gwapiv1.BackendObjectReference{
		Group: ptr.To(gwapiv1.Group(egv1a1.GroupName)), Kind: ptr.To(gwapiv1.Kind(KindBackend)), Name: gwapiv1.ObjectName(name),
	}
}
