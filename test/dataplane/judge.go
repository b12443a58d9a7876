package dataplane

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/gateway"
)

func judgeGateway(gw *gwapiv1.Gateway) {
	set(&gw.Status.Conditions, gw.Generation, "Accepted", true, "Accepted", "The Gateway has been scheduled by Envoy Gateway")
	set(&gw.Status.Conditions, gw.Generation, "Programmed", true, "Programmed", "Address assigned to the Gateway, 1/1 envoy replicas available")
	gw.Status.Addresses = []gwapiv1.GatewayStatusAddress{{Type: ptr.To(gwapiv1.IPAddressType), Value: "192.0.2.10"}}
	statuses := gw.Status.Listeners
	gw.Status.Listeners = nil
	for _, listener := range gw.Spec.Listeners {
		status := gwapiv1.ListenerStatus{Name: listener.Name, SupportedKinds: []gwapiv1.RouteGroupKind{{Kind: "GRPCRoute"}}}
		for _, old := range statuses {
			if old.Name == listener.Name {
				status = old
			}
		}
		set(&status.Conditions, gw.Generation, "Programmed", true, "Programmed", "Sending translated listener configuration to the data plane")
		set(&status.Conditions, gw.Generation, "Accepted", true, "Accepted", "Listener has been successfully translated")
		set(&status.Conditions, gw.Generation, "ResolvedRefs", true, "ResolvedRefs", "Listener references have been resolved")
		gw.Status.Listeners = append(gw.Status.Listeners, status)
	}
}

func (d *DataPlane) judgeRoute(route *gwapiv1.GRPCRoute) {
	parent := gwapiv1.RouteParentStatus{ParentRef: route.Spec.ParentRefs[0], ControllerName: gateway.EnvoyGatewayController}
	if len(route.Status.Parents) > 0 && equality.Semantic.DeepEqual(route.Status.Parents[0].ParentRef, parent.ParentRef) {
		parent = route.Status.Parents[0]
	}
	set(&parent.Conditions, route.Generation, "Accepted", true, "Accepted", "Route is accepted")
	if route.Name == d.behavior.NotAllowed {
		set(&parent.Conditions, route.Generation, "Accepted", false, "NotAllowedByListeners", "No listeners included by this parent ref allowed this attachment.")
	}
	if d.behavior.BackendsOff && len(backendsOf(route)) > 0 {
		set(&parent.Conditions, route.Generation, "ResolvedRefs", false, "UnsupportedValue",
			"Failed to process route rule 0 backendRef 2: Backend is disabled in Envoy Gateway configuration.")
	} else {
		set(&parent.Conditions, route.Generation, "ResolvedRefs", true, "ResolvedRefs", "Resolved all the Object references for the Route")
	}
	route.Status.Parents = []gwapiv1.RouteParentStatus{parent}
}

func (d *DataPlane) judgePatch(policy *egv1a1.EnvoyPatchPolicy, gw *gwapiv1.Gateway) {
	if d.behavior.PatchesOff {
		policy.Status.Ancestors = nil
		set(&ancestorOf(&policy.Status, gw).Conditions, policy.Generation, "Accepted", false, "Disabled",
			"EnvoyPatchPolicy is disabled in the EnvoyGateway configuration")
		return
	}
	ancestor := ancestorOf(&policy.Status, gw)
	set(&ancestor.Conditions, policy.Generation, "Accepted", true, "Accepted", "Policy has been accepted.")
	set(&ancestor.Conditions, policy.Generation, "Programmed", true, "Programmed", "Patches have been successfully applied.")
}

func ancestorOf(status *gwapiv1.PolicyStatus, gw *gwapiv1.Gateway) *gwapiv1.PolicyAncestorStatus {
	// A policy that has another Gateway now has nobody's verdict on it.
	if len(status.Ancestors) == 0 || !equality.Semantic.DeepEqual(status.Ancestors[0].AncestorRef, ancestorRef(gw)) {
		status.Ancestors = []gwapiv1.PolicyAncestorStatus{{AncestorRef: ancestorRef(gw), ControllerName: gateway.EnvoyGatewayController}}
	}
	return &status.Ancestors[0]
}

func ancestorRef(gw *gwapiv1.Gateway) gwapiv1.ParentReference {
	return gwapiv1.ParentReference{
		Group: ptr.To(gwapiv1.Group(gwapiv1.GroupName)), Kind: ptr.To(gwapiv1.Kind("Gateway")),
		Namespace: ptr.To(gwapiv1.Namespace(gw.Namespace)), Name: gwapiv1.ObjectName(gw.Name),
	}
}

func backendsOf(route *gwapiv1.GRPCRoute) []string {
	var out []string
	for _, rule := range route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			if ptr.Deref(ref.Kind, "Service") == "Backend" {
				out = append(out, string(ref.Name))
			}
		}
	}
	return out
}

func set(conditions *[]metav1.Condition, generation int64, conditionType string, status bool, reason, message string) {
	value := metav1.ConditionFalse
	if status {
		value = metav1.ConditionTrue
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: value, Reason: reason, Message: message, ObservedGeneration: generation,
	})
}
