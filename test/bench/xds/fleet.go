package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// fleet are clients on connections of their own.
type fleet struct {
	ctx    context.Context //nolint:containedctx // they live as long
	end    context.CancelFunc
	all    sync.WaitGroup
	lag    []time.Duration
	begun  atomic.Int64 // of the change that is waited for
	want   atomic.Int64
	done   chan struct{}
	errors atomic.Int64
	took   atomic.Int64 // when a slow client was done with a response
}

// slowly is how long a slow client takes for each response.
const slowly = 100 * time.Millisecond

// dial connects clients that follow names, and waits until each has all of them. The first of them are slow.
func dial(address string, creds credentials.TransportCredentials, delta bool, clients, slow int, names []string) *fleet {
	f := start(address, creds, delta, clients, slow, names)
	if slow < clients {
		<-f.done
	}
	return f
}

// start is dial without the wait.
func start(address string, creds credentials.TransportCredentials, delta bool, clients, slow int, names []string) *fleet {
	f := &fleet{lag: make([]time.Duration, clients)}
	f.ctx, f.end = context.WithCancel(context.Background())
	f.expect(clients - slow)
	for i := range clients {
		f.all.Go(func() { f.run(i, address, creds, delta, i < slow, names) })
	}
	return f
}

// expect waits for the next response to so many clients.
func (f *fleet) expect(clients int) {
	f.done = make(chan struct{})
	f.begun.Store(time.Now().UnixNano())
	f.want.Store(int64(clients))
}

func (f *fleet) got(client int) {
	f.lag[client] = time.Duration(time.Now().UnixNano() - f.begun.Load())
	if f.want.Add(-1) == 0 {
		close(f.done)
	}
}

func (f *fleet) stop() {
	f.end()
	f.all.Wait()
}

func (f *fleet) run(client int, address string, creds credentials.TransportCredentials, delta, slow bool, names []string) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	must(err)
	defer func() { _ = conn.Close() }()
	left := len(names)
	f.ended(converse(f.ctx, discovery.NewAggregatedDiscoveryServiceClient(conn), delta, fmt.Sprintf("client-%d", client), names, func(resources int) {
		if slow {
			time.Sleep(slowly) // this is what it is there for
			f.took.Store(time.Now().UnixNano())
			return
		}
		if left -= resources; resources > 0 && left <= 0 {
			f.got(client)
		}
	}))
}

// converse follows names on a stream, and says of each response how many resources it has before it answers.
func converse(
	ctx context.Context, ads discovery.AggregatedDiscoveryServiceClient, delta bool, id string, names []string, took func(resources int),
) error {
	node := &core.Node{Id: id, Cluster: "shop"}
	if delta {
		stream, err := ads.DeltaAggregatedResources(ctx, grpc.WaitForReady(true))
		if err != nil {
			return err
		}
		first := &discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.EndpointType, ResourceNamesSubscribe: names}
		return answerAll(stream, first, func(r *discovery.DeltaDiscoveryResponse) *discovery.DeltaDiscoveryRequest {
			took(len(r.GetResources()))
			return &discovery.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResponseNonce: r.GetNonce()}
		})
	}
	stream, err := ads.StreamAggregatedResources(ctx, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	first := &discovery.DiscoveryRequest{Node: node, TypeUrl: resource.EndpointType, ResourceNames: names}
	return answerAll(stream, first, func(r *discovery.DiscoveryResponse) *discovery.DiscoveryRequest {
		took(len(r.GetResources()))
		return &discovery.DiscoveryRequest{
			TypeUrl: resource.EndpointType, ResponseNonce: r.GetNonce(), VersionInfo: r.GetVersionInfo(), ResourceNames: names,
		}
	})
}

// answerAll sends the first request and an answer to each response, until the stream ends.
func answerAll[Request, Response any](
	stream interface {
		Send(request Request) error
		Recv() (Response, error)
	},
	request Request, answer func(Response) Request,
) error {
	for {
		if err := stream.Send(request); err != nil {
			return err
		}
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		request = answer(response)
	}
}

func (f *fleet) ended(err error) {
	if f.ctx.Err() == nil && f.errors.Add(1) == 1 {
		fmt.Fprintln(os.Stderr, "a client's stream ended:", err)
	}
}
