package loadreport

import (
	"context"
	"crypto/rand"
	"time"

	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"k8s.io/utils/clock"

	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/server"
)

// Config is what a server is made with. Cache is required; other zero values get defaults.
type Config struct {
	// Cache knows which ExposedServices there are. What is reported of others is not counted.
	Cache *cache.Cache
	// Identify says who calls. The default is [server.IdentityOf].
	Identify func(context.Context) (server.Identity, error)
	// Interval is how often clients report that somebody asks about, and Idle how often the others do. The defaults are 1 s and 10 s.
	Interval, Idle time.Duration
	// Silence is how long ago a client may have reported last to be heard. The default is three intervals and 2 s.
	Silence time.Duration
	// MaxSpan is how much time a report may cover to be counted. The default is 15 s: what failed before may be over.
	MaxSpan time.Duration
	// Clock tells the time; nil: the system's.
	Clock clock.PassiveClock
	// Log gets a line per client at level 1.
	Log logr.Logger
}

func (c Config) withDefaults() Config {
	if c.Identify == nil {
		c.Identify = server.IdentityOf
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Idle == 0 {
		c.Idle = 10 * time.Second
	}
	if c.Silence == 0 {
		c.Silence = 3*c.Interval + 2*time.Second
	}
	if c.MaxSpan == 0 {
		c.MaxSpan = 15 * time.Second
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return c
}

// Server takes load reports. [Server.Register] is for the Register of package server's Config.
type Server struct {
	loadstats.UnimplementedLoadReportingServiceServer

	config  Config
	ledger  *ledger
	metrics *metrics
	// run tells this start of this replica from all others.
	run string
}

// New makes a server.
func New(config Config) *Server {
	config = config.withDefaults()
	known := func(owner cache.Owner) bool { return config.Cache.Status(owner).Version != "" }
	return &Server{config: config, ledger: newLedger(known, config.MaxSpan), metrics: newMetrics(), run: rand.Text()}
}

// Register serves load reports, and the totals that other replicas ask for.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	loadstats.RegisterLoadReportingServiceServer(registrar, s)
	registrar.RegisterService(&totalsService, s)
}

// RegisterMetrics makes the metrics known. The error is that of the registerer.
func (s *Server) RegisterMetrics(registerer prometheus.Registerer) error {
	return s.metrics.register(registerer)
}

// Reading is what a replica says of an ExposedService.
type Reading struct {
	// Replica says which it is, for people. Run tells this start of it from all others.
	Replica, Run string
	// Heard: a client that is connected reports on the ExposedService, and has reported lately. Without one
	// nothing is known of now.
	Heard bool
	// Backends are the totals by backend, since the start of the replica. What clients have not called is missing.
	Backends map[string]Totals
	// InFlight are the calls under way by backend: the sum of what each client that is connected said last, and lately.
	InFlight map[string]uint64
	// GivenUp are calls that ended without an outcome since the start of the replica, because whoever made them gave them up: as many as
	// is certain. TellsGivenUp: the replica says so. One of an older version does not.
	GivenUp      map[string]uint64
	TellsGivenUp bool
	// TellsInFlight: the replica says what is under way, if anything is. One of an older version does not.
	TellsInFlight bool
	// Err is why the replica says nothing; the other fields but Replica are then zero.
	Err error
}

// Read is what this replica says of an ExposedService. While it is read, the clients that may report on it do so more often.
func (s *Server) Read(namespace, name string) Reading {
	now := s.config.Clock.Now()
	s.ledger.ask(namespace, now)
	owner := cache.Owner{Namespace: namespace, Name: name}
	// Read before the calls, so that it is of no more than those.
	givenUp := s.ledger.givenUp(owner)
	backends, underWay, heard := s.ledger.read(owner, now.Add(-s.config.Silence))
	return Reading{
		Replica: "this replica", Run: s.run, Heard: heard, Backends: backends,
		InFlight: underWay, TellsInFlight: true, GivenUp: givenUp, TellsGivenUp: true,
	}
}
