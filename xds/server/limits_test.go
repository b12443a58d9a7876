package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/genproto/googleapis/rpc/code"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/cache"
)

// TestConnectionsWithoutACertificateStopNobody has as many of them wait as there may be, and more.
func TestConnectionsWithoutACertificateStopNobody(t *testing.T) {
	const handshakes = 8
	r := start(t, func(c *Config) { c.Limits.Handshakes = handshakes })
	notices := r.neighbour()
	for range 4 * handshakes {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	if _, err := firstResponse(t, r.dial(r.authority.Workload("shop")), shopNode, cache.Clusters.URL()); err != nil {
		t.Error("a client with a certificate:", err)
	}
	if n := r.logged.await(t, "Refused", string(reasonHandshake)); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
	notices()
}

// TestAnIdentityHasItsShareOfConnections lets one identity open connections without a stream.
func TestAnIdentityHasItsShareOfConnections(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Connections, c.Limits.ConnectionsPerIdentity = 10, 3 })
	notices := r.neighbour()
	greedy := r.authority.Workload("bank")
	for range 3 {
		if _, err := firstResponse(t, r.dial(greedy), &core.Node{Id: "a"}, cache.Listeners.URL(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := firstResponse(t, r.dial(greedy), &core.Node{Id: "a"}, cache.Listeners.URL(), "a"); status.Code(err) != codes.Unavailable {
		t.Errorf("the fourth connection of one identity: %v", err)
	}
	if _, err := firstResponse(t, r.dial(r.authority.Workload("shop")), shopNode, cache.Clusters.URL()); err != nil {
		t.Error("another identity:", err)
	}
	if n := r.logged.await(t, "Refused", string(reasonConnections), "bank"); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
	notices()
}

// TestANamespaceHasItsShareOfStreams has the service accounts of one namespace take what one may, and no more together.
func TestANamespaceHasItsShareOfStreams(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.StreamsPerNamespace, c.Limits.StreamsPerIdentity = 3, 2 })
	notices := r.neighbour()
	refused := 0
	for _, account := range []string{"a", "a", "b", "b", "c"} {
		p := r.authority.Issue(pki.Names{URI: "spiffe://cluster.local/ns/bank/sa/" + account})
		stream := openSotW(t, r.dial(p))
		_ = stream.Send(&discovery.DiscoveryRequest{Node: &core.Node{Id: account, Cluster: "bank"}, TypeUrl: cache.Clusters.URL()})
		if _, err := stream.Recv(); err != nil {
			refused++
			if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "3 streams of clients in namespace bank are open") {
				t.Errorf("%s: %v", account, err)
			}
		}
	}
	if refused != 2 {
		t.Errorf("%d of five streams were refused, want two", refused)
	}
	notices()
}

// TestWhatAWildcardSelectsIsNotBounded answers for more clusters than a stream may name.
func TestWhatAWildcardSelectsIsNotBounded(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.Names = 2 })
	r.set(clusterOf(t, "shop/a", time.Second), assignmentOf("shop/a"), clusterOf(t, "shop/b", time.Second), assignmentOf("shop/b"),
		clusterOf(t, "shop/c", time.Second), assignmentOf("shop/c"))
	stream := openDelta(t, r.dial(r.authority.Workload("shop")))
	request := &discovery.DeltaDiscoveryRequest{Node: shopNode, TypeUrl: cache.Clusters.URL()}
	for range 2 {
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		response, err := stream.Recv()
		if err != nil || len(response.GetResources()) == 0 {
			t.Fatalf("%v, %v", response, err)
		}
		// The acknowledgement is another request, with all that the wildcard selected.
		request = &discovery.DeltaDiscoveryRequest{TypeUrl: cache.Clusters.URL(), ResponseNonce: response.GetNonce(), ResourceNamesSubscribe: []string{"shop/a"}}
	}
}

// TestNamesThatDoNotExistAreBounded has one workload subscribe to as many names as it can, on as many streams as it can.
func TestNamesThatDoNotExistAreBounded(t *testing.T) {
	const share = 8 << 20
	r := start(t, func(c *Config) { c.Limits.MemoryPerIdentity = share })
	notices := r.neighbour()
	before := heapInUse()
	refused := 0
	conn := r.dial(r.authority.Workload("bank"))
	for n := range 10 {
		stream := openDelta(t, conn)
		for i := range 4 {
			names := make([]string, 10_000)
			for j := range names {
				names[j] = fmt.Sprintf("absent-%d-%d", n, j)
			}
			types := []cache.Type{cache.Clusters, cache.Endpoints, cache.Listeners, cache.Routes}
			err := stream.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "a"}, TypeUrl: types[i].URL(), ResourceNamesSubscribe: names})
			if err == nil {
				_, err = stream.Recv()
			}
			if err != nil {
				if _, err = stream.Recv(); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "memory") {
					t.Fatalf("ended with %v", err)
				}
				refused++
				break
			}
		}
	}
	if refused == 0 {
		t.Error("40 times 10,000 names were taken")
	}
	grown := heapInUse() - before
	t.Logf("%d of 10 streams refused; the heap has grown by %d KiB, %d are allowed", refused, grown>>10, share>>10)
	if grown > 2*share {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
	if n := r.logged.await(t, "Refused", string(reasonMemory), "bank"); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
	notices()
}

// TestRequestsThatAreNotCompleteAreBounded has a client begin a request on each of many streams, and leave it at that.
func TestRequestsThatAreNotCompleteAreBounded(t *testing.T) {
	const share, streams, part = 4 << 20, 200, 60_000
	r := start(t, func(c *Config) { c.Limits.MemoryPerIdentity, c.Limits.StreamsPerConnection = share, streams })
	notices := r.neighbour()
	config := r.authority.TLS(r.authority.Workload("bank"))
	config.NextProtos, config.ServerName = []string{"h2"}, "localhost"
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	window := make(chan uint32, streams)
	go func() {
		defer close(ended)
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if update, ok := frame.(*http2.WindowUpdateFrame); ok && update.StreamID == 0 {
				window <- update.Increment
			}
		}
	}()
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	// A message of 1,000,000 bytes begins.
	begun := append([]byte{0, 0, 0x0f, 0x42, 0x40}, make([]byte, part)...)
	credit, sent := 65_535, 0
	for n := range streams {
		header.Reset()
		for _, field := range []hpack.HeaderField{
			{Name: ":method", Value: "POST"},
			{Name: ":scheme", Value: "https"},
			{Name: ":authority", Value: "localhost"},
			{Name: ":path", Value: discovery.AggregatedDiscoveryService_StreamAggregatedResources_FullMethodName},
			{Name: "content-type", Value: "application/grpc"},
			{Name: "te", Value: "trailers"},
		} {
			if err := encoder.WriteField(field); err != nil {
				t.Fatal(err)
			}
		}
		id := uint32(2*n + 1) //nolint:gosec // a few hundred
		if framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: header.Bytes(), EndHeaders: true}) != nil {
			break
		}
		for rest := begun; len(rest) > 0; {
			size := min(len(rest), 16_000)
			for credit < size {
				select {
				case more := <-window:
					credit += int(more)
				case <-ended:
					credit = size
				}
			}
			if framer.WriteData(id, false, rest[:size]) != nil {
				break
			}
			credit, sent, rest = credit-size, sent+size, rest[size:]
		}
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Errorf("%d bytes of requests that are not complete are kept, %d are allowed", sent, share)
	}
	if n := r.logged.await(t, "Refused", string(reasonMemory), "bank"); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
	if used := r.tenants.memory.Load(); used > share {
		t.Errorf("%d bytes are charged for a client that has gone", used)
	}
	notices()
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // far less
}

// TestAClientThatAnswersFromItsReadLoopIsServed has a client that does not read while it writes, and writes so much that it would wait for
// the server to read.
func TestAClientThatAnswersFromItsReadLoopIsServed(t *testing.T) {
	r := start(t, nil)
	const services = 3000
	names := make([]string, services)
	set := func(tiers int) {
		resources := make([]cache.Resource, services)
		for i := range names {
			names[i] = fmt.Sprintf("shop/%s-%d", strings.Repeat("x", 100), i)
			resources[i] = assignmentOf(names[i], make([]tier, tiers)...)
		}
		r.set(resources...)
	}
	set(0)
	stream := openSotW(t, r.dial(r.authority.Workload("shop")))
	request := &discovery.DiscoveryRequest{Node: shopNode, TypeUrl: cache.Endpoints.URL(), ResourceNames: names}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		set((n + 1) % 3)
		for range 3 { // more than one answer, so that the server would have to read many before it goes on
			if err := stream.Send(&discovery.DiscoveryRequest{
				TypeUrl: cache.Endpoints.URL(), ResourceNames: names, ResponseNonce: response.GetNonce(),
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestALongNackHoldsNobodyUp lets a client refuse with as many words as a message takes, time after time.
func TestALongNackHoldsNobodyUp(t *testing.T) {
	r := start(t, nil)
	notices := r.neighbour()
	const services = 300
	names := make([]string, services)
	resources := make([]cache.Resource, services)
	for i := range names {
		names[i] = fmt.Sprintf("bank/service-%d", i)
		resources[i] = assignmentOf(names[i])
	}
	if _, err := r.cache.Set(cache.Owner{Namespace: "bank", Name: "vault"}, resources); err != nil {
		t.Fatal(err)
	}
	stream := openDelta(t, r.dial(r.authority.Workload("bank")))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	words := strings.Repeat("bank/service-", 1<<16/13)
	request := &discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "a"}, TypeUrl: cache.Endpoints.URL(), ResourceNamesSubscribe: names}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	go func() {
		for ctx.Err() == nil {
			response, err := stream.Recv()
			if err != nil {
				return
			}
			request.ResponseNonce = response.GetNonce()
			request.ErrorDetail = &rpcstatus.Status{Code: int32(code.Code_INVALID_ARGUMENT), Message: words}
			if stream.Send(request) != nil {
				return
			}
		}
	}()
	began := time.Now()
	for range 10 {
		notices()
	}
	t.Logf("ten changes of another namespace took %v", time.Since(began))
}
