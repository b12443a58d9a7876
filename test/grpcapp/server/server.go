package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/headgate/headgate/test/grpcapp/greeter"
)

// minClientPing is how often clients may send keepalive pings. gRPC's default, five
// minutes, would close the connections of a proxy that looks for dead backends.
const minClientPing = time.Second

// Server is one instance of the sample application.
type Server struct {
	cfg    Config
	grpc   *grpc.Server
	http   *http.Server
	health *healthState
	faults *faults
	// gates freeze the gRPC and the HTTP connections.
	grpcGate, httpGate *gate
}

// New builds a server that does not listen yet.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:      cfg,
		health:   newHealthState(),
		faults:   newFaults(cfg.Seed),
		grpcGate: newGate(),
		httpGate: newGate(),
	}
	metrics := newMetrics()
	interceptor := &interceptor{identity: identityOf(cfg), faults: s.faults, work: cfg.Work}
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(metrics.server.UnaryServerInterceptor(), interceptor.unary),
		grpc.ChainStreamInterceptor(metrics.server.StreamServerInterceptor(), interceptor.stream),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientPing, PermitWithoutStream: true}),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(options...)
	greeter.RegisterGreeterServer(s.grpc, &greeterService{pod: cfg.Pod, version: cfg.Version})
	s.health.register(s.grpc)
	reflection.Register(s.grpc)
	metrics.server.InitializeMetrics(s.grpc)

	s.http = &http.Server{Handler: s.handler(metrics), ReadHeaderTimeout: 10 * time.Second}
	return s
}

// Serve answers on both listeners until the context ends, then shuts down as the
// configuration says and returns nil. It returns an error when a listener fails.
// A server serves once.
func (s *Server) Serve(ctx context.Context, grpcListener, httpListener net.Listener) error {
	failed := make(chan error, 2)
	go func() {
		if err := s.grpc.Serve(s.grpcGate.listener(grpcListener)); err != nil {
			failed <- fmt.Errorf("serve gRPC on %s: %w", grpcListener.Addr(), err)
		}
	}()
	go func() {
		if err := s.http.Serve(s.httpGate.listener(httpListener)); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve HTTP on %s: %w", httpListener.Addr(), err)
		}
	}()

	select {
	case err := <-failed:
		s.Kill()
		return err
	case <-ctx.Done():
		s.shutDown()
		return nil
	}
}

// Kill cuts all connections and closes both listeners at once.
func (s *Server) Kill() {
	s.grpc.Stop()
	_ = s.http.Close() // it has nothing left to lose
}

// shutDown drains and stops gRPC; HTTP goes last, so that metrics can be scraped
// while the server drains.
func (s *Server) shutDown() {
	defer s.Kill()
	if s.cfg.StopAtOnce {
		return
	}
	s.health.drain()
	<-time.After(s.cfg.DrainDelay)

	drained := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(s.cfg.GraceTimeout):
	}
}
