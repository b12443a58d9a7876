package server

import (
	"net"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"k8s.io/utils/clock"

	"github.com/headgate/headgate/xds/cache"
)

// Config is what a server is made with.
type Config struct {
	// Cache holds what is served.
	Cache *cache.Cache
	// Address to listen on; empty: ":18000".
	Address string
	// Listener is listened on instead of Address, if it is set.
	Listener net.Listener
	// Files hold the server's certificate and who signs its clients'. Changes are taken up.
	Files Files
	// TrustDomain of the clients' SPIFFE names; empty: "cluster.local".
	TrustDomain string
	// ReadAll are the subject alternative names, URI or DNS, of clients that may read all namespaces.
	ReadAll []string
	// Limits bound what clients can make the server do; zero values: the defaults.
	Limits Limits
	// Keepalive bounds the life of connections; zero values: the defaults.
	Keepalive Keepalive
	// Health and Reflection turn on gRPC's services of that name, for clients with a certificate.
	Health, Reflection bool
	// Register adds services that are served beside, say load reports; nil: none.
	Register func(grpc.ServiceRegistrar)
	// Log gets a line per decision: who is refused, and what the server does.
	Log logr.Logger
	// Clock tells the time; nil: the system's.
	Clock clock.WithTicker
	// Registerer takes the metrics; nil: they are only counted.
	Registerer prometheus.Registerer
}

// Files name PEM files.
type Files struct {
	// Certificate and Key are the server's, ClientCAs those that sign the clients' certificates.
	Certificate, Key, ClientCAs string
}

// Limits bound what clients can make the server do.
type Limits struct {
	// Connections in all; more are closed when they come. 10,000.
	Connections int
	// StreamsPerConnection is told to the client, which waits. 16: a client needs one for each server that it
	// knows by another name.
	StreamsPerConnection uint32
	// Streams in all. 10,000.
	Streams int
	// StreamsPerIdentity, that is, per certificate name: all pods of a service account share one. 2,000.
	StreamsPerIdentity int
	// RequestsPerSecond of a stream, and how many may come at once; what is more waits. 100 and 1,000.
	RequestsPerSecond float64
	RequestBurst      int
	// Names of a type that a stream may follow. 10,000.
	Names int
	// MessageBytes of a request. 4 MiB.
	MessageBytes int
}

// Keepalive bounds the life of connections.
type Keepalive struct {
	// Ping an idle client after Idle and close the connection if there is no answer within Timeout. 30 s and 10 s.
	Idle, Timeout time.Duration
	// MinPing is how often a client may ping. 15 s.
	MinPing time.Duration
	// MaxAge of a connection: the client is asked to come again, perhaps to another replica, and has MaxAgeGrace to
	// do so. It also bounds how long a certificate counts that has expired or whose signer is no longer trusted.
	// 30 min and 10 s.
	MaxAge, MaxAgeGrace time.Duration
	// Drain is how long the end of the server may take. 5 s.
	Drain time.Duration
}

func (c Config) withDefaults() Config {
	orDefault(&c.Address, ":18000")
	orDefault(&c.TrustDomain, "cluster.local")
	orDefault(&c.Limits.Connections, 10_000)
	orDefault(&c.Limits.StreamsPerConnection, 16)
	orDefault(&c.Limits.Streams, 10_000)
	orDefault(&c.Limits.StreamsPerIdentity, 2_000)
	orDefault(&c.Limits.RequestsPerSecond, 100)
	orDefault(&c.Limits.RequestBurst, 1_000)
	orDefault(&c.Limits.Names, 10_000)
	orDefault(&c.Limits.MessageBytes, 4<<20)
	orDefault(&c.Keepalive.Idle, 30*time.Second)
	orDefault(&c.Keepalive.Timeout, 10*time.Second)
	orDefault(&c.Keepalive.MinPing, 15*time.Second)
	orDefault(&c.Keepalive.MaxAge, 30*time.Minute)
	orDefault(&c.Keepalive.MaxAgeGrace, 10*time.Second)
	orDefault(&c.Keepalive.Drain, 5*time.Second)
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return c
}

func orDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}
