package faults

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

const (
	// farHost is a host outside the cluster.
	farHost = "far.example.com"

	spareSvc = "spare-svc"
)

// services are those that are there in every world; the place of one is in the addresses of its pods.
var services = []string{shop.Primary, shop.Backup, spareSvc}

// exposedService is one with two backends on a Gateway of its own.
func (w *world) exposedService(name string, with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
	exs := shop.ExposedService(w.namespace, name, w.class)
	for _, f := range with {
		f(exs)
	}
	return exs
}

func hostBackend(name, host string) v1alpha1.Backend {
	return v1alpha1.Backend{Name: name, FQDN: &v1alpha1.FQDNBackend{Hostname: v1alpha1.Hostname(host), Port: shop.GRPCPort}}
}

func (w *world) slice(service string, addresses ...string) *discoveryv1.EndpointSlice {
	return shop.Slice(w.namespace, service, addresses...)
}

// withServices makes the Services, with two endpoints each.
func (w *world) withServices() *world {
	w.Helper()
	for i, name := range services {
		w.create(shop.Service(w.namespace, name), w.slice(name, shop.Address(i, 1), shop.Address(i, 2)))
	}
	return w
}

// setReady makes all endpoints of a Service ready or unready.
func (w *world) setReady(service string, ready bool) {
	w.Helper()
	edit(w, w.slice(service), func(s *discoveryv1.EndpointSlice) {
		for i := range s.Endpoints {
			s.Endpoints[i].Conditions.Ready = ptr.To(ready)
		}
	})
}
