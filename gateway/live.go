package gateway

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Live is what the cluster holds of the objects that carry an ExposedService. Any of them may be
// nil: it does not exist, or is not ours.
type Live struct {
	// Controller is the controllerName of the GatewayClass; only its words count. Empty: the class
	// is not known, and whoever speaks is believed.
	Controller gwapiv1.GatewayController
	// MergedClass is the GatewayClass whose Gateways share their proxies; empty: the Gateway has its own.
	MergedClass string
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

// LiveOf finds the live objects by the names that they have. `ours` are objects that belong to the ExposedService, by what
// they are: those that somebody has copied, labels and owner and all, have other names. Of the facts it takes the class,
// the EnvoyProxy of the class and the shared Gateway.
func LiveOf[O Object](exs *v1alpha1.ExposedService, facts Facts, ours map[Ref]O) Live {
	live := Live{MergedClass: MergedClass(facts)}
	if facts.Class != nil {
		live.Controller = facts.Class.Spec.ControllerName
	}
	if Owned(exs) {
		live.Gateway, _ = find[*gwapiv1.Gateway](ours, GatewayRef(exs))
	} else {
		live.Gateway = facts.Gateway
	}
	live.Route, _ = find[*gwapiv1.GRPCRoute](ours, RouteRef(exs))
	live.TrafficPolicy, _ = find[*egv1a1.BackendTrafficPolicy](ours, envoyRef(exs, KindBackendTrafficPolicy, exs.Name))
	live.Proxy, _ = find[*egv1a1.EnvoyProxy](ours, envoyRef(exs, KindEnvoyProxy, exs.Name))
	live.PatchPolicy, _ = find[*egv1a1.EnvoyPatchPolicy](ours, PatchRefIn(exs, facts))
	names := []string{FallbackName(exs)}
	for _, b := range exs.Spec.Backends {
		names = append(names, HostName(exs, b.Name))
	}
	for _, name := range names {
		if object, found := find[*egv1a1.Backend](ours, envoyRef(exs, KindBackend, name)); found {
			live.Backends = append(live.Backends, object)
		}
	}
	return live
}

// find finds an object of a kind by its name.
func find[T Object, O Object](ours map[Ref]O, ref Ref) (found T, ok bool) {
	object, ok := ours[ref]
	if !ok {
		return found, false
	}
	found, ok = Object(object).(T)
	return found, ok
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
