package faults

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/shop"
)

const sharedGateway = "public"

// shareGateway makes a Gateway of somebody else's in a namespace of its own, beside which ExposedServices may put patches.
func (w *world) shareGateway() {
	w.Helper()
	w.infra = apiserver.Namespace(w.T, w.kube)
	w.create(shop.SharedGateway(w.infra, sharedGateway, w.class), &gwapiv1.ReferenceGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "headgate", Namespace: w.infra},
		Spec: gwapiv1.ReferenceGrantSpec{
			From: []gwapiv1.ReferenceGrantFrom{{Group: "headgate.dev", Kind: "ExposedService", Namespace: gwapiv1.Namespace(w.namespace)}},
			To:   []gwapiv1.ReferenceGrantTo{{Group: egv1a1.GroupName, Kind: egv1a1.KindEnvoyPatchPolicy}},
		},
	})
}
