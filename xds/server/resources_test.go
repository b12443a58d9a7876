package server

import (
	"net/netip"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	manager "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/headgate/headgate/xds/cache"
)

func pack(t testing.TB, message proto.Message) *anypb.Any {
	t.Helper()
	packed, err := anypb.New(message)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func ads() *core.ConfigSource {
	return &core.ConfigSource{
		ResourceApiVersion:    core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
	}
}

func clusterOf(t testing.TB, name string, timeout time.Duration) cache.Resource {
	t.Helper()
	return cache.Resource{Wildcard: true, Message: &cluster.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: ads()},
		ConnectTimeout:       durationpb.New(timeout),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(t, &upstream.HttpProtocolOptions{
				UpstreamProtocolOptions: &upstream.HttpProtocolOptions_ExplicitHttpConfig_{
					ExplicitHttpConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig{
						ProtocolConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{},
					},
				},
			}),
		},
	}}
}

// tier is the endpoints of one priority, and their health.
type tier struct {
	addresses []string
	health    core.HealthStatus
}

func assignmentOf(name string, tiers ...tier) cache.Resource {
	assignment := &endpoint.ClusterLoadAssignment{ClusterName: name}
	for priority, t := range tiers {
		locality := &endpoint.LocalityLbEndpoints{
			Locality:            &core.Locality{Zone: string(rune('a' + priority))},
			LoadBalancingWeight: wrapperspb.UInt32(1),
			Priority:            uint32(priority),
		}
		for _, a := range t.addresses {
			ap := netip.MustParseAddrPort(a)
			locality.LbEndpoints = append(locality.LbEndpoints, &endpoint.LbEndpoint{
				HealthStatus: t.health,
				HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: &core.Address{
					Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
						Address:       ap.Addr().String(),
						PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(ap.Port())},
					}},
				}}},
			})
		}
		assignment.Endpoints = append(assignment.Endpoints, locality)
	}
	return cache.Resource{Message: assignment}
}

func connectionManager(t testing.TB, routes string) *anypb.Any {
	t.Helper()
	return pack(t, &manager.HttpConnectionManager{
		StatPrefix: "greeter",
		RouteSpecifier: &manager.HttpConnectionManager_Rds{Rds: &manager.Rds{
			ConfigSource: ads(), RouteConfigName: routes,
		}},
		HttpFilters: []*manager.HttpFilter{{
			Name: "envoy.filters.http.router", ConfigType: &manager.HttpFilter_TypedConfig{TypedConfig: pack(t, &router.Router{})},
		}},
	})
}

// clientListenerOf is what a gRPC client looks for.
func clientListenerOf(t testing.TB, name, routes string) cache.Resource {
	t.Helper()
	return cache.Resource{Message: &listener.Listener{
		Name: name, ApiListener: &listener.ApiListener{ApiListener: connectionManager(t, routes)},
	}}
}

// envoyListenerOf listens on a loopback port.
func envoyListenerOf(t testing.TB, name, routes string, port int) cache.Resource {
	t.Helper()
	return cache.Resource{Wildcard: true, Message: &listener.Listener{
		Name: name,
		Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
		}}},
		FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{{
			Name:       "envoy.filters.network.http_connection_manager",
			ConfigType: &listener.Filter_TypedConfig{TypedConfig: connectionManager(t, routes)},
		}}}},
	}}
}

func routeOf(name, toCluster string) cache.Resource {
	return cache.Resource{Message: &route.RouteConfiguration{Name: name, VirtualHosts: []*route.VirtualHost{{
		Name: name, Domains: []string{"*"},
		Routes: []*route.Route{{
			Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			Action: &route.Route_Route{Route: &route.RouteAction{
				ClusterSpecifier: &route.RouteAction_Cluster{Cluster: toCluster},
				RetryPolicy: &route.RetryPolicy{
					RetryOn: "unavailable", NumRetries: wrapperspb.UInt32(4),
					RetryBackOff: &route.RetryPolicy_RetryBackOff{BaseInterval: durationpb.New(time.Millisecond), MaxInterval: durationpb.New(5 * time.Millisecond)},
				},
			}},
		}},
	}}}}
}

// forClients is all that a gRPC client needs of the greeter.
func forClients(t testing.TB, tiers ...tier) []cache.Resource {
	t.Helper()
	return []cache.Resource{
		clusterOf(t, "shop/greeter", time.Second),
		assignmentOf("shop/greeter", tiers...),
		clientListenerOf(t, "greeter.shop", "shop/greeter"),
		routeOf("shop/greeter", "shop/greeter"),
	}
}
