package server

import (
	"context"
	"fmt"
	"net"
)

// Local is a server on loopback ports of its own, for tests that run it in-process.
type Local struct {
	*Server
	// GRPCAddress and HTTPAddress are host:port.
	GRPCAddress, HTTPAddress string

	cancel context.CancelFunc
	served chan error
}

// StartLocal serves on free loopback ports until Stop. The ports accept connections
// when it returns.
func StartLocal(cfg Config) (*Local, error) {
	grpcListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for gRPC: %w", err)
	}
	httpListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = grpcListener.Close()
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	local := &Local{
		Server:      New(cfg),
		GRPCAddress: grpcListener.Addr().String(),
		HTTPAddress: httpListener.Addr().String(),
		cancel:      cancel,
		served:      make(chan error, 1),
	}
	go func() { local.served <- local.Serve(ctx, grpcListener, httpListener) }()
	return local, nil
}

// Stop shuts the server down as its configuration says and waits for it. Call it once.
func (l *Local) Stop() error {
	l.cancel()
	return <-l.served
}
