package server

import (
	"context"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/cache"
)

type sotwStream = discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient

func openSotW(t *testing.T, conn *grpc.ClientConn) sotwStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func openDelta(t *testing.T, conn *grpc.ClientConn) discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// firstResponse asks for a type by name, or for everything, and returns the answer or how the stream ended.
func firstResponse(t *testing.T, conn *grpc.ClientConn, node *core.Node, typeURL string, names ...string) (*discovery.DiscoveryResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	// A stream that was refused already cannot be written to; Recv says why.
	_ = stream.Send(&discovery.DiscoveryRequest{Node: node, TypeUrl: typeURL, ResourceNames: names})
	return stream.Recv()
}

// neighbour is a client that behaves. What it returns checks that it has not noticed the others: it gets what is new.
func (r *running) neighbour() (notices func()) {
	r.t.Helper()
	_, addresses := startBackends(r.t, 1)
	r.set(forClients(r.t, tier{addresses: addresses})...)
	conn := r.proxyless("xds:///greeter.shop", r.authority.Workload("shop"))
	conn.Connect()
	r.awaitLive(1)
	return func() {
		r.set(forClients(r.t, tier{addresses: addresses}, tier{addresses: addresses[:0]})...)
		r.awaitLive(1)
	}
}

var shopNode = &core.Node{Id: "envoy-1", Cluster: "shop"}

func TestBadClientsAreRefusedSaidOnceAndNobodyElseNotices(t *testing.T) {
	lds := cache.Listeners.URL()
	tests := map[string]struct {
		certificate func(a *pki.Authority) pki.Pair
		node        *core.Node
		names       []string
		code        codes.Code
		why         reason
	}{
		"no certificate": {
			func(*pki.Authority) pki.Pair { return pki.Pair{} }, shopNode, nil, codes.Unavailable, reasonHandshake,
		},
		"a certificate of someone else's authority": {
			func(*pki.Authority) pki.Pair { return pki.NewAuthority(t).Workload("shop") }, shopNode, nil, codes.Unavailable, reasonHandshake,
		},
		"a certificate without a name": {
			func(a *pki.Authority) pki.Pair { return a.Issue(pki.Names{}) }, shopNode, nil, codes.PermissionDenied, reasonIdentity,
		},
		"the server's names, signed by the clients' authority": {
			func(a *pki.Authority) pki.Pair { return a.Issue(pki.ServerNames()) }, shopNode, nil, codes.PermissionDenied, reasonIdentity,
		},
		"a certificate of the server's authority": {
			func(a *pki.Authority) pki.Pair { return a.Server() }, shopNode, nil, codes.Unavailable, reasonHandshake,
		},
		"a name of another form": {
			func(a *pki.Authority) pki.Pair { return a.Issue(pki.Names{URI: "spiffe://cluster.local/workload"}) },
			shopNode, nil, codes.PermissionDenied, reasonIdentity,
		},
		"another trust domain": {
			func(a *pki.Authority) pki.Pair {
				return a.Issue(pki.Names{URI: "spiffe://evil.example/ns/shop/sa/client"})
			},
			shopNode, nil, codes.PermissionDenied, reasonIdentity,
		},
		"everything of another namespace": {
			func(a *pki.Authority) pki.Pair { return a.Workload("bank") }, shopNode, nil, codes.PermissionDenied, reasonNamespace,
		},
		"everything of nothing": {
			func(a *pki.Authority) pki.Pair { return a.Workload("shop") }, &core.Node{Id: "a"}, nil, codes.InvalidArgument, reasonNode,
		},
		"no node": {
			func(a *pki.Authority) pki.Pair { return a.Workload("shop") }, nil, []string{"a"}, codes.InvalidArgument, reasonNode,
		},
		"a node without an id": {
			func(a *pki.Authority) pki.Pair { return a.Workload("shop") },
			&core.Node{Cluster: "shop"},
			[]string{"a"},
			codes.InvalidArgument, reasonNode,
		},
		"more names than may be": {
			func(a *pki.Authority) pki.Pair { return a.Workload("shop") },
			shopNode, strings.Split(strings.Repeat("n,", 101), ","), codes.ResourceExhausted, reasonNames,
		},
		"a message that is too large": {
			func(a *pki.Authority) pki.Pair { return a.Workload("shop") },
			shopNode,
			[]string{strings.Repeat("x", 1<<17)},
			codes.ResourceExhausted, reasonMessage,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(c *Config) { c.Limits.Names, c.Limits.MessageBytes = 100, 1<<16 })
			notices := r.neighbour()
			p := test.certificate(r.authority)
			for range 3 {
				_, err := firstResponse(t, r.dial(p), test.node, lds, test.names...)
				if got := status.Code(err); got != test.code {
					t.Fatalf("ended with %v, want %v", err, test.code)
				}
			}
			if n := r.logged.await(t, "Refused", string(test.why)); n != 1 {
				t.Errorf("said %d times, want once:\n%s", n, r.logged)
			}
			notices()
		})
	}
}

func TestGarbageEndsTheStreamThatItCameOn(t *testing.T) {
	r := start(t, nil)
	notices := r.neighbour()
	p := r.authority.Workload("shop")
	stream, err := r.dial(p).NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		discovery.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName, grpc.ForceCodec(garbage{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); status.Code(err) != codes.Internal {
		t.Errorf("ended with %v", err)
	}
	if n := r.logged.await(t, "Refused", string(reasonMessage)); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
	notices()
}

// garbage is a codec that sends bytes that are no protobuf.
type garbage struct{}

func (garbage) Marshal(any) ([]byte, error) { return []byte{0xff, 0xff, 0xff, 0x07}, nil }
func (garbage) Unmarshal([]byte, any) error { return nil }
func (garbage) Name() string                { return "proto" }
func (garbage) String() string              { return "garbage" }
func TestAnUnknownTypeIsAnsweredAndSaidOnce(t *testing.T) {
	r := start(t, nil)
	r.neighbour()
	p := r.authority.Workload("shop")
	const secrets = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	t.Run("incremental: it does not exist", func(t *testing.T) {
		stream := openDelta(t, r.dial(p))
		for range 2 {
			if err := stream.Send(&discovery.DeltaDiscoveryRequest{Node: shopNode, TypeUrl: secrets, ResourceNamesSubscribe: []string{"a"}}); err != nil {
				t.Fatal(err)
			}
			response, err := stream.Recv()
			if err != nil || len(response.GetRemovedResources()) != 1 || response.GetTypeUrl() != secrets {
				t.Errorf("answer %v, %v", response, err)
			}
		}
	})
	t.Run("state of the world: the stream goes on", func(t *testing.T) {
		stream := openSotW(t, r.dial(p))
		for _, request := range []*discovery.DiscoveryRequest{
			{Node: shopNode, TypeUrl: secrets, ResourceNames: []string{"a"}},
			{TypeUrl: cache.Clusters.URL()},
		} {
			if err := stream.Send(request); err != nil {
				t.Fatal(err)
			}
		}
		response, err := stream.Recv()
		if err != nil || response.GetTypeUrl() != cache.Clusters.URL() || len(response.GetResources()) != 1 {
			t.Errorf("answer %v, %v", response, err)
		}
	})
	if n := r.logged.await(t, "Refused", string(reasonType)); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
}

func TestLaterRequestsCannotChangeTheNode(t *testing.T) {
	r := start(t, func(c *Config) { c.ReadAll = []string{"gateway.example.com"} })
	r.neighbour()
	if _, err := r.cache.Set(cache.Owner{Namespace: "bank", Name: "vault"}, []cache.Resource{
		clusterOf(t, "bank/vault", time.Second), assignmentOf("bank/vault"),
	}); err != nil {
		t.Fatal(err)
	}
	p := r.authority.Issue(pki.Names{DNS: []string{"gateway.example.com"}})
	stream := openSotW(t, r.dial(p))
	requests := []*discovery.DiscoveryRequest{
		{Node: shopNode, TypeUrl: cache.Listeners.URL()},
		{Node: &core.Node{Id: "other", Cluster: "bank"}, TypeUrl: cache.Clusters.URL()},
	}
	for _, request := range requests {
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if request.GetTypeUrl() != cache.Clusters.URL() {
			continue
		}
		if len(response.GetResources()) != 1 || !strings.Contains(string(response.GetResources()[0].GetValue()), "shop/greeter") {
			t.Errorf("clusters: %v", response)
		}
	}
}

func TestTenThousandStreamsAreBounded(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Limits.StreamsPerIdentity, c.Limits.StreamsPerConnection = 50, 1000
	})
	notices := r.neighbour() // has one of the streams
	p := r.authority.Workload("shop")
	var open []sotwStream
	refused := 0
	for range 20 {
		conn := r.dial(p)
		for range 500 {
			open = append(open, openSotW(t, conn))
		}
	}
	for _, stream := range open {
		_ = stream.Send(&discovery.DiscoveryRequest{Node: shopNode, TypeUrl: cache.Routes.URL(), ResourceNames: []string{"shop/greeter"}})
	}
	for _, stream := range open {
		_, err := stream.Recv()
		switch status.Code(err) {
		case codes.OK:
		case codes.ResourceExhausted:
			refused++
		default:
			t.Fatal(err)
		}
	}
	if want := len(open) - 49; refused != want {
		t.Errorf("%d of %d streams refused, want %d", refused, len(open), want)
	}
	if n := r.logged.await(t, "Refused", string(reasonStreams)); n != 1 {
		t.Errorf("said %d times", n)
	}
	for _, stream := range open {
		_ = stream.CloseSend()
	}
	r.awaitLive(1)
	notices()
}

func TestConnectionsAreBounded(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Connections, c.Limits.ConnectionsPerIdentity = 2, 2 })
	r.neighbour()
	p := r.authority.Workload("shop")
	if _, err := firstResponse(t, r.dial(p), shopNode, cache.Clusters.URL()); err != nil {
		t.Fatal(err)
	}
	if _, err := firstResponse(t, r.dial(p), shopNode, cache.Clusters.URL()); status.Code(err) != codes.Unavailable {
		t.Errorf("the third connection: %v", err)
	}
	if n := r.logged.await(t, "Refused", string(reasonConnections)); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
}
