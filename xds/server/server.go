package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// handshakeTimeout ends connections that do not get as far as a stream could be opened.
const handshakeTimeout = 10 * time.Second

// maxHeaderBytes of a call: xDS clients send no more than what gRPC itself needs.
const maxHeaderBytes = 8 << 10

// writeBuffer is the buffer of a connection, in bytes, while something is written. There is none for reading: TLS has one of its own, and
// most of a client's memory would be buffers that are empty.
const writeBuffer = 8 << 10

// messageBuffers are for messages of any size. gRPC's own have no size between 32 KiB and 1 MiB, where the first responses to clients of
// many services are.
var messageBuffers = func() mem.BufferPool {
	var exponents []uint8
	for exponent := uint8(8); exponent <= 22; exponent++ {
		exponents = append(exponents, exponent)
	}
	pool, err := mem.NewBinaryTieredBufferPool(exponents...)
	if err != nil {
		panic(err) // the sizes are constants
	}
	return pool
}()

// streamWindow is HTTP/2's own default, in bytes.
const streamWindow = 64<<10 - 1

// arrivalsAtOnce is how many clients use the cache at the same time whose last request asked for something.
const arrivalsAtOnce = 2

var errDraining = status.Error(codes.Unavailable, "this replica ends, ask another")

// Server serves a cache over aggregated discovery.
type Server struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer

	config       Config
	identities   identities
	tenants      *tenants
	refusals     *refusals
	metrics      *metrics
	certificates *certificates
	// arrivals has a place for each session that uses the cache in its turn.
	arrivals chan struct{}
	// draining ends with drain, when the server begins to end.
	draining context.Context //nolint:containedctx // it lives as long as the server
	drain    context.CancelFunc
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
	draining, drain := context.WithCancel(context.Background())
	return &Server{
		config:     config,
		identities: identities{trustDomain: config.TrustDomain, readAll: config.ReadAll},
		tenants:    newTenants(config.Limits),
		refusals:   &refusals{log: config.Log, clock: config.Clock, metrics: m, said: map[refusal]time.Time{}},
		metrics:    m,
		certificates: &certificates{
			files: config.Files, clock: config.Clock, remember: config.Keepalive.MaxAge + config.Keepalive.MaxAgeGrace,
			ends: func(of string, at time.Time) { m.expiry.WithLabelValues(of).Set(float64(at.Unix())) },
		},
		arrivals: make(chan struct{}, arrivalsAtOnce),
		draining: draining, drain: drain,
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
	if err := s.certificates.ended(); err != nil {
		s.config.Log.Error(err, "Serving with it all the same")
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
	s.stop(server)
	return nil
}

// stop ends the server. Streams end one after the other ([Server.drainDelay]), and what is then left is cut off.
func (s *Server) stop(server *grpc.Server) {
	ended := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(ended)
	}()
	s.drain()
	timer := s.config.Clock.NewTimer(s.config.Keepalive.Drain)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C():
		server.Stop()
		<-ended
	}
}

// drainInterval is the time between two ends of streams: clients come again at once, each with a handshake and all that it wants to know,
// and whoever takes them has others to serve.
const drainInterval = 5 * time.Millisecond

// drainDelay is how long a stream goes on when the server ends: at random, so that as many end at any time.
func (s *Server) drainDelay() time.Duration {
	spread := min(time.Duration(s.tenants.open())*drainInterval, s.config.Keepalive.Drain*4/5)
	return rand.N(max(spread, 1)) //nolint:gosec // chance is all that is needed
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
		limit:    s.config.Limits.Handshakes,
		changed:  func(open int) { s.metrics.connections.Set(float64(open)) },
		silent: func(from string) {
			s.refusals.add(from, reasonHandshake, fmt.Errorf("it has not shown a certificate yet, and %d newer connections have not either", s.config.Limits.Handshakes))
		},
		late: func(who string, err error) { s.refusals.add(who, reasonMemory, err) },
	}, nil
}

func (s *Server) grpcServer() *grpc.Server {
	k, limits := s.config.Keepalive, s.config.Limits
	server := grpc.NewServer(
		grpc.Creds(handshakes{credentials.NewTLS(s.certificates.config()), s}),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.MaxConcurrentStreams(limits.StreamsPerConnection),
		grpc.MaxRecvMsgSize(limits.MessageBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		// A stream may send so much before its request is asked for, and what is asked for is charged.
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.ReadBufferSize(0),
		grpc.WriteBufferSize(writeBuffer),
		experimental.BufferPool(messageBuffers),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: k.Idle, Timeout: k.Timeout, MaxConnectionIdle: k.Unused, MaxConnectionAge: k.MaxAge, MaxConnectionAgeGrace: k.MaxAgeGrace,
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

// admit decides whether there may be another stream. Leave must be called at its end.
func (s *Server) admit(ctx context.Context) (identity Identity, t *tenant, leave func(), err error) {
	if s.draining.Err() != nil {
		return Identity{}, nil, nil, errDraining
	}
	err = errNoCertificate
	if p, ok := peer.FromContext(ctx); ok {
		identity, err = s.identify(p.AuthInfo)
	}
	if err != nil {
		s.refusals.add(address(ctx), reasonIdentity, err)
		return Identity{}, nil, nil, status.Error(codes.PermissionDenied, err.Error())
	}
	t, leave, err = s.tenants.enter(identity)
	if err != nil {
		s.refusals.add(identity.Name, reasonStreams, err)
		return Identity{}, nil, nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	return identity, t, leave, nil
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
