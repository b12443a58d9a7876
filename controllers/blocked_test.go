package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/dataplane"
)

// ownAddresses are those in the EndpointSlices that Headgate has copied to one of its Services, without the placeholder.
func (w *world) ownAddresses(service string) []string {
	w.t.Helper()
	var out []string
	dataplane.Each(w.t.Context(), w.kube, &discoveryv1.EndpointSliceList{}, w.namespace, func(slice *discoveryv1.EndpointSlice) {
		if slice.Labels[discoveryv1.LabelServiceName] != service || slice.Name == service+"-placeholder" {
			return
		}
		for _, endpoint := range slice.Endpoints {
			out = append(out, endpoint.Addresses...)
		}
	})
	slices.Sort(out)
	return out
}

// fallbackAddresses are those of the pods that stand by.
func (w *world) fallbackAddresses(exs *v1alpha1.ExposedService) []string {
	w.t.Helper()
	backend := &egv1a1.Backend{ObjectMeta: metav1.ObjectMeta{Namespace: exs.Namespace, Name: gateway.FallbackName(exs)}}
	if err := w.read(backend); err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, endpoint := range backend.Spec.Endpoints {
		out = append(out, endpoint.IP.Address)
	}
	return out
}

// While the class of a Gateway, or the Gateway, is not there, nothing is made or removed, and what the live route stands on
// goes on: endpoints follow the pods, and a failover is decided and reaches the route.
func TestWhatALiveRouteStandsOnIsKeptCurrentWhileTheGatewayIsUnknown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		controller gwapiv1.GatewayController
		shared     bool
		reason     v1alpha1.Reason
		want       []string
	}{
		{
			"GatewayClass", gateway.EnvoyGatewayController, false,
			v1alpha1.ReasonGatewayClassNotFound,
			[]string{"greeter-primary-gw 0", "greeter-backup-gw 1000000"},
		},
		{
			"GatewayClass of others", "example.com/other", false,
			v1alpha1.ReasonGatewayClassNotFound,
			[]string{"primary-svc 0", "backup-svc 1000000"},
		},
		{
			"shared Gateway", gateway.EnvoyGatewayController, true,
			v1alpha1.ReasonGatewayNotFound,
			[]string{"greeter-primary-gw 0", "greeter-backup-gw 1000000"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			infra := apiserver.Namespace(t, w.kube)
			class := w.gatewayClass()
			class.Spec.ControllerName = test.controller
			// Nobody but Headgate copies the endpoints of a Service without selector.
			primary := w.service("primary-svc")
			primary.Spec.Selector = nil
			w.create(class, w.sharedGateway(infra, "public"), grantPatch(infra, w.namespace), primary, w.slice("primary-svc", "10.1.0.1"),
				w.service("backup-svc"), w.slice("backup-svc", "10.1.1.1"))
			w.dataPlane = startDataPlane(w)
			o := w.startOperator(withOldServices, alsoIn(infra))
			exs := w.exposedService("greeter")
			if test.shared {
				on(infra, "public", "grpc")(exs)
			}
			w.create(exs)
			w.eventually("the route is there", func() error { _, err := w.routeWeights(exs); return err })
			w.untilQuiet(o)
			made := len(w.made(exs))

			var gone client.Object = class
			if test.shared {
				gone = w.sharedGateway(infra, "public")
			}
			w.delete(gone)
			w.untilNotAccepted(exs, test.reason)
			oneCluster := test.controller == gateway.EnvoyGatewayController
			for _, address := range []string{"10.1.0.7", "10.1.0.8"} {
				edit(w, w.slice("primary-svc"), func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{address} })
				if oneCluster {
					w.eventually("the copy follows the pods", func() error {
						if got := w.ownAddresses("greeter-primary-gw"); !slices.Equal(got, []string{address}) {
							return fmt.Errorf("it has %v", got)
						}
						return nil
					})
				}
			}
			edit(w, w.slice("backup-svc"), func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses = []string{"10.1.1.7"} })
			if oneCluster {
				w.eventually("what stands by follows the pods", func() error {
					if got := w.fallbackAddresses(exs); !slices.Contains(got, "10.1.1.7") || slices.Contains(got, "10.1.1.1") {
						return fmt.Errorf("it has %v", got)
					}
					return nil
				})
			}
			w.setReady("primary-svc", false)
			w.untilRouteHas(exs, test.want...)
			w.untilQuiet(o)
			if err := w.read(exs); err != nil || exs.Status.Active != "backup" {
				t.Errorf("%s serves (%v)", exs.Status.Active, err)
			}
			if n := len(w.made(exs)); n != made {
				t.Errorf("%d objects have become %d", made, n)
			}
			w.delete(w.slice("primary-svc"))
			if oneCluster {
				w.eventually("no copy of what is gone is left", func() error {
					if got := w.ownAddresses("greeter-primary-gw"); len(got) > 0 {
						return fmt.Errorf("there is %v", got)
					}
					return nil
				})
			}
			w.untilQuiet(o)
			// Timers may still be due, and write a status. Nothing is copied by them.
			writes := len(copying(o.transport.written()))
			w.untilQuiet(o)
			if more := copying(o.transport.written())[writes:]; len(more) > 0 {
				t.Errorf("written at rest: %v", more)
			}

			gone.SetResourceVersion("")
			gone.SetUID("")
			w.create(gone)
			w.untilReady(exs)
			w.untilRouteHas(exs, test.want...)
		})
	}
}

// copying are the writes of EndpointSlices among all.
func copying(writes []string) []string {
	return slices.DeleteFunc(writes, func(write string) bool { return !strings.Contains(write, "/endpointslices") })
}

// The copies of the endpoints of a Service without selector go with them, once, and nothing is copied from copies.
func TestCopiesOfEndpointsThatAreGoneGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane()
	primary := w.service("primary-svc")
	primary.Spec.Selector = nil
	w.create(primary, w.slice("primary-svc", "10.1.0.1"), w.service("backup-svc"), w.slice("backup-svc", "10.1.1.1"))
	o := w.startOperator(withOldServices)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(o)
	w.delete(w.slice("primary-svc"))
	w.eventually("no copy is left", func() error {
		if got := w.ownAddresses("greeter-primary-gw"); len(got) > 0 {
			return fmt.Errorf("there is %v", got)
		}
		return nil
	})
	w.untilQuiet(o)
	if got := w.ownAddresses("greeter-primary-gw"); len(got) > 0 {
		t.Errorf("there is %v", got)
	}
}
