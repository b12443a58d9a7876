package resource_test

import (
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	managerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"

	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/xds/resource"
)

// TestEnvoyTakesEverything has the real Envoy validate what it would get over xDS, rendered into a static
// bootstrap, for Envoy's validation looks at nothing else.
func TestEnvoyTakesEverything(t *testing.T) {
	golden(t, func(t *testing.T, _ string, in input) {
		t.Helper()
		// An Envoy belongs to one namespace: the listeners of two may have the same port.
		byNamespace := map[string][]resource.Resource{}
		for _, r := range in.build().Resources {
			byNamespace[r.Namespace] = append(byNamespace[r.Namespace], r)
		}
		for _, resources := range byNamespace {
			envoy.Validate(t, static(t, resources))
		}
	})
}

// static puts every assignment into its cluster, and every route configuration into the listeners that name it.
func static(t *testing.T, resources []resource.Resource) *bootstrapv3.Bootstrap {
	t.Helper()
	assignments := map[string]*endpointv3.ClusterLoadAssignment{}
	routes := map[string]*routev3.RouteConfiguration{}
	for _, r := range resources {
		switch m := r.Message.(type) {
		case *endpointv3.ClusterLoadAssignment:
			assignments[r.Name] = m
		case *routev3.RouteConfiguration:
			// The one for gRPC clients has the same name as none of Envoy's.
			routes[r.Name] = m
		}
	}
	out := &bootstrapv3.Bootstrap_StaticResources{}
	for _, r := range resources {
		switch m := r.Message.(type) {
		case *clusterv3.Cluster:
			c := proto.CloneOf(m)
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
			c.EdsClusterConfig = nil
			if assignments[r.Name] == nil {
				t.Errorf("cluster %s has no assignment", r.Name)
			}
			c.LoadAssignment = assignments[r.Name]
			out.Clusters = append(out.Clusters, c)
		case *listenerv3.Listener:
			if m.GetApiListener() == nil {
				out.Listeners = append(out.Listeners, withRoutes(t, m, routes))
			}
		}
	}
	return &bootstrapv3.Bootstrap{StaticResources: out}
}

func withRoutes(t *testing.T, l *listenerv3.Listener, routes map[string]*routev3.RouteConfiguration) *listenerv3.Listener {
	t.Helper()
	l = proto.CloneOf(l)
	config := l.GetFilterChains()[0].GetFilters()[0].GetTypedConfig()
	var manager managerv3.HttpConnectionManager
	if err := config.UnmarshalTo(&manager); err != nil {
		t.Fatal(err)
	}
	found := routes[manager.GetRds().GetRouteConfigName()]
	if found == nil {
		t.Errorf("listener %s names routes %q, which are not there", l.GetName(), manager.GetRds().GetRouteConfigName())
	}
	manager.RouteSpecifier = &managerv3.HttpConnectionManager_RouteConfig{RouteConfig: found}
	if err := config.MarshalFrom(&manager); err != nil {
		t.Fatal(err)
	}
	return l
}
