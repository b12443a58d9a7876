package resource

import (
	"slices"

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
	action.RetryPolicy, action.HedgePolicy = s.retryForEnvoy(), s.hedgePolicy()
	return &routev3.VirtualHost{Name: ClusterName(s.exs), Domains: s.domains(), Routes: s.routes(action)}
}

// domains are the hosts that the service has on its port.
func (s *service) domains() []string {
	domains := []string{everyHost}
	if len(s.exs.Spec.Hostnames) > 0 {
		domains = domains[:0]
	}
	for _, hostname := range s.exs.Spec.Hostnames {
		domains = append(domains, string(hostname))
	}
	return slices.DeleteFunc(domains, func(host string) bool { return slices.Contains(s.lost, host) })
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
	if clusters := action.GetWeightedClusters(); clusters != nil {
		withTotal(clusters)
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
	var waiting []cluster
	if s.plan.main.weight == 0 {
		waiting = append(waiting, cluster{s.plan.main.name, 1})
	}
	for _, share := range s.plan.shares {
		if share.weight == 0 {
			waiting = append(waiting, cluster{share.cluster, 1})
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	return []*routev3.Route{{
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: noMethod}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: withTotal(weighted(waiting))},
		}},
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
	all := []cluster{s.plan.main}
	for _, share := range s.plan.shares {
		all = append(all, cluster{share.cluster, share.weight})
	}
	used := slices.DeleteFunc(all, func(c cluster) bool { return c.weight == 0 })
	out := &routev3.RouteAction{HashPolicy: s.hashPolicies()}
	if len(used) == 1 {
		out.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: used[0].name}
	} else {
		out.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted(used)}
	}
	return out
}

// cluster is a cluster in a route.
type cluster struct {
	name   string
	weight uint32
}

func weighted(clusters []cluster) *routev3.WeightedCluster {
	out := &routev3.WeightedCluster{}
	for _, c := range clusters {
		out.Clusters = append(out.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: c.name, Weight: wrapperspb.UInt32(c.weight)})
	}
	return out
}

// withTotal says what the weights add up to: grpc-js takes 100 where that is left out, and sends most calls
// nowhere (grpc-node #3069). Envoy adds up by itself.
func withTotal(clusters *routev3.WeightedCluster) *routev3.WeightedCluster {
	total := uint32(0)
	for _, c := range clusters.GetClusters() {
		total += c.GetWeight().GetValue()
	}
	clusters.TotalWeight = wrapperspb.UInt32(total) //nolint:staticcheck // deprecated, and asked for by clients that are in use
	return clusters
}
