package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	delta "github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	sotw "github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/loadreport"
	"github.com/headgate/headgate/xds/server"
)

// subject is what is measured: a server, and how one of its resources is changed.
type subject struct {
	server discovery.AggregatedDiscoveryServiceServer
	change func(service, revision int)
	// cache and loads are Headgate's.
	cache *cache.Cache
	loads *loadreport.Server
}

// kind is a cache.
type kind struct {
	name string
	make func(ctx context.Context, services int) subject
	// serve has clients connect to it; nil: as they would to go-control-plane's.
	serve func(ctx context.Context, subject subject, listener net.Listener, files server.Files) error
}

var kinds = []kind{{"Headgate", headgate, serveHeadgate}, {"LinearCache", linear, nil}, {"SnapshotCache", snapshot, nil}}

func nameOf(service int) string { return fmt.Sprintf("shop/service-%04d", service) }

// assignment has three endpoints; the revision says which of them does not serve.
func assignment(service, revision int) *endpoint.ClusterLoadAssignment {
	locality := &endpoint.LocalityLbEndpoints{
		Locality: &core.Locality{Zone: "a"}, LoadBalancingWeight: wrapperspb.UInt32(1),
	}
	for i := range 3 {
		health := core.HealthStatus_HEALTHY
		if revision%3 == i {
			health = core.HealthStatus_UNHEALTHY
		}
		locality.LbEndpoints = append(locality.LbEndpoints, &endpoint.LbEndpoint{
			HealthStatus: health,
			HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: &core.Address{
				Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
					Address:       fmt.Sprintf("10.%d.%d.%d", i, service/250, service%250+1),
					PortSpecifier: &core.SocketAddress_PortValue{PortValue: 50051},
				}},
			}}},
		})
	}
	return &endpoint.ClusterLoadAssignment{ClusterName: nameOf(service), Endpoints: []*endpoint.LocalityLbEndpoints{locality}}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func headgate(_ context.Context, services int) subject {
	c := cache.New(cache.Config{})
	change := func(service, revision int) {
		_, err := c.Set(cache.Owner{Namespace: "shop", Name: strconv.Itoa(service)}, []cache.Resource{{Message: assignment(service, revision)}})
		must(err)
	}
	for i := range services {
		change(i, 0)
	}
	c.Synced()
	s, err := server.New(server.Config{Cache: c, Limits: unlimited})
	must(err)
	return subject{s, change, c, loadreport.New(loadreport.Config{Cache: c})}
}

func linear(ctx context.Context, services int) subject {
	c := cachev3.NewLinearCache(resource.EndpointType)
	change := func(service, revision int) { must(c.UpdateResource(nameOf(service), assignment(service, revision))) }
	for i := range services {
		change(i, 0)
	}
	return subject{server: newTheirs(ctx, c), change: change}
}

func snapshot(ctx context.Context, services int) subject {
	c := cachev3.NewSnapshotCache(false, oneForAll{}, nil)
	revisions, version := make([]int, services), 0
	change := func(service, revision int) {
		revisions[service] = revision
		version++
		all := make([]types.Resource, services)
		for i, r := range revisions {
			all[i] = assignment(i, r)
		}
		s, err := cachev3.NewSnapshot(strconv.Itoa(version), map[resource.Type][]types.Resource{resource.EndpointType: all})
		must(err)
		must(c.SetSnapshot(ctx, oneForAll{}.ID(nil), s))
	}
	change(0, 0)
	return subject{server: newTheirs(ctx, c), change: change}
}

// oneForAll gives all nodes the same snapshot.
type oneForAll struct{}

func (oneForAll) ID(*core.Node) string { return "all" }

// theirs is go-control-plane's stream server.
type theirs struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer

	sotw  sotw.Server
	delta delta.Server
}

func newTheirs(ctx context.Context, c cachev3.Cache) *theirs {
	return &theirs{sotw: sotw.NewServer(ctx, c, nil), delta: delta.NewServer(ctx, c, nil)}
}

// StreamAggregatedResources implements aggregated discovery.
func (t *theirs) StreamAggregatedResources(s discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return t.sotw.StreamHandler(s, resource.AnyType)
}

// DeltaAggregatedResources implements aggregated discovery.
func (t *theirs) DeltaAggregatedResources(s discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return t.delta.DeltaStreamHandler(s, resource.AnyType)
}
