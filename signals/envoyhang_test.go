package signals

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"k8s.io/utils/clock"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// hangingServer is a version that leaves a part of its calls without an answer.
type hangingServer struct {
	greeter.UnimplementedGreeterServer
	// each one of so many hangs; 0: none.
	each         int64
	calls, hangs atomic.Int64
	// over ends those that hang. No caller is told.
	over    <-chan struct{}
	address netip.AddrPort
}

func (s *hangingServer) SayHello(context.Context, *greeter.HelloRequest) (*greeter.HelloReply, error) {
	if call := s.calls.Add(1); s.each > 0 && call%s.each == 0 {
		s.hangs.Add(1)
		<-s.over
	}
	return &greeter.HelloReply{}, nil
}

func startHanging(t *testing.T, each int64) *hangingServer {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	out := &hangingServer{each: each, over: over, address: netip.MustParseAddrPort(listener.Addr().String())}
	server := grpc.NewServer()
	greeter.RegisterGreeterServer(server, out)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	t.Cleanup(func() { close(over) })
	return out
}

// hangingEnvoy is a bootstrap as of Envoy Gateway's proxies: a cluster with statistics of its endpoints. Callers' deadlines are not
// told to the servers: on one machine these would end calls a moment before the callers do, which over a network they do not.
const hangingEnvoy = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}}
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %[2]d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              request_headers_to_remove: [grpc-timeout]
              routes:
              - match: {prefix: /}
                route:
                  cluster: %[3]s
                  timeout: 0s
                  retry_policy: {retry_on: "connect-failure,refused-stream", num_retries: 2}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: %[3]s
    type: STATIC
    track_cluster_stats: {per_endpoint_stats: true}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: %[3]s
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[4]d}}}
        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[5]d}}}
`

// A canary that lets calls hang until their callers give up is not one with fewer calls.
func TestARealEnvoyOfACanaryThatHangs(t *testing.T) {
	envoy.Path(t)
	for name, each := range map[string]int64{"a fifth of its calls": 5, "all of its calls": 1} {
		t.Run(name, func(t *testing.T) {
			stable, canary := startHanging(t, 0), startHanging(t, each)
			stats, port := controlplane.FreePort(t), controlplane.FreePort(t)
			config := filepath.Join(t.TempDir(), "envoy.yaml")
			text := fmt.Sprintf(hangingEnvoy, stats, port, sharedCluster, stable.address.Port(), canary.address.Port())
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			envoy.RunFile(t, config)
			h := newHangingScene(t, uint16(stats), stable, canary)
			conn := controlplane.Through(t, port)
			h.call(conn, 320)

			t.Logf("stable %+v, canary %+v", h.sums["stable"], h.sums["canary"])
			for _, server := range []*hangingServer{stable, canary} {
				side := "stable"
				if server == canary {
					side = "canary"
				}
				begun, hung := uint64(server.calls.Load()), uint64(server.hangs.Load())
				if got, want := h.sums[side], (hangingSum{begun - hung, hung, begun, 0}); got != want || begun == 0 {
					t.Errorf("%s: counted %+v, want %+v", side, got, want)
				}
			}
		})
	}
}

// hangingSum is what was counted of a side.
type hangingSum struct{ calls, cancelled, begun, inFlight uint64 }

// hangingScene looks at a proxy.
type hangingScene struct {
	t      *testing.T
	source *Envoy
	query  Query
	sums   map[string]hangingSum
}

func newHangingScene(t *testing.T, stats uint16, stable, canary *hangingServer) *hangingScene {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	scraper := NewScraper(ScraperConfig{Client: client, Clock: clock.RealClock{}, Interval: time.Millisecond})
	h := &hangingScene{
		t: t, source: NewEnvoy(EnvoyConfig{Scraper: scraper, Clock: clock.RealClock{}}), sums: map[string]hangingSum{},
		query: Query{
			Cluster: sharedCluster,
			Proxies: []Proxy{{ID: "envoy", Name: "envoy", Address: netip.AddrPortFrom(stable.address.Addr(), stats)}},
			Backends: []Backend{
				{Name: "stable", Endpoints: endpointsAt(stable.address.String())},
				{Name: "canary", Endpoints: endpointsAt(canary.address.String())},
			},
		},
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := h.source.Read(t.Context(), h.query)
		if err == nil {
			return h
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func (h *hangingScene) look() {
	h.t.Helper()
	reading, err := h.source.Read(h.t.Context(), h.query)
	if err != nil {
		h.t.Fatal(err)
	}
	for side, counts := range reading.Backends {
		if !counts.Known() || !counts.TellsBegun || !counts.TellsCancelled || counts.Errors > 0 {
			h.t.Errorf("%s: %+v", side, counts)
		}
		sum := h.sums[side]
		h.sums[side] = hangingSum{sum.calls + counts.Calls, sum.cancelled + counts.Cancelled, sum.begun + counts.Begun, counts.InFlight}
	}
}

// call makes calls with a deadline, sixteen at once, and looks meanwhile and until all is counted.
func (h *hangingScene) call(conn *grpc.ClientConn, calls int) {
	h.t.Helper()
	client := greeter.NewGreeterClient(conn)
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for range calls / 16 {
				ctx, cancel := context.WithTimeout(h.t.Context(), 300*time.Millisecond)
				_, _ = client.SayHello(ctx, &greeter.HelloRequest{})
				cancel()
			}
		})
	}
	go func() {
		wait.Wait()
		close(done)
	}()
	for under := true; under; {
		select {
		case <-done:
			under = false
		case <-time.After(50 * time.Millisecond):
		}
		h.look()
	}
	// The end of the last calls comes a moment after their callers have gone on.
	for range 4 {
		time.Sleep(50 * time.Millisecond)
		h.look()
	}
}
