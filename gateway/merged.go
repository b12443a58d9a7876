package gateway

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Envoy Gateway can let all Gateways of a class share their proxies (EnvoyProxy.spec.mergeGateways, in the EnvoyProxy that
// the class names). Then it takes no parameters of a single Gateway, an EnvoyPatchPolicy is for the class and may stand in
// any namespace, and the proxies carry the label of the class. The names of routes and clusters stay as they are.

// Labels that Envoy Gateway puts on the proxies, and on their Service, which gives them to its EndpointSlices.
const (
	labelOwningGateway          = "gateway.envoyproxy.io/owning-gateway-name"
	labelOwningGatewayNamespace = "gateway.envoyproxy.io/owning-gateway-namespace"
	labelOwningClass            = "gateway.envoyproxy.io/owning-gatewayclass"
)

// MergedClass is the GatewayClass whose Gateways share their proxies; empty: the Gateway has proxies of its own.
func MergedClass(facts Facts) string {
	if facts.Class == nil || facts.Class.Spec.ControllerName != EnvoyGatewayController ||
		facts.ClassProxy == nil || !ptr.Deref(facts.ClassProxy.Spec.MergeGateways, false) {
		return ""
	}
	return facts.Class.Name
}

// ProxyKey is by what the proxies that carry the route are found in an index: "namespace/name" of their Gateway, or
// "/name" of the class whose Gateways share them.
func ProxyKey(exs *v1alpha1.ExposedService, facts Facts) string {
	if class := MergedClass(facts); class != "" {
		return "/" + class
	}
	gateway := GatewayRef(exs)
	return gateway.Namespace + "/" + gateway.Name
}

// ProxyKeyOf is the key of what carries the labels of proxies; empty: it belongs to none.
func ProxyKeyOf(labels map[string]string) string {
	switch {
	case labels[labelOwningGateway] != "":
		return labels[labelOwningGatewayNamespace] + "/" + labels[labelOwningGateway]
	case labels[labelOwningClass] != "":
		return "/" + labels[labelOwningClass]
	}
	return ""
}

// PatchRefIn is where the EnvoyPatchPolicy of an ExposedService stands: beside the Gateway, or, where the Gateways of the
// class are merged, beside the ExposedService.
func PatchRefIn(exs *v1alpha1.ExposedService, facts Facts) Ref {
	if MergedClass(facts) != "" {
		return PatchRef(exs, exs.Namespace)
	}
	return PatchRef(exs, GatewayRef(exs).Namespace)
}

// patchTarget is what the EnvoyPatchPolicy is for.
func (e *expansion) patchTarget() gwapiv1.LocalPolicyTargetReference {
	if class := MergedClass(e.facts); class != "" {
		return gwapiv1.LocalPolicyTargetReference{Group: gwapiv1.GroupName, Kind: KindGatewayClass, Name: gwapiv1.ObjectName(class)}
	}
	return gwapiv1.LocalPolicyTargetReference{Group: gwapiv1.GroupName, Kind: KindGateway, Name: gwapiv1.ObjectName(e.out.Gateway.Name)}
}

// ignoreForMerged names the fields that a Gateway cannot have for itself where all of a class are merged.
func (e *expansion) ignoreForMerged() {
	where := ", which is to be set in EnvoyProxy " + e.facts.ClassProxy.Namespace + "/" + e.facts.ClassProxy.Name + ", because it merges all Gateways"
	if e.exs.Spec.Gateway.Visibility != nil {
		e.out.Ignored = append(e.out.Ignored, "spec.gateway.visibility"+where)
	}
	if e.exs.Spec.Gateway.Proxy != nil {
		e.out.Ignored = append(e.out.Ignored, "spec.gateway.proxy"+where)
	}
}

// patchAncestor finds what Envoy Gateway says of the EnvoyPatchPolicy in its effect on what it is for.
func (l Live) patchAncestor(gateway Ref) *gwapiv1.PolicyAncestorStatus {
	if l.PatchPolicy == nil {
		return nil
	}
	if l.MergedClass == "" {
		return l.policyAncestor(l.PatchPolicy.Status, l.PatchPolicy.Namespace, gateway)
	}
	return l.classAncestor(func(name string) bool { return name == l.MergedClass })
}

func (l Live) classAncestor(fits func(name string) bool) *gwapiv1.PolicyAncestorStatus {
	for i := range l.PatchPolicy.Status.Ancestors {
		ancestor := &l.PatchPolicy.Status.Ancestors[i]
		if l.speaks(ancestor.ControllerName) && string(ptr.Deref(ancestor.AncestorRef.Kind, KindGateway)) == KindGatewayClass &&
			fits(string(ancestor.AncestorRef.Name)) {
			return ancestor
		}
	}
	return nil
}

// mergedUnseen says whether Envoy Gateway takes the EnvoyPatchPolicy for one of a class, as it does with every one where its
// own configuration merges Gateways, although it is for the Gateway.
func (l Live) mergedUnseen() bool {
	if l.PatchPolicy == nil || l.MergedClass != "" {
		return false
	}
	ancestor := l.classAncestor(func(string) bool { return true })
	if ancestor == nil {
		return false
	}
	accepted := currentCondition(ancestor.Conditions, string(gwapiv1.PolicyConditionAccepted), l.PatchPolicy.Generation)
	return accepted != nil && accepted.Status == metav1.ConditionFalse && accepted.Reason != string(egv1a1.PolicyReasonDisabled)
}
