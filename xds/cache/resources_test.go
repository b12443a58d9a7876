package cache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// aCluster is a cluster that differs by its timeout.
func aCluster(name string, seconds int) Resource {
	return Resource{Wildcard: true, Message: &cluster.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		ConnectTimeout:       durationpb.New(time.Duration(seconds) * time.Second),
		EdsClusterConfig: &cluster.Cluster_EdsClusterConfig{EdsConfig: &core.ConfigSource{
			ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
		}},
	}}
}

// endpointsFor is an assignment that differs by the priority of its locality.
func endpointsFor(name string, priority int) Resource {
	return Resource{Message: &endpoint.ClusterLoadAssignment{
		ClusterName: name,
		Endpoints:   []*endpoint.LocalityLbEndpoints{{Priority: uint32(priority)}},
	}}
}

func aListener(name string) Resource {
	return Resource{Wildcard: true, Message: &listener.Listener{Name: name}}
}

// aRoute is a route configuration to a cluster, whose name is in the virtual host's.
func aRoute(name, toCluster string) Resource {
	return Resource{Message: &route.RouteConfiguration{Name: name, VirtualHosts: []*route.VirtualHost{{
		Name: toCluster, Domains: []string{"*"},
		Routes: []*route.Route{{
			Match:  &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			Action: &route.Route_Route{Route: &route.RouteAction{ClusterSpecifier: &route.RouteAction_Cluster{Cluster: toCluster}}},
		}},
	}}}}
}

// aService is a whole owner's worth of resources.
func aService(name string, clusterRevision, priority int) []Resource {
	c := fmt.Sprintf("%s-%d", name, clusterRevision)
	return []Resource{aCluster(c, 1), endpointsFor(c, priority), aListener(name), aRoute(name, c)}
}

func greeter(namespace string) Owner { return Owner{Namespace: namespace, Name: "greeter"} }

func mustSet(t testing.TB, c *Cache, o Owner, resources ...Resource) string {
	t.Helper()
	version, err := c.Set(o, resources)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// take takes all that the client is to be sent now.
func take(cl *Client) []*Response {
	var responses []*Response
	for {
		response, _ := cl.Next()
		if response == nil {
			return responses
		}
		responses = append(responses, response)
	}
}

// takeAccepted takes and acknowledges until there is no more.
func takeAccepted(cl *Client) []*Response {
	var responses []*Response
	for {
		got := take(cl)
		if len(got) == 0 {
			return responses
		}
		for _, response := range got {
			cl.Ack(response.Type, response.Nonce)
		}
		responses = append(responses, got...)
	}
}

// say writes responses down: type, what it holds, what it removes.
func say(responses []*Response) []string {
	said := make([]string, 0, len(responses))
	for _, response := range responses {
		line := response.Type.String()
		var names []string
		for _, e := range response.Entries {
			names = append(names, " "+e.Name())
		}
		slices.Sort(names)
		line += strings.Join(names, "")
		for _, name := range slices.Sorted(slices.Values(response.Removed)) {
			line += " -" + name
		}
		said = append(said, line)
	}
	return said
}
