package controllers

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/dataplane"
	"github.com/headgate/headgate/test/shop"
)

// TestOneServicesChangeTouchesOnlyItsUsers counts runs.
func TestOneServicesChangeTouchesOnlyItsUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane()
	w.create(w.sharedGateway(w.namespace, "public"))
	o := w.startOperator()
	const count = 6
	var all []*v1alpha1.ExposedService
	for i := range count {
		service := fmt.Sprintf("svc-%d", i)
		w.create(w.service(service), w.slice(service, fmt.Sprintf("10.2.%d.1", i)))
		// One more shares the first Service.
		exs := w.exposedService(fmt.Sprintf("exs-%d", i), on(w.namespace, "public", "grpc"), backends(shop.ServiceBackend("primary", service)))
		all = append(all, exs)
		w.create(exs)
	}
	sharer := w.exposedService("sharer", on(w.namespace, "public", "grpc"), backends(shop.ServiceBackend("primary", "svc-0")))
	w.create(sharer)
	all = append(all, sharer)
	for _, exs := range all {
		w.untilReady(exs)
	}
	w.untilSettled(o)

	runsNow := func() map[string]int {
		out := map[string]int{}
		for _, exs := range all {
			out[exs.Name] = o.runs.Of(client.ObjectKeyFromObject(exs))
		}
		return out
	}
	for _, change := range []struct {
		name string
		make func()
		runs []string
		// later: a look some seconds later is due as well, because the data plane was silent for a moment.
		later bool
	}{
		{"a Service of one", func() {
			edit(w, w.service("svc-3"), func(s *corev1.Service) { s.Labels = map[string]string{"a": "b"} })
		}, []string{"exs-3"}, false},
		{"an EndpointSlice of one", func() {
			edit(w, w.slice("svc-4"), func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Addresses[0] = "10.2.4.9" })
		}, []string{"exs-4"}, false},
		{"a Service of two", func() {
			edit(w, w.service("svc-0"), func(s *corev1.Service) { s.Labels = map[string]string{"a": "b"} })
		}, []string{"exs-0", "sharer"}, false},
		{"one of them", func() {
			edit(w, all[5], func(exs *v1alpha1.ExposedService) { exs.Spec.Hostnames = []v1alpha1.Hostname{"new.example.com"} })
		}, []string{"exs-5"}, true},
		{"a Service of none", func() { w.create(w.service("nobodys"), w.slice("nobodys", "10.2.9.1")) }, nil, false},
		{"the number of routes on the Gateway", func() {
			w.dataPlane.Set(func(b *dataplane.Behavior) { b.Silent = true })
			gw := w.sharedGateway(w.namespace, "public")
			w.eventually("write it", func() error {
				if err := w.read(gw); err != nil {
					return err
				}
				gw.Status.Listeners[0].AttachedRoutes += 7
				return w.kube.Status().Update(t.Context(), gw)
			})
		}, nil, false},
		{"the Gateway", func() {
			edit(w, w.sharedGateway(w.namespace, "public"), func(gw *gwapiv1.Gateway) { gw.Labels = map[string]string{"a": "b"} })
		}, []string{"exs-0", "exs-1", "exs-2", "exs-3", "exs-4", "exs-5", "sharer"}, false},
	} {
		t.Run(change.name, func(t *testing.T) {
			before := runsNow()
			change.make()
			if change.later {
				w.untilSettled(o)
			} else {
				w.untilQuiet(o)
			}
			after := runsNow()
			expected := map[string]bool{}
			for _, name := range change.runs {
				expected[name] = true
			}
			for name := range after {
				if ran := after[name] > before[name]; ran != expected[name] {
					t.Errorf("%s ran %d times, expected to run: %v", name, after[name]-before[name], expected[name])
				}
			}
		})
	}
}
