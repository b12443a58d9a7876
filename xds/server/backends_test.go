package server

import (
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// backend is a gRPC server whose calls are health checks: the caller sees from the peer who answered.
type backend struct {
	address string
	kill    func()
}

func startBackends(t testing.TB, n int) (backends []backend, addresses []string) {
	t.Helper()
	for range n {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		healthpb.RegisterHealthServer(server, health.NewServer())
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		backends = append(backends, backend{listener.Addr().String(), server.Stop})
		addresses = append(addresses, listener.Addr().String())
	}
	return backends, addresses
}
