package controlplane

import (
	"net/netip"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// Exposed is an ExposedService with xds, and the addresses of its backends by their names.
type Exposed struct {
	Namespace, Name string
	// Port is that of Envoys; 0: none.
	Port int
	// Order is that of the backends, Addresses are host:port of their endpoints.
	Order     []string
	Addresses map[string][]string
}

// Service is the object.
func (e Exposed) Service() *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{}
	exs.Namespace, exs.Name = e.Namespace, e.Name
	exs.Spec.XDS = &v1alpha1.XDS{}
	if e.Port != 0 {
		exs.Spec.XDS.Port = ptr.To(v1alpha1.PortNumber(e.Port)) //nolint:gosec // a port
	}
	for _, name := range e.Order {
		exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{Name: name})
	}
	return exs
}

// Serve gives a cache what clients need of it.
func Serve(t testing.TB, c *cache.Cache, e Exposed) {
	t.Helper()
	exposure := resource.Exposure{Service: e.Service(), Backends: map[string]resource.Backend{}}
	for name, addresses := range e.Addresses {
		var backend resource.Backend
		for _, address := range addresses {
			backend.Endpoints = append(backend.Endpoints, resource.Endpoint{
				Addresses: []netip.AddrPort{netip.MustParseAddrPort(address)}, Ready: true, Serving: true,
			})
		}
		exposure.Backends[name] = backend
	}
	Put(t, c, exposure)
}

// Put gives a cache what clients need of an exposure, in place of what it had of it.
func Put(t testing.TB, c *cache.Cache, exposure resource.Exposure) {
	t.Helper()
	result := resource.Build([]resource.Exposure{exposure})
	for key, problems := range result.Problems {
		t.Fatalf("%s: %v", key, problems)
	}
	namespace := exposure.Service.Namespace
	sets := map[cache.Owner][]cache.Resource{}
	for _, r := range result.Resources {
		owner := cache.Owner{Namespace: namespace, Name: exposure.Service.Name}
		if r.Audience == resource.Envoys {
			// What Envoys share belongs to the port.
			owner.Name = r.Name[len(namespace)+1:]
		}
		sets[owner] = append(sets[owner], converted(r))
	}
	if _, err := c.Update(sets); err != nil {
		t.Fatal(err)
	}
}

func converted(r resource.Resource) cache.Resource {
	return cache.Resource{Message: r.Message, Wildcard: r.Audience != resource.GRPCClients, Since: r.Since, Owners: r.Owners}
}
