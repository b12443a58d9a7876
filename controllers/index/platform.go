package index

import (
	"context"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/gateway"
)

// What a platform team sets for all Gateways of a class, or for all routes of a Gateway.

// AnyGateway stands for the Gateways that a policy selects by their labels.
const AnyGateway = "*"

// targetGateways are the names of the Gateways that a BackendTrafficPolicy targets.
func targetGateways(object client.Object) []string {
	policy, ok := object.(*egv1a1.BackendTrafficPolicy)
	if !ok {
		return nil
	}
	targets := policy.Spec.TargetRefs
	if old := policy.Spec.TargetRef; old != nil { //nolint:staticcheck // people still write it, and Envoy Gateway reads it
		targets = append([]gwapiv1.LocalPolicyTargetReferenceWithSectionName{*old}, targets...)
	}
	var out []string
	for _, target := range targets {
		if target.Group == gwapiv1.GroupName && target.Kind == gateway.KindGateway {
			out = append(out, string(target.Name))
		}
	}
	for _, selector := range policy.Spec.TargetSelectors {
		if selector.Kind == gateway.KindGateway {
			return append(out, AnyGateway)
		}
	}
	return out
}

// usersOfPolicy are those on the Gateways that a BackendTrafficPolicy targets. Those that target routes matter to
// their owners alone.
func (m Mapper) usersOfPolicy(ctx context.Context, object client.Object) []types.NamespacedName {
	var out []types.NamespacedName
	for _, name := range targetGateways(object) {
		if name == AnyGateway {
			return m.usersOfGatewaysIn(ctx, object.GetNamespace())
		}
		out = append(out, m.find(ctx, ByGateway, types.NamespacedName{Namespace: object.GetNamespace(), Name: name}.String())...)
	}
	return out
}

func (m Mapper) usersOfGatewaysIn(ctx context.Context, namespace string) []types.NamespacedName {
	var list gwapiv1.GatewayList
	if err := m.Cache.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "look up Gateways", "namespace", namespace)
		return nil
	}
	var out []types.NamespacedName
	for i := range list.Items {
		out = append(out, m.usersOfGateway(ctx, &list.Items[i])...)
	}
	return out
}

// defaultProxyNamespace is where Envoy Gateway looks for a class's EnvoyProxy whose namespace is not said.
const defaultProxyNamespace = "default"

// ProxyOfClass is the EnvoyProxy that a class names; an empty name: it names none.
func ProxyOfClass(class *gwapiv1.GatewayClass) types.NamespacedName {
	ref := class.Spec.ParametersRef
	if ref == nil || ref.Group != egv1a1.GroupName || ref.Kind != gateway.KindEnvoyProxy {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: string(ptr.Deref(ref.Namespace, defaultProxyNamespace)), Name: ref.Name}
}

// usersOfProxy are those on Gateways of the classes that name an EnvoyProxy.
func (m Mapper) usersOfProxy(ctx context.Context, object client.Object) []types.NamespacedName {
	var classes gwapiv1.GatewayClassList
	if err := m.Cache.List(ctx, &classes, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "look up GatewayClasses")
		return nil
	}
	var out []types.NamespacedName
	for i := range classes.Items {
		if ProxyOfClass(&classes.Items[i]) == client.ObjectKeyFromObject(object) {
			out = append(out, m.usersOfClass(ctx, &classes.Items[i])...)
		}
	}
	return out
}
