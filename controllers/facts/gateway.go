package facts

import (
	"context"
	"fmt"
	"slices"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gatewayclasses;referencegrants,verbs=get;list;watch

// readGateway reads the shared Gateway, if there is one, and the class.
func (r Reader) readGateway(ctx context.Context, exs *v1alpha1.ExposedService, out *Found) error {
	var className string
	if gateway.Owned(exs) {
		className = *exs.Spec.Gateway.ClassName
	} else {
		var err error
		if out.Gateway, err = get[gwapiv1.Gateway](ctx, r, refs.Gateway(exs)); err != nil || out.Gateway == nil {
			return err
		}
		className = string(out.Gateway.Spec.GatewayClassName)
	}
	var err error
	if out.Class, err = kube.Get[gwapiv1.GatewayClass](ctx, r.Client, types.NamespacedName{Name: className}); err != nil || out.Class == nil {
		return err
	}
	if proxy := index.ProxyOfClass(out.Class); proxy.Name != "" && r.Kinds.Has(kube.KindProxy) {
		if out.ClassProxy, err = get[egv1a1.EnvoyProxy](ctx, r, proxy); err != nil {
			return err
		}
	}
	return r.readGatewayPolicies(ctx, refs.Gateway(exs), out)
}

// readGatewayPolicies reads the BackendTrafficPolicies that target the Gateway, by its name or by its labels: Envoy
// Gateway merges that of the route with them.
func (r Reader) readGatewayPolicies(ctx context.Context, name types.NamespacedName, out *Found) error {
	if !r.Kinds.Has(kube.KindTrafficPolicy) || !r.watches(name.Namespace) {
		return nil
	}
	for _, target := range []string{name.Name, index.AnyGateway} {
		var list egv1a1.BackendTrafficPolicyList
		err := r.Client.List(ctx, &list, client.InNamespace(name.Namespace), client.MatchingFields{index.ByTargetGateway: target},
			client.UnsafeDisableDeepCopy)
		if err != nil {
			return fmt.Errorf("list the BackendTrafficPolicies of Gateway %s: %w", name, err)
		}
		out.GatewayPolicies = append(out.GatewayPolicies, list.Items...)
	}
	return nil
}

// proxyFamilies are the IP families of the Gateway's proxies, by the EndpointSlices of their Service. They matter to
// hosts alone.
func (r Reader) proxyFamilies(ctx context.Context, exs *v1alpha1.ExposedService, known gateway.Facts) ([]corev1.IPFamily, error) {
	isHost := func(b v1alpha1.Backend) bool { return b.FQDN != nil }
	if exs.Spec.Gateway == nil || !slices.ContainsFunc(exs.Spec.Backends, isHost) {
		return nil, nil
	}
	var list discoveryv1.EndpointSliceList
	if err := r.Client.List(ctx, &list, client.MatchingFields{index.ByProxies: gateway.ProxyKey(exs, known)}); err != nil {
		return nil, fmt.Errorf("list the proxies of Gateway %s: %w", refs.Gateway(exs), err)
	}
	var out []corev1.IPFamily
	for i := range list.Items {
		out = append(out, corev1.IPFamily(list.Items[i].AddressType))
	}
	return out, nil
}
