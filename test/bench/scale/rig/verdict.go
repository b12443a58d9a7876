package rig

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/gateway"
)

// gatewayAddress is of every Gateway: nobody calls it (RFC 5737).
const gatewayAddress = "192.0.2.10"

// verdict is the status that Envoy Gateway 1.9 writes for an object that it has accepted and programmed; nil: it has one. A
// Gateway and its route have one name here, which the policies go by.
func verdict(object client.Object, now metav1.Time) any {
	accepted := conditions(object, now, "Accepted")
	switch o := object.(type) {
	case *gwapiv1.Gateway:
		if !answered(o.Status.Conditions, o.Generation) {
			return gatewayVerdict(o, now)
		}
	case *gwapiv1.GRPCRoute:
		if len(o.Status.Parents) == 0 || !answered(o.Status.Parents[0].Conditions, o.Generation) {
			return gwapiv1.RouteStatus{Parents: []gwapiv1.RouteParentStatus{{
				ParentRef: o.Spec.ParentRefs[0], ControllerName: gateway.EnvoyGatewayController,
				Conditions: conditions(o, now, "Accepted", "ResolvedRefs"),
			}}}
		}
	case *egv1a1.EnvoyProxy:
		if len(o.Status.Ancestors) == 0 || !answered(o.Status.Ancestors[0].Conditions, o.Generation) {
			return egv1a1.EnvoyProxyStatus{Ancestors: []egv1a1.EnvoyProxyAncestorStatus{{
				AncestorRef: gatewayRef(o, o.Name), Conditions: accepted,
			}}}
		}
	case *egv1a1.EnvoyPatchPolicy:
		return policyVerdict(o, o.Status, string(o.Spec.TargetRef.Name), conditions(o, now, "Accepted", "Programmed"))
	case *egv1a1.BackendTrafficPolicy:
		return policyVerdict(o, o.Status, string(o.Spec.TargetRefs[0].Name), accepted)
	case *egv1a1.Backend:
		if !answered(o.Status.Conditions, o.Generation) {
			return egv1a1.BackendStatus{Conditions: accepted}
		}
	}
	return nil
}

func gatewayVerdict(o *gwapiv1.Gateway, now metav1.Time) gwapiv1.GatewayStatus {
	out := gwapiv1.GatewayStatus{
		Conditions: conditions(o, now, "Accepted", "Programmed"),
		Addresses:  []gwapiv1.GatewayStatusAddress{{Type: ptr.To(gwapiv1.IPAddressType), Value: gatewayAddress}},
	}
	for _, listener := range o.Spec.Listeners {
		out.Listeners = append(out.Listeners, gwapiv1.ListenerStatus{
			Name: listener.Name, SupportedKinds: []gwapiv1.RouteGroupKind{{Group: ptr.To(gwapiv1.Group(gwapiv1.GroupName)), Kind: "GRPCRoute"}},
			Conditions: conditions(o, now, "Programmed", "Accepted", "ResolvedRefs"),
		})
	}
	return out
}

func policyVerdict(object client.Object, live gwapiv1.PolicyStatus, gatewayName string, conditions []metav1.Condition) any {
	if len(live.Ancestors) > 0 && answered(live.Ancestors[0].Conditions, object.GetGeneration()) {
		return nil
	}
	return gwapiv1.PolicyStatus{Ancestors: []gwapiv1.PolicyAncestorStatus{{
		AncestorRef: gatewayRef(object, gatewayName), ControllerName: gateway.EnvoyGatewayController, Conditions: conditions,
	}}}
}

func gatewayRef(near client.Object, name string) gwapiv1.ParentReference {
	return gwapiv1.ParentReference{
		Group: ptr.To(gwapiv1.Group(gwapiv1.GroupName)), Kind: ptr.To(gwapiv1.Kind("Gateway")),
		Namespace: ptr.To(gwapiv1.Namespace(near.GetNamespace())), Name: gwapiv1.ObjectName(name),
	}
}

// conditions are True, with their own names for reasons, of the generation of an object.
func conditions(object client.Object, now metav1.Time, names ...string) []metav1.Condition {
	out := make([]metav1.Condition, 0, len(names))
	for _, name := range names {
		out = append(out, metav1.Condition{
			Type: name, Status: metav1.ConditionTrue, Reason: name, Message: "As Envoy Gateway says it", ObservedGeneration: object.GetGeneration(),
			LastTransitionTime: now,
		})
	}
	return out
}

// answered says whether conditions are of a generation. Gateways are made with conditions of generation 0 by their CRD.
func answered(conditions []metav1.Condition, generation int64) bool {
	return len(conditions) > 0 && conditions[0].ObservedGeneration == generation && conditions[0].Status == metav1.ConditionTrue
}
