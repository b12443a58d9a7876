package resource_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	managerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/xds"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/headgate/headgate/xds/resource"
)

// TestGRPCClientsTakeEverything has grpc-go dial every name, and one that leads to every cluster, whether a
// route names it or not, and waits until it has acknowledged every resource that is for it.
func TestGRPCClientsTakeEverything(t *testing.T) {
	golden(t, func(t *testing.T, _ string, in input) {
		t.Helper()
		t.Parallel() // A client takes three seconds, most of which it waits.
		resources := in.build().Resources
		want := map[string]bool{}
		var dial []string
		for _, r := range resources {
			if r.Audience == resource.Envoys {
				continue
			}
			want[id(r.TypeURL(), r.Name)] = true
			if _, ok := r.Message.(*listenerv3.Listener); ok {
				dial = append(dial, r.Name)
			}
		}
		if len(dial) == 0 {
			if len(resources) > 0 {
				t.Fatal("there are resources but no listener")
			}
			return
		}
		server := serve(t, append(leadToAll(t, resources), resources...))
		builder := resolverBuilder(t, server)
		for _, name := range append(dial, leadsToAll) {
			connect(t, builder, name).Connect()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := server.await(ctx, func() bool {
			for name := range want {
				if !server.taken[name] {
					return false
				}
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// leadsToAll is a name that no ExposedService can have.
const leadsToAll = "all"

// leadToAll are a listener and routes to every cluster.
func leadToAll(t *testing.T, resources []resource.Resource) []resource.Resource {
	t.Helper()
	pack := func(m proto.Message) *anypb.Any {
		packed, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	var clusters []*routev3.WeightedCluster_ClusterWeight
	for _, r := range resources {
		if c, ok := r.Message.(*clusterv3.Cluster); ok {
			clusters = append(clusters, &routev3.WeightedCluster_ClusterWeight{Name: c.GetName(), Weight: wrapperspb.UInt32(1)})
		}
	}
	routes := &routev3.RouteConfiguration{Name: leadsToAll, VirtualHosts: []*routev3.VirtualHost{{
		Name: leadsToAll, Domains: []string{"*"},
		Routes: []*routev3.Route{{
			Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_WeightedClusters{
				WeightedClusters: &routev3.WeightedCluster{Clusters: clusters},
			}}},
		}},
	}}}
	manager := &managerv3.HttpConnectionManager{
		RouteSpecifier: &managerv3.HttpConnectionManager_Rds{Rds: &managerv3.Rds{
			ConfigSource:    &corev3.ConfigSource{ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}}},
			RouteConfigName: leadsToAll,
		}},
		HttpFilters: []*managerv3.HttpFilter{{
			Name: "router", ConfigType: &managerv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})},
		}},
	}
	return []resource.Resource{
		{Name: leadsToAll, Message: &listenerv3.Listener{Name: leadsToAll, ApiListener: &listenerv3.ApiListener{ApiListener: pack(manager)}}, Audience: resource.GRPCClients},
		{Name: leadsToAll, Message: routes, Audience: resource.GRPCClients},
	}
}

// resolverBuilder is an xDS client of its own, with a bootstrap as a user should write it: a cluster that is gone
// although a call still has it in hand stays what it was (gRFC A53).
func resolverBuilder(t *testing.T, server *ads) grpc.DialOption {
	t.Helper()
	bootstrap, err := json.Marshal(map[string]any{
		"xds_servers": []any{map[string]any{
			"server_uri": server.address, "channel_creds": []any{map[string]any{"type": "insecure"}}, "server_features": []string{"xds_v3", "ignore_resource_deletion"},
		}},
		"node": map[string]any{"id": t.Name()},
	})
	if err != nil {
		t.Fatal(err)
	}
	builder, err := xds.NewXDSResolverWithConfigForTesting(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	return grpc.WithResolvers(builder)
}

func connect(t *testing.T, builder grpc.DialOption, name string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("xds:///"+name, builder, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
