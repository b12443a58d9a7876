package resource

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// everyHost is the domain that takes every call.
const everyHost = "*"

// forEnvoy is the service's part of the route configuration of its port.
func (s *service) forEnvoy() *routev3.VirtualHost {
	action := s.action()
	action.Timeout = durationpb.New(s.traffic.requestTimeout)
	// A stream may be silent for as long as it likes.
	action.IdleTimeout = durationpb.New(0)
	action.RetryPolicy = s.retryForEnvoy()
	out := &routev3.VirtualHost{Name: ClusterName(s.exs), Routes: s.routes(action)}
	for _, hostname := range s.exs.Spec.Hostnames {
		out.Domains = append(out.Domains, string(hostname))
	}
	if len(out.Domains) == 0 {
		out.Domains = []string{everyHost}
	}
	return out
}

// forGRPC is the route configuration of gRPC clients, under whichever name they dial.
func (s *service) forGRPC() *routev3.RouteConfiguration {
	action := s.action()
	if s.traffic.requestTimeout > 0 {
		// gRPC clients do not know the field timeout (gRFC A31).
		action.MaxStreamDuration = &routev3.RouteAction_MaxStreamDuration{
			MaxStreamDuration: durationpb.New(s.traffic.requestTimeout),
		}
	}
	action.RetryPolicy = s.retryForGRPC()
	return &routev3.RouteConfiguration{
		Name: ClientRouteName(s.exs),
		VirtualHosts: []*routev3.VirtualHost{{
			Name: ClusterName(s.exs), Domains: []string{everyHost}, Routes: s.routes(action),
		}},
	}
}

func (s *service) routes(action *routev3.RouteAction) []*routev3.Route {
	out := make([]*routev3.Route, len(s.matches))
	for i, match := range s.matches {
		out[i] = &routev3.Route{Match: match, Action: &routev3.Route_Route{Route: action}}
	}
	return out
}

// action sends calls to the main cluster and to those of the shares.
func (s *service) action() *routev3.RouteAction {
	var clusters []*routev3.WeightedCluster_ClusterWeight
	add := func(name string, weight uint32) {
		if weight > 0 {
			clusters = append(clusters, &routev3.WeightedCluster_ClusterWeight{Name: name, Weight: wrapperspb.UInt32(weight)})
		}
	}
	add(ClusterName(s.exs), s.plan.main)
	for _, share := range s.plan.shares {
		add(ShareName(s.exs, share.name), share.weight)
	}
	out := &routev3.RouteAction{HashPolicy: s.hashPolicies()}
	if len(clusters) == 1 {
		out.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: clusters[0].GetName()}
	} else {
		out.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{
			WeightedClusters: &routev3.WeightedCluster{Clusters: clusters},
		}
	}
	return out
}
