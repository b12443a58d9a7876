package resource_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/headgate/headgate/xds/resource"
)

// servers are the live endpoints of one backend. They serve grpc.health.v1, which is all that is called.
type servers struct {
	addresses []netip.AddrPort
	running   []*grpc.Server
	health    []*health.Server
}

// servedBy is the header in which an endpoint says whose it is.
const servedBy = "served-by"

func startServers(t *testing.T, name string, count int) *servers {
	t.Helper()
	s := &servers{}
	signature := metadata.Pairs(servedBy, name)
	for range count {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		checks := health.NewServer()
		server := grpc.NewServer(
			grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				if err := grpc.SetHeader(ctx, signature); err != nil {
					return nil, err
				}
				return handler(ctx, request)
			}),
			grpc.StreamInterceptor(func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				if err := stream.SetHeader(signature); err != nil {
					return err
				}
				return handler(service, stream)
			}),
		)
		healthv1.RegisterHealthServer(server, checks)
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		s.addresses = append(s.addresses, netip.MustParseAddrPort(listener.Addr().String()))
		s.running, s.health = append(s.running, server), append(s.health, checks)
	}
	return s
}

// crash ends all of them with what they have under way.
func (s *servers) crash() {
	for _, server := range s.running {
		server.Stop()
	}
}

// backend is what Kubernetes would say of them.
func (s *servers) backend(ready bool) resource.Backend {
	probe := ""
	b := resource.Backend{Probe: &probe}
	for _, address := range s.addresses {
		b.Endpoints = append(b.Endpoints, resource.Endpoint{Addresses: []netip.AddrPort{address}, Ready: ready, Serving: ready})
	}
	return b
}
