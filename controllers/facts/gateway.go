package facts

import (
	"context"
	"fmt"
	"slices"

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
	out.Class, err = kube.Get[gwapiv1.GatewayClass](ctx, r.Client, types.NamespacedName{Name: className})
	return err
}

// proxyFamilies are the IP families of the Gateway's proxies, by the EndpointSlices of their Service. They matter to
// hosts alone.
func (r Reader) proxyFamilies(ctx context.Context, exs *v1alpha1.ExposedService) ([]corev1.IPFamily, error) {
	isHost := func(b v1alpha1.Backend) bool { return b.FQDN != nil }
	if exs.Spec.Gateway == nil || !slices.ContainsFunc(exs.Spec.Backends, isHost) {
		return nil, nil
	}
	var list discoveryv1.EndpointSliceList
	if err := r.Client.List(ctx, &list, client.MatchingFields{index.ByProxies: refs.Gateway(exs).String()}); err != nil {
		return nil, fmt.Errorf("list the proxies of Gateway %s: %w", refs.Gateway(exs), err)
	}
	var out []corev1.IPFamily
	for i := range list.Items {
		out = append(out, corev1.IPFamily(list.Items[i].AddressType))
	}
	return out, nil
}
