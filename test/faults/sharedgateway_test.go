package faults

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/test/apiserver"
)

const sharedGateway = "public"

// shareGateway makes a Gateway of somebody else's in a namespace of its own, beside which ExposedServices may put patches.
func (w *world) shareGateway() {
	w.Helper()
	w.infra = apiserver.Namespace(w.T, w.kube)
	w.create(w.gateway(w.infra), &gwapiv1.ReferenceGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "headgate", Namespace: w.infra},
		Spec: gwapiv1.ReferenceGrantSpec{
			From: []gwapiv1.ReferenceGrantFrom{{Group: "headgate.dev", Kind: "ExposedService", Namespace: gwapiv1.Namespace(w.namespace)}},
			To:   []gwapiv1.ReferenceGrantTo{{Group: egv1a1.GroupName, Kind: egv1a1.KindEnvoyPatchPolicy}},
		},
	})
}

func (w *world) gateway(namespace string) *gwapiv1.Gateway {
	return &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: sharedGateway, Namespace: namespace},
		Spec: gwapiv1.GatewaySpec{
			GatewayClassName: gwapiv1.ObjectName(w.class),
			Listeners: []gwapiv1.Listener{{
				Name: "grpc", Protocol: gwapiv1.HTTPProtocolType, Port: 80,
				AllowedRoutes: &gwapiv1.AllowedRoutes{Namespaces: &gwapiv1.RouteNamespaces{From: ptr.To(gwapiv1.NamespacesFromAll)}},
			}},
		},
	}
}
