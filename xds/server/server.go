package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// handshakeTimeout ends connections that do not get as far as a stream could be opened.
const handshakeTimeout = 10 * time.Second

var errDraining = status.Error(codes.Unavailable, "this replica ends, ask another")

// Server serves a cache over aggregated discovery.
type Server struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer

	config       Config
	identities   identities
	admission    *admission
	refusals     *refusals
	metrics      *metrics
	certificates *certificates
	draining     chan struct{}
}

// New makes a server. It starts with Start.
func New(config Config) (*Server, error) {
	if config.Cache == nil {
		return nil, errors.New("an xDS server needs a cache")
	}
	config = config.withDefaults()
	m := newMetrics()
	if config.Registerer != nil {
		if err := m.register(config.Registerer); err != nil {
			return nil, fmt.Errorf("metrics of the xDS server: %w", err)
		}
	}
	return &Server{
		config:       config,
		identities:   identities{trustDomain: config.TrustDomain, readAll: config.ReadAll},
		admission:    &admission{limits: config.Limits, identities: map[string]int{}},
		refusals:     &refusals{log: config.Log, clock: config.Clock, metrics: m, said: map[refusal]time.Time{}},
		metrics:      m,
		certificates: &certificates{files: config.Files},
		draining:     make(chan struct{}),
	}, nil
}

// NeedLeaderElection says that each replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// StreamAggregatedResources implements aggregated discovery, state of the world.
func (s *Server) StreamAggregatedResources(str discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return serve(s, str, sotw)
}

// DeltaAggregatedResources implements aggregated discovery, incremental.
func (s *Server) DeltaAggregatedResources(str discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return serve(s, str, delta)
}

// Start serves until the context ends and then sends the clients away: no new connection or stream, those that are
// there end, and what has not ended after the drain time is cut off. It returns an error if it cannot
// listen or has no valid certificates. It can run once.
func (s *Server) Start(ctx context.Context) error {
	if _, err := s.certificates.load(); err != nil {
		return err
	}
	listener, err := s.listen(ctx)
	if err != nil {
		return fmt.Errorf("listening for xDS clients: %w", err)
	}
	var background sync.WaitGroup
	defer background.Wait()
	following, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	background.Go(func() { s.certificates.follow(following, s.config.Clock, s.config.Log) })

	server := s.grpcServer()
	served := make(chan error, 1)
	background.Go(func() { served <- server.Serve(listener) })
	s.config.Log.Info("Serving xDS", "address", listener.Addr().String())
	select {
	case err := <-served:
		return fmt.Errorf("serving xDS: %w", err)
	case <-ctx.Done():
	}
	s.drain(server)
	return nil
}

// drain ends the server.
func (s *Server) drain(server *grpc.Server) {
	ended := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(ended)
	}()
	close(s.draining)
	timer := s.config.Clock.NewTimer(s.config.Keepalive.Drain)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C():
		server.Stop()
		<-ended
	}
}

func (s *Server) listen(ctx context.Context) (net.Listener, error) {
	listener := s.config.Listener
	if listener == nil {
		var err error
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Address); err != nil {
			return nil, err
		}
	}
	return &connections{
		Listener: listener,
		limit:    int64(s.config.Limits.Connections),
		changed:  func(open int64) { s.metrics.connections.Set(float64(open)) },
		refused: func(from string) {
			s.refusals.add(from, reasonConnections, fmt.Errorf("%d connections are open", s.config.Limits.Connections))
		},
	}, nil
}

func (s *Server) grpcServer() *grpc.Server {
	k, limits := s.config.Keepalive, s.config.Limits
	server := grpc.NewServer(
		grpc.Creds(handshakes{
			credentials.NewTLS(s.certificates.config()),
			func(from string, err error) { s.refusals.add(from, reasonHandshake, err) },
		}),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.MaxConcurrentStreams(limits.StreamsPerConnection),
		grpc.MaxRecvMsgSize(limits.MessageBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: k.Idle, Timeout: k.Timeout, MaxConnectionAge: k.MaxAge, MaxConnectionAgeGrace: k.MaxAgeGrace,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: k.MinPing, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
	discovery.RegisterAggregatedDiscoveryServiceServer(server, s)
	if s.config.Register != nil {
		s.config.Register(beside{server, s})
	}
	if s.config.Health {
		healthpb.RegisterHealthServer(server, health.NewServer())
	}
	if s.config.Reflection {
		reflection.Register(server)
	}
	return server
}

// admit decides whether a stream may be.
func (s *Server) admit(ctx context.Context) (Identity, func(), error) {
	identity, err := s.identities.ofContext(ctx)
	if err != nil {
		s.refusals.add(address(ctx), reasonIdentity, err)
		return Identity{}, nil, status.Error(codes.PermissionDenied, err.Error())
	}
	return s.enter(identity)
}

// enter decides whether there may be another stream of a client that is known. Leave must be called at its end.
func (s *Server) enter(identity Identity) (known Identity, leave func(), err error) {
	select {
	case <-s.draining:
		return Identity{}, nil, errDraining
	default:
	}
	leave, err = s.admission.enter(identity.Name)
	if err != nil {
		s.refusals.add(identity.Name, reasonStreams, err)
		return Identity{}, nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	return identity, leave, nil
}

// address is where a call comes from, without the port.
func address(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "unknown"
	}
	return host(p.Addr)
}

func host(a net.Addr) string {
	if h, _, err := net.SplitHostPort(a.String()); err == nil {
		return h
	}
	return a.String()
}
