package gateway

import (
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
	for _, hostname := range e.exs.Spec.Hostnames {
		route.Spec.Hostnames = append(route.Spec.Hostnames, gwapiv1.Hostname(hostname))
	}
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
func (e *expansion) backendRefs() []gwapiv1.GRPCBackendRef {
	var refs []gwapiv1.GRPCBackendRef
	weights := e.weights()
	for _, b := range e.backends {
		if object, ok := e.backendObject(b); ok {
			refs = append(refs, gwapiv1.GRPCBackendRef{BackendRef: gwapiv1.BackendRef{
				BackendObjectReference: object, Weight: ptr.To(weights[b.Name]),
			}})
		}
	}
	if e.hasFallback {
		weight := int32(0)
		if e.shape.priorities {
			weight = 1
		}
		refs = append(refs, gwapiv1.GRPCBackendRef{BackendRef: gwapiv1.BackendRef{
			BackendObjectReference: envoyBackend(FallbackName(e.exs)), Weight: &weight,
		}})
	}
	return refs
}

// backendObject is what the route names for a backend; false: the backend has no place in it.
func (e *expansion) backendObject(b backend) (gwapiv1.BackendObjectReference, bool) {
	switch {
	case !e.hasPlace(b):
		return gwapiv1.BackendObjectReference{}, false
	case b.inside() && e.shape.oneCluster:
		return gwapiv1.BackendObjectReference{
			Name: gwapiv1.ObjectName(ServiceName(e.exs, b.Name)), Port: ptr.To(b.number()),
		}, true
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

func envoyBackend(name string) gwapiv1.BackendObjectReference {
	return gwapiv1.BackendObjectReference{
		Group: ptr.To(gwapiv1.Group(egv1a1.GroupName)), Kind: ptr.To(gwapiv1.Kind(KindBackend)), Name: gwapiv1.ObjectName(name),
	}
}
