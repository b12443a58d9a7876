package xdsfeed

import (
	"net/netip"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// sharedPort is a port on which the Envoys of a namespace listen.
type sharedPort struct {
	namespace string
	port      v1alpha1.PortNumber
}

// portOfSpec is the port that an ExposedService wants, if it wants one.
func portOfSpec(exs *v1alpha1.ExposedService) (sharedPort, bool) {
	if exs == nil || exs.Spec.XDS == nil || exs.Spec.XDS.Port == nil {
		return sharedPort{}, false
	}
	return sharedPort{exs.Namespace, *exs.Spec.XDS.Port}, true
}

// owner is what the port's listener and routes are set under. No ExposedService has such a name: theirs begin
// with a letter.
func (p sharedPort) owner() cache.Owner {
	return types.NamespacedName{Namespace: p.namespace, Name: strconv.Itoa(int(p.port))}
}

// portOfOwner is the port whose listener and routes are set under a name; false: it is that of an ExposedService.
func portOfOwner(owner cache.Owner) (sharedPort, bool) {
	number, err := strconv.ParseInt(owner.Name, 10, 32)
	return sharedPort{owner.Namespace, v1alpha1.PortNumber(number)}, err == nil
}

// toCache puts resources into the words of the cache.
func toCache(resources []resource.Resource) []cache.Resource {
	out := make([]cache.Resource, 0, len(resources))
	for _, r := range resources {
		out = append(out, cache.Resource{Message: r.Message, Wildcard: r.Audience != resource.GRPCClients, Since: r.Since, Owners: r.Owners})
	}
	return out
}

// exposureFrom puts what was read of the backends into the words of the builders.
func exposureFrom(exs *v1alpha1.ExposedService, facts gateway.Facts) resource.Exposure {
	seen := gateway.Resolve(exs, facts).Slices()
	out := resource.Exposure{
		Service: exs, Backends: make(map[string]resource.Backend, len(exs.Spec.Backends)), Foreign: resource.ForeignHosts(facts.Hostnames.Foreign(exs)),
	}
	backends := exs.Spec.Backends
	if _, takesPart := seen[v1alpha1.CanaryName]; takesPart {
		backends = append(slices.Clip(backends), v1alpha1.Backend{Name: v1alpha1.CanaryName})
	}
	for i := range backends {
		b := &backends[i]
		if slot := seen[b.Name].Slot; slot != "" {
			if out.Slots == nil {
				out.Slots = map[string]v1alpha1.Slot{}
			}
			out.Slots[b.Name] = slot
		}
		backend := resource.Backend{Port: seen[b.Name].Number}
		for _, endpoint := range signals.EndpointsOf(seen[b.Name].Slices, seen[b.Name].Port) {
			backend.Endpoints = append(backend.Endpoints, resource.Endpoint(endpoint))
		}
		if b.FQDN != nil {
			backend.Endpoints = endpointsOfHost(seen[b.Name].Addresses, uint16(b.FQDN.Port)) //nolint:gosec // a PortNumber is at most 65535
		}
		if probe := seen[b.Name].Probe; probe.State == gateway.ProbeGRPC {
			backend.Probe = &probe.Service
		}
		out.Backends[b.Name] = backend
	}
	return out
}

// endpointsOfHost are the addresses of a host. Nobody says whether they are ready: Envoy finds out.
func endpointsOfHost(addresses []string, port uint16) []resource.Endpoint {
	var out []resource.Endpoint
	for _, text := range addresses {
		if address, err := netip.ParseAddr(text); err == nil {
			out = append(out, resource.Endpoint{Addresses: []netip.AddrPort{netip.AddrPortFrom(address, port)}, Ready: true, Serving: true})
		}
	}
	return out
}
