package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/apiserver"
)

// TestRoutesThatPeopleWriteKeepTheirCalls has a GRPCRoute and an HTTPRoute of another namespace on the same Gateway.
func TestRoutesThatPeopleWriteKeepTheirCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	infra, web := apiserver.Namespace(t, w.kube), apiserver.Namespace(t, w.kube)
	w.create(w.sharedGateway(infra, "public"))
	w.startOperator(alsoIn(infra, web))
	common := gwapiv1.CommonRouteSpec{ParentRefs: []gwapiv1.ParentReference{{Name: "public", Namespace: ptr.To(gwapiv1.Namespace(infra))}}}
	grpcRoute := &gwapiv1.GRPCRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: web, Name: "calls"},
		Spec:       gwapiv1.GRPCRouteSpec{CommonRouteSpec: common, Hostnames: []gwapiv1.Hostname{"calls.example.com"}},
	}
	// What it claims to be is not true.
	grpcRoute.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: "calls", v1alpha1.LabelOwnerNamespace: web}
	httpRoute := &gwapiv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: web, Name: "site"},
		Spec:       gwapiv1.HTTPRouteSpec{CommonRouteSpec: common, Hostnames: []gwapiv1.Hostname{"*.site.example.com"}},
	}
	own := &gwapiv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "pages"},
		Spec:       gwapiv1.HTTPRouteSpec{CommonRouteSpec: common, Hostnames: []gwapiv1.Hostname{"pages.example.com"}},
	}
	w.create(grpcRoute, httpRoute, own)

	byGRPC := w.exposedService("by-grpc", on(infra, "public", ""), hosts("calls.example.com"))
	byHTTP := w.exposedService("by-http", on(infra, "public", ""), hosts("api.site.example.com"))
	beside := w.exposedService("beside", on(infra, "public", ""), hosts("pages.example.com"))
	w.create(byGRPC, byHTTP, beside)
	w.untilNotAccepted(byGRPC, v1alpha1.ReasonRouteConflict, "GRPCRoute "+web+"/calls, which has it already,")
	w.untilNotAccepted(byHTTP, v1alpha1.ReasonRouteConflict, "HTTPRoute "+web+"/site, which has it already,", "*.site.example.com")
	w.untilReady(beside) // Who writes in a namespace shares out its hosts.

	w.delete(httpRoute)
	w.untilReady(byHTTP)
	edit(w, grpcRoute, func(route *gwapiv1.GRPCRoute) { route.Spec.Hostnames = []gwapiv1.Hostname{"other.example.com"} })
	w.untilReady(byGRPC)

	// Who has the calls keeps them: a route that comes later is no reason to let them go.
	late := httpRoute.DeepCopy()
	late.ResourceVersion, late.UID = "", ""
	w.create(late)
	edit(w, byHTTP, func(exs *v1alpha1.ExposedService) { exs.Labels = map[string]string{"looked-at": "again"} })
	w.untilReady(byHTTP)
	if err := w.kube.Get(t.Context(), client.ObjectKeyFromObject(byHTTP), &gwapiv1.GRPCRoute{}); err != nil {
		t.Errorf("its route: %v", err)
	}
}
