package resource

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	// everyHost is the domain that takes every call.
	everyHost = "*"
	// noMethod is a path that no call has: those are /service/method.
	noMethod = "/"
)

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
	if weighted := action.GetWeightedClusters(); weighted != nil {
		// grpc-js takes 100 where it is left out, and sends most calls nowhere (grpc-node #3069).
		weighted.TotalWeight = wrapperspb.UInt32(allParts) //nolint:staticcheck // deprecated, and needed by clients that are in use
	}
	return &routev3.RouteConfiguration{
		Name: ClientRouteName(s.exs),
		VirtualHosts: []*routev3.VirtualHost{{
			Name: ClusterName(s.exs), Domains: []string{everyHost}, Routes: append(s.routes(action), s.announcement()...),
		}},
	}
}

// announcement is a route that takes no call, because no method has its path, and names the clusters of
// those that may be given a share next. A gRPC client gets only those clusters that a route
// names, and leaves out those with weight 0; grpc-go fails the calls that it gives to a cluster in the
// moment in which a route first names it ("unknown cluster selected for RPC").
func (s *service) announcement() []*routev3.Route {
	var clusters []*routev3.WeightedCluster_ClusterWeight
	for _, share := range s.plan.shares {
		if share.weight == 0 {
			clusters = append(clusters, &routev3.WeightedCluster_ClusterWeight{Name: ShareName(s.exs, share.name), Weight: wrapperspb.UInt32(1)})
		}
	}
	if s.plan.main == 0 {
		clusters = append(clusters, &routev3.WeightedCluster_ClusterWeight{Name: ClusterName(s.exs), Weight: wrapperspb.UInt32(1)})
	}
	if len(clusters) == 0 {
		return nil
	}
	return []*routev3.Route{{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: noMethod}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{
			WeightedClusters: &routev3.WeightedCluster{
				Clusters:    clusters,
				TotalWeight: wrapperspb.UInt32(uint32(len(clusters))), //nolint:staticcheck // as above
			},
		}}},
	}}
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
