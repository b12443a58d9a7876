package resource

import (
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// tier is a backend in a cluster, where its index is its priority.
type tier struct {
	name      string
	standing  standing
	endpoints []endpoint
	// checked: its endpoints can answer the cluster's active health check.
	checked bool
}

// assignment says where the calls of a cluster go.
//
// Every backend is a locality named after it, at a priority of its own, with endpoints or without: an
// empty one keeps its place. So there is never a gap, which gRPC refuses, and no host
// moves to another priority because a backend before it was emptied. The locality is also what load
// reports are counted by. Its name is in the zone, because Envoy keeps statistics by zone.
func (s *service) assignment(cluster string, tiers []tier) *endpointv3.ClusterLoadAssignment {
	health := healthOf(tiers)
	out := &endpointv3.ClusterLoadAssignment{
		ClusterName: cluster,
		Policy: &endpointv3.ClusterLoadAssignment_Policy{
			OverprovisioningFactor: wrapperspb.UInt32(s.overprovisioningFactor()),
		},
	}
	for priority, t := range tiers {
		locality := &endpointv3.LocalityLbEndpoints{
			Locality: &corev3.Locality{Zone: t.name},
			Priority: uint32(priority),
			// gRPC ignores a locality without a weight, and would then miss a priority.
			LoadBalancingWeight: wrapperspb.UInt32(1),
		}
		for i, ep := range t.endpoints {
			locality.LbEndpoints = append(locality.LbEndpoints, s.lbEndpoint(ep, health[priority][i], t.checked))
		}
		out.Endpoints = append(out.Endpoints, locality)
	}
	return out
}

func (s *service) lbEndpoint(ep endpoint, health corev3.HealthStatus, checked bool) *endpointv3.LbEndpoint {
	host := &endpointv3.Endpoint{Address: socketAddress(ep.addresses[0])}
	for _, address := range ep.addresses[1:] {
		host.AdditionalAddresses = append(host.AdditionalAddresses,
			&endpointv3.Endpoint_AdditionalAddress{Address: socketAddress(address)})
	}
	if s.check != nil && !checked {
		host.HealthCheckConfig = &endpointv3.Endpoint_HealthCheckConfig{DisableActiveHealthCheck: true}
	}
	return &endpointv3.LbEndpoint{
		HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: host},
		HealthStatus:        health,
		LoadBalancingWeight: wrapperspb.UInt32(1),
	}
}

func socketAddress(address netip.AddrPort) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       address.Addr().String(),
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(address.Port())},
	}}}
}

const (
	// allOrNothing is an overprovisioning factor in percent with which a priority keeps all calls while
	// one endpoint in a thousand is healthy.
	allOrNothing = 100_000
	// onlyWhenNoneIsLeft is the default of spec.failover.minReadyPercent.
	onlyWhenNoneIsLeft = 1
)

// overprovisioningFactor is the factor, in percent, with which a priority begins to spill over as soon as less than
// minReadyPercent of its endpoints are healthy.
//
// Envoy gives a priority min(100, factor × healthy / total) percent of the calls, rounded down, and the rest to the
// next. Rounding the factor up keeps all calls at exactly minReadyPercent; under it the spill begins at
// nothing and grows as the health falls: it is the decision that moves everything, when it sees the same.
func (s *service) overprovisioningFactor() uint32 {
	minimum := uint32(onlyWhenNoneIsLeft)
	if f := s.exs.Spec.Failover; f != nil && f.MinReadyPercent != nil {
		minimum = uint32(max(*f.MinReadyPercent, onlyWhenNoneIsLeft))
	}
	if minimum == onlyWhenNoneIsLeft {
		return allOrNothing
	}
	return (100*100 + minimum - 1) / minimum
}
