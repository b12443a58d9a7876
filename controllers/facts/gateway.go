package facts

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
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
