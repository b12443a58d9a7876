package gateway

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Live is what the cluster holds of the objects that carry an ExposedService. Any of them may be
// nil: it does not exist, or is not ours.
type Live struct {
	// Controller is the controllerName of the GatewayClass; only its words count. Empty: the class
	// is not known, and whoever speaks is believed.
	Controller gwapiv1.GatewayController
	// Gateway is the owned Gateway, or the one that spec.gateway.parentRef names.
	Gateway *gwapiv1.Gateway
	// Route is the GRPCRoute.
	Route *gwapiv1.GRPCRoute
	// TrafficPolicy is the BackendTrafficPolicy of the route.
	TrafficPolicy *egv1a1.BackendTrafficPolicy
	// PatchPolicy is the EnvoyPatchPolicy beside the Gateway.
	PatchPolicy *egv1a1.EnvoyPatchPolicy
	// Proxy is the EnvoyProxy of an owned Gateway.
	Proxy *egv1a1.EnvoyProxy
	// Backends are the Backends: the fallback, and hosts outside the cluster.
	Backends []*egv1a1.Backend
}

// currentCondition finds the condition of a type among those that were made from this generation
// of the object. What was said of an older generation says nothing about this one.
func currentCondition(conditions []metav1.Condition, conditionType string, generation int64) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == conditionType && conditions[i].ObservedGeneration == generation {
			return &conditions[i]
		}
	}
	return nil
}

// routeParent finds what the class's controller says of the route as a child of the Gateway.
// An entry for another listener, another Gateway or of another controller is not ours to read.
func (l Live) routeParent() *gwapiv1.RouteParentStatus {
	if l.Route == nil || len(l.Route.Spec.ParentRefs) == 0 {
		return nil
	}
	want := l.Route.Spec.ParentRefs[0]
	for i := range l.Route.Status.Parents {
		parent := &l.Route.Status.Parents[i]
		if l.speaks(parent.ControllerName) && sameParent(parent.ParentRef, want, l.Route.Namespace) {
			return parent
		}
	}
	return nil
}

// policyAncestor finds what the class's controller says of a policy in its effect on the Gateway.
func (l Live) policyAncestor(status gwapiv1.PolicyStatus, policyNamespace string, gateway Ref) *gwapiv1.PolicyAncestorStatus {
	for i := range status.Ancestors {
		ancestor := &status.Ancestors[i]
		if l.speaks(ancestor.ControllerName) && isGateway(ancestor.AncestorRef, policyNamespace, gateway) {
			return ancestor
		}
	}
	return nil
}

func (l Live) speaks(controller gwapiv1.GatewayController) bool {
	return l.Controller == "" || l.Controller == controller
}

func sameParent(a, b gwapiv1.ParentReference, namespace string) bool {
	return parentRef(a, namespace) == parentRef(b, namespace) &&
		ptr.Deref(a.SectionName, "") == ptr.Deref(b.SectionName, "") && ptr.Deref(a.Port, 0) == ptr.Deref(b.Port, 0)
}

func isGateway(ref gwapiv1.ParentReference, namespace string, gateway Ref) bool {
	return parentRef(ref, namespace) == gateway
}

// parentRef names what a parentRef names; its defaults are those of Gateway API.
func parentRef(ref gwapiv1.ParentReference, namespace string) Ref {
	return Ref{
		Group: string(ptr.Deref(ref.Group, gwapiv1.GroupName)), Kind: string(ptr.Deref(ref.Kind, KindGateway)),
		Namespace: string(ptr.Deref(ref.Namespace, gwapiv1.Namespace(namespace))), Name: string(ref.Name),
	}
}

// RouteAccepted says whether the controller has accepted the route as it is now.
func (l Live) RouteAccepted() bool {
	if l.Route == nil {
		return false
	}
	parent := l.routeParent()
	if parent == nil {
		return false
	}
	accepted := currentCondition(parent.Conditions, string(gwapiv1.RouteConditionAccepted), l.Route.Generation)
	return accepted != nil && accepted.Status == metav1.ConditionTrue
}

// RouteRefused says whether the controller has refused the route as it is now, so that no call meets it.
func (l Live) RouteRefused() bool {
	parent := l.routeParent()
	return parent != nil && isFalse(currentCondition(parent.Conditions, string(gwapiv1.RouteConditionAccepted), l.Route.Generation))
}
