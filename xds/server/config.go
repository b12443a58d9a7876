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

// Limits bound what clients can make the server do. What goes beyond is refused, and the log and a metric say so.
type Limits struct {
	// Memory is what all clients may take, in bytes: for connections, streams, the names that they subscribe to and the responses that
	// wait to be read. 128 MiB.
	Memory int64
	// MemoryPerIdentity is what those may take whose certificates have one name: all pods of a service account. A quarter of Memory.
	MemoryPerIdentity int64
	// Connections in all, and of one identity. 10,000 and a fifth of all.
	Connections, ConnectionsPerIdentity int
	// Handshakes are connections that have not shown a certificate yet. 256.
	Handshakes int
	// StreamsPerConnection is told to the client, which waits. 16: a client needs one for each server that it
	// knows by another name.
	StreamsPerConnection uint32
	// Streams in all, in one namespace and of one identity: a client has two, with its load reports. 20,000, a half and a fifth
	// of all.
	Streams, StreamsPerNamespace, StreamsPerIdentity int
	// RequestsPerSecond of a stream, and how many may come at once; what is more waits. A request that only answers a response
	// does not count. 100 and 1,000.
	RequestsPerSecond float64
	RequestBurst      int
	// Names of a type that a stream may subscribe to. What a wildcard selects does not count. 10,000.
	Names int
	// MessageBytes of a request. 1 MiB.
	MessageBytes int
}

// MemoryFor is what clients may take of a process that may use so many bytes: two fifths. The rest is for what is served, for the
// controllers and for garbage.
func MemoryFor(process int64) int64 { return process / 5 * 2 }

// handshakeBytes is what a connection takes that has not shown a certificate yet.
const handshakeBytes = 40 << 10

// WorstCase is what clients can make the server use, in bytes, whatever they do.
func (l Limits) WorstCase() int64 {
	return l.withDefaults().Memory + int64(l.withDefaults().Handshakes)*handshakeBytes
}

// Keepalive bounds the life of connections.
type Keepalive struct {
	// Ping an idle client after Idle and close the connection if there is no answer within Timeout. 30 s and 10 s.
	Idle, Timeout time.Duration
	// Unused ends a connection on which there has been no stream for so long. 2 min.
	Unused time.Duration
	// MinPing is how often a client may ping. 15 s.
	MinPing time.Duration
	// MaxAge of a connection: the client is asked to come again, perhaps to another replica, and has MaxAgeGrace to
	// do so. It also bounds how long a certificate counts that has expired or whose signer is no longer trusted.
	// 30 min and 10 s.
	MaxAge, MaxAgeGrace time.Duration
	// Drain is how long the end of the server may take: in the first four fifths streams end, spread over time. 10 s.
	Drain time.Duration
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Memory, 128<<20)
	orDefault(&l.MemoryPerIdentity, l.Memory/4)
	orDefault(&l.Connections, 10_000)
	orDefault(&l.ConnectionsPerIdentity, max(l.Connections/5, 1))
	orDefault(&l.Handshakes, 256)
	orDefault(&l.StreamsPerConnection, 16)
	orDefault(&l.Streams, 20_000)
	orDefault(&l.StreamsPerNamespace, max(l.Streams/2, 1))
	orDefault(&l.StreamsPerIdentity, max(l.Streams/5, 1))
	orDefault(&l.RequestsPerSecond, 100)
	orDefault(&l.RequestBurst, 1_000)
	orDefault(&l.Names, 10_000)
	orDefault(&l.MessageBytes, 1<<20)
	return l
}

func (c Config) withDefaults() Config {
	orDefault(&c.Address, ":18000")
	orDefault(&c.TrustDomain, "cluster.local")
	c.Limits = c.Limits.withDefaults()
	orDefault(&c.Keepalive.Unused, 2*time.Minute)
	orDefault(&c.Keepalive.Idle, 30*time.Second)
	orDefault(&c.Keepalive.Timeout, 10*time.Second)
	orDefault(&c.Keepalive.MinPing, 15*time.Second)
	orDefault(&c.Keepalive.MaxAge, 30*time.Minute)
	orDefault(&c.Keepalive.MaxAgeGrace, 10*time.Second)
	orDefault(&c.Keepalive.Drain, 10*time.Second)
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
