package calls

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/xds/resource"
)

// Queries makes the questions of counters.
type Queries struct {
	// Reader reads EndpointSlices, which are indexed under ProxyIndex by the Gateway (namespace/name) whose proxies they are of.
	Reader     client.Reader
	ProxyIndex string
}

// Backends says whose calls are to be counted, and where: at which proxies, in which clusters, and
// by the addresses of which endpoints.
func (q Queries) Backends(ctx context.Context, exs *v1alpha1.ExposedService, known gateway.Facts) signals.Query {
	query := signals.Query{
		Namespace: exs.Namespace, Name: exs.Name, Cluster: gateway.ClusterName(exs), Proxies: q.Proxies(ctx, exs, known),
	}
	resolved := gateway.Resolve(exs, known)
	query.GivesUp = resolved.GivesUp()
	seen, indexes := resolved.Slices(), resolved.RouteIndexes()
	backends := exs.Spec.Backends
	if canary, takesPart := seen[v1alpha1.CanaryName]; takesPart {
		service := known.Canary
		if canary.Slot != "" {
			service = &v1alpha1.ServiceBackend{Name: gateway.SlotServiceName(exs, canary.Slot)}
		}
		backends = append(slices.Clip(backends), v1alpha1.Backend{Name: v1alpha1.CanaryName, Service: service})
	}
	for _, b := range backends {
		backend := signals.Backend{
			Name:      b.Name,
			Endpoints: signals.EndpointsOf(seen[b.Name].Slices, seen[b.Name].Port),
			Locality:  resource.LocalityOf(exs, b.Name, seen[b.Name].Slot),
		}
		if index, named := indexes[b.Name]; named {
			// Where backends cannot share a cluster, Envoy Gateway numbers theirs as the route names them.
			backend.Cluster = fmt.Sprintf("%s/backend/%d", query.Cluster, index)
		}
		if b.Service != nil {
			backend.Service = b.Service.Name
		}
		addresses := seen[b.Name].Addresses
		if own := seen[b.Name].Service; own != nil {
			// Envoy is given the ClusterIP of the fallback as well.
			addresses = append(slices.Clip(addresses), own.Spec.ClusterIP)
		}
		backend.Endpoints = append(backend.Endpoints, endpointsAt(addresses)...)
		query.Backends = append(query.Backends, backend)
	}
	return query
}

// Sides asks about the two sides of a rollout, which is about a Deployment or, with an empty name, about Services alone. Envoy is asked
// about all backends, whose calls share its statistics.
func (q Queries) Sides(ctx context.Context, exs *v1alpha1.ExposedService, known gateway.Facts, deployment string) signals.Query {
	query := q.Backends(ctx, exs, known)
	seen := gateway.Resolve(exs, known).Slices()
	stable := exs.Spec.Backends[0].Name
	for i := range query.Backends {
		side := &query.Backends[i]
		switch side.Name {
		case stable:
			side.Side, side.Workload = sideStable, deployment
		case v1alpha1.CanaryName:
			side.Side, side.Workload = v1alpha1.CanaryName, deployment
		}
		if slot := seen[side.Name].Slot; slot != "" && side.Side != "" {
			// The user's own Service has the pods of both.
			side.Service, side.PodTemplateHash = gateway.SlotServiceName(exs, slot), seen[side.Name].Hash
		}
	}
	asked := RolloutSource(exs)
	if asked.Kind == v1alpha1.AnalysisWorkload && asked.Workload != nil {
		addPods(known, seen, &query, asked.Workload.Port.String())
	}
	if asked.Kind == v1alpha1.AnalysisPrometheus || asked.Kind == v1alpha1.AnalysisWorkload {
		query.Backends = slices.DeleteFunc(query.Backends, func(b signals.Backend) bool { return b.Side == "" })
	}
	return query
}

// addPods adds the pods of both sides, from the EndpointSlices of their Services. Those of slots have the port of the
// calls alone, so that a name is looked up at the Service that the spec names.
func addPods(known gateway.Facts, seen map[string]gateway.BackendSlices, query *signals.Query, port string) {
	named := uint16(0)
	for i := range query.Backends {
		side := &query.Backends[i]
		if side.Side == "" {
			continue
		}
		slices := known.Backends[side.Name].Slices
		if side.Side == sideStable {
			named = signals.PortOf(slices, port)
		}
		if side.PodTemplateHash != "" {
			slices = seen[side.Name].Slices
		}
		otherwise := uint16(0)
		if side.Side != sideStable || side.PodTemplateHash != "" {
			otherwise = named
		}
		var err error
		if side.Pods, err = signals.PodsOf(slices, query.Namespace, port, otherwise); err != nil {
			side.NoPods = err.Error()
		}
	}
}

// sideStable is how queries call the side that is not the canary.
const sideStable = "stable"

// endpointsAt are endpoints that are no pods, at any port.
func endpointsAt(addresses []string) []signals.Endpoint {
	var out []signals.Endpoint
	for _, text := range addresses {
		if address, err := netip.ParseAddr(text); err == nil {
			out = append(out, signals.Endpoint{Addresses: []netip.AddrPort{netip.AddrPortFrom(address, 0)}, Ready: true, Serving: true})
		}
	}
	return out
}

// Proxies are the running proxies of the Gateway, by the EndpointSlices of their Service.
func (q Queries) Proxies(ctx context.Context, exs *v1alpha1.ExposedService, known gateway.Facts) []signals.Proxy {
	if exs.Spec.Gateway == nil {
		return nil
	}
	var list discoveryv1.EndpointSliceList
	if err := q.Reader.List(ctx, &list, client.MatchingFields{q.ProxyIndex: gateway.ProxyKey(exs, known)}); err != nil {
		// Only a cache that has stopped fails. Without proxies the calls are unknown.
		logf.FromContext(ctx).Error(err, "list the proxies of the Gateway")
		return nil
	}
	var out []signals.Proxy
	for i := range list.Items {
		for _, ep := range list.Items[i].Endpoints {
			if ep.TargetRef == nil || len(ep.Addresses) == 0 {
				continue
			}
			address, err := netip.ParseAddr(ep.Addresses[0])
			if err != nil {
				continue
			}
			out = append(out, signals.Proxy{
				ID: string(ep.TargetRef.UID), Name: ep.TargetRef.Name, Address: netip.AddrPortFrom(address, signals.StatsPort),
			})
		}
	}
	return out
}
