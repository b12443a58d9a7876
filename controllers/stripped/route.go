package stripped

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// stripHTTPRoute is for HTTPRoutes, which are others': which calls they take is kept, and whether their Gateways let them.
func (s *Stripper) stripHTTPRoute(route *gwapiv1.HTTPRoute) {
	s.stripMetadata(route)
	rules := make([]gwapiv1.HTTPRouteRule, len(route.Spec.Rules))
	for i, rule := range route.Spec.Rules {
		for _, match := range rule.Matches {
			rules[i].Matches = append(rules[i].Matches, gwapiv1.HTTPRouteMatch{Path: match.Path})
		}
	}
	route.Spec = gwapiv1.HTTPRouteSpec{
		CommonRouteSpec: gwapiv1.CommonRouteSpec{ParentRefs: route.Spec.ParentRefs}, Hostnames: route.Spec.Hostnames, Rules: rules,
	}
	for i := range route.Status.Parents {
		parent := &route.Status.Parents[i]
		var kept []metav1.Condition
		for _, condition := range parent.Conditions {
			if condition.Type == string(gwapiv1.RouteConditionAccepted) {
				kept = append(kept, metav1.Condition{Type: condition.Type, Status: condition.Status, ObservedGeneration: condition.ObservedGeneration})
			}
		}
		parent.Conditions = kept
	}
}
