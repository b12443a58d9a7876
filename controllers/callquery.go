package controllers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/signals"
)

// callQuery says whose calls are to be counted, and where: at which proxies, in which clusters, and
// by the addresses of which endpoints.
func (r *exposureReconciler) callQuery(ctx context.Context, s *scope) signals.Query {
	query := signals.Query{
		Namespace: s.exs.Namespace, Name: s.exs.Name, Cluster: gateway.ClusterName(s.exs), Proxies: r.proxies(ctx, s),
	}
	seen := gateway.Slices(s.exs, s.facts)
	ref := 0
	backends := s.exs.Spec.Backends
	if _, takesPart := seen[v1alpha1.CanaryName]; takesPart {
		// The route names the canary behind the others.
		backends = append(slices.Clip(backends), v1alpha1.Backend{Name: v1alpha1.CanaryName, Service: s.facts.Canary})
	}
	for _, b := range backends {
		facts := s.facts.Backends[b.Name]
		backend := signals.Backend{
			Name:      b.Name,
			Endpoints: signals.EndpointsOf(seen[b.Name].Slices, seen[b.Name].Port),
		}
		if _, named := s.facts.LiveWeights[b.Name]; named {
			// Where backends cannot share a cluster, Envoy Gateway numbers theirs as the route names them.
			backend.Cluster = fmt.Sprintf("%s/backend/%d", query.Cluster, ref)
			ref++
		}
		if b.Service != nil {
			backend.Service = b.Service.Name
		}
		addresses := seen[b.Name].Addresses
		if facts.OwnService != nil {
			// Envoy is given the ClusterIP of the fallback as well.
			addresses = append(slices.Clip(addresses), facts.OwnService.Spec.ClusterIP)
		}
		backend.Endpoints = append(backend.Endpoints, endpointsAt(addresses)...)
		query.Backends = append(query.Backends, backend)
	}
	return query
}

// sidesQuery asks about the two sides of a rollout. Envoy is asked about all backends, whose calls share its statistics.
func (r *exposureReconciler) sidesQuery(ctx context.Context, s *scope) signals.Query {
	query := r.callQuery(ctx, s)
	stable := s.exs.Spec.Backends[0].Name
	workload := workloadOf(s.exs)
	for i := range query.Backends {
		switch side := &query.Backends[i]; side.Name {
		case stable:
			side.Side, side.Workload = sideStable, workload.Name
		case v1alpha1.CanaryName:
			side.Side = v1alpha1.CanaryName
			if workload.Name != "" {
				side.Workload = canaryKey(workload).Name
			}
		}
	}
	asked := rolloutSource(s.exs)
	if asked.Kind == v1alpha1.AnalysisWorkload && asked.Workload != nil {
		r.addPods(s, &query, asked.Workload.Port.String())
	}
	if asked.Kind == v1alpha1.AnalysisPrometheus || asked.Kind == v1alpha1.AnalysisWorkload {
		query.Backends = slices.DeleteFunc(query.Backends, func(b signals.Backend) bool { return b.Side == "" })
	}
	return query
}

// addPods adds the pods of both sides, from the EndpointSlices of their Services. That of a canary of Headgate's own has the port of the
// calls alone, so that a name is looked up at stable's.
func (r *exposureReconciler) addPods(s *scope, query *signals.Query, port string) {
	named := uint16(0)
	for i := range query.Backends {
		side := &query.Backends[i]
		if side.Side == "" {
			continue
		}
		slices := s.facts.Backends[side.Name].Slices
		if side.Side == sideStable {
			named = signals.PortOf(slices, port)
		}
		otherwise := uint16(0)
		if side.Side != sideStable {
			otherwise = named
		}
		var err error
		if side.Pods, err = signals.PodsOf(slices, port, otherwise); err != nil {
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

// proxies are the running proxies of the Gateway, by the EndpointSlices of their Service.
func (r *exposureReconciler) proxies(ctx context.Context, s *scope) []signals.Proxy {
	if s.exs.Spec.Gateway == nil {
		return nil
	}
	var list discoveryv1.EndpointSliceList
	if err := r.client.List(ctx, &list, client.MatchingFields{indexProxies: gateway.ProxyKey(s.exs, s.facts)}); err != nil {
		// Only a cache that has stopped fails. Without proxies the calls are unknown.
		s.log.Error(err, "list the proxies of the Gateway")
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
