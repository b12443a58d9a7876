package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"sync/atomic"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// receipts counts what clients receive.
type receipts struct {
	resources, bytes, requests atomic.Int64
	// want is how many more resources are waited for; done is signalled when none is.
	want atomic.Int64
	done chan struct{}
}

func (r *receipts) expect(n int) {
	r.done = make(chan struct{})
	r.want.Store(int64(n))
}

func (r *receipts) got(resources, bytes int) {
	r.resources.Add(int64(resources))
	r.bytes.Add(int64(bytes))
	if r.want.Add(-int64(resources)) == 0 {
		close(r.done)
	}
}

// stream is a client's end of a stream, which the server is called with.
type stream[Request, Response proto.Message] struct {
	grpc.ServerStream

	ctx      context.Context //nolint:containedctx // a gRPC stream has one
	requests chan Request
	receipts *receipts
	buffer   []byte
	answer   func(Response) (request Request, news int)
}

func (s *stream[Request, Response]) Context() context.Context { return s.ctx }

// Recv hands the server the next request.
func (s *stream[Request, Response]) Recv() (Request, error) {
	select {
	case r := <-s.requests:
		s.receipts.requests.Add(-1)
		return r, nil
	case <-s.ctx.Done():
		var none Request
		return none, s.ctx.Err()
	}
}

// Send takes a response: it is encoded, counted and answered.
func (s *stream[Request, Response]) Send(response Response) error {
	encoded, err := proto.MarshalOptions{}.MarshalAppend(s.buffer[:0], response)
	if err != nil {
		return err
	}
	if cap(encoded) <= keptBuffer {
		s.buffer = encoded
	}
	request, news := s.answer(response)
	s.receipts.requests.Add(1)
	s.requests <- request
	s.receipts.got(news, len(encoded))
	return nil
}

// keptBuffer is how large a client's buffer may be that it keeps. gRPC pools them.
const keptBuffer = 4 << 10

// pipelined is how many answers a client may have given that the server has not taken.
const pipelined = 8

// run runs a client that follows names until the context ends.
func run(ctx context.Context, server discovery.AggregatedDiscoveryServiceServer, delta bool, names []string, r *receipts) {
	node := &core.Node{Id: "client", Cluster: "shop"}
	if delta {
		s := &stream[*discovery.DeltaDiscoveryRequest, *discovery.DeltaDiscoveryResponse]{
			ctx: ctx, receipts: r, requests: make(chan *discovery.DeltaDiscoveryRequest, pipelined),
			answer: func(response *discovery.DeltaDiscoveryResponse) (*discovery.DeltaDiscoveryRequest, int) {
				return &discovery.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResponseNonce: response.GetNonce()}, len(response.GetResources())
			},
		}
		r.requests.Add(1)
		s.requests <- &discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.EndpointType, ResourceNamesSubscribe: names}
		_ = server.DeltaAggregatedResources(s)
		return
	}
	s := &stream[*discovery.DiscoveryRequest, *discovery.DiscoveryResponse]{
		ctx: ctx, receipts: r, requests: make(chan *discovery.DiscoveryRequest, pipelined),
		answer: func(response *discovery.DiscoveryResponse) (*discovery.DiscoveryRequest, int) {
			return &discovery.DiscoveryRequest{
				TypeUrl: resource.EndpointType, ResponseNonce: response.GetNonce(), VersionInfo: response.GetVersionInfo(), ResourceNames: names,
			}, len(response.GetResources())
		},
	}
	r.requests.Add(1)
	s.requests <- &discovery.DiscoveryRequest{Node: node, TypeUrl: resource.EndpointType, ResourceNames: names}
	_ = server.StreamAggregatedResources(s)
}

// identified is a context as gRPC makes it for a client with a certificate.
func identified(ctx context.Context) context.Context {
	certificate := &x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/shop/sa/client"}}}
	return peer.NewContext(ctx, &peer.Peer{
		Addr:     &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)},
		AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{certificate}}}},
	})
}
