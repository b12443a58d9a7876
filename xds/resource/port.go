package resource

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Port makes the listener of Envoy on a port of a namespace, and its route configuration with a virtual host for each of
// the exposures that has a host. They must be of that namespace and port, and without problems.
func Port(namespace string, port v1alpha1.PortNumber, exposures []Exposure) []Resource {
	name := PortName(namespace, port)
	routes := &routev3.RouteConfiguration{
		Name: name,
		// Clients that dial another port than 80 or 443 say it in the authority.
		IgnorePortInHostMatching: true,
	}
	var owners []types.NamespacedName
	for _, e := range slices.SortedFunc(slices.Values(exposures), byName) {
		s, _ := newService(e)
		if len(s.domains()) == 0 {
			continue
		}
		routes.VirtualHosts = append(routes.VirtualHosts, s.forEnvoy())
		owners = append(owners, keyOf(e.Service))
	}
	if len(owners) == 0 {
		return nil
	}
	return []Resource{
		{Name: name, Message: envoyListener(namespace, port), Audience: Envoys, Namespace: namespace, Owners: owners},
		{Name: name, Message: routes, Audience: Envoys, Namespace: namespace, Owners: owners},
	}
}
