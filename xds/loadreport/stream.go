package loadreport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/server"
)

// sendAll is how a client says that it understands send_all_clusters. Envoy and gRPC do. To name the clusters instead
// would take an answer for each change of them, which gRPC clients do not read.
const sendAll = "envoy.lrs.supports_send_all_clusters"

// envoyAgent is what Envoys call themselves. They start over with each answer that they get on the stream; gRPC clients read the first
// (grpc-go, lrs_stream.go).
const envoyAgent = "envoy"

// reportsAtOnce is how many reports may come before the next has to wait for its interval.
const reportsAtOnce = 10

// session is a client's stream.
type session struct {
	server   *Server
	stream   loadstats.LoadReportingService_StreamLoadStatsServer
	identity server.Identity

	reporter *reporter // nil before the first message
	// interval is how often the client was told to report, and limit holds it to that.
	interval time.Duration
	limit    *rate.Limiter
	// rereads: the client takes another interval on the same stream.
	rereads bool
}

// StreamLoadStats implements the load reporting service.
func (s *Server) StreamLoadStats(stream loadstats.LoadReportingService_StreamLoadStatsServer) error {
	identity, err := s.config.Identify(stream.Context())
	if err != nil {
		return err
	}
	session := &session{server: s, stream: stream, identity: identity}
	defer session.close()
	return session.run()
}

// run takes reports until the stream ends. A client that sends more of them than it was asked for has to wait.
func (s *session) run() error {
	reports, failed := make(chan *loadstats.LoadStatsRequest), make(chan error, 1)
	ctx := s.stream.Context()
	s.limit = rate.NewLimiter(limitFor(s.server.config.Interval), reportsAtOnce)
	go func() { failed <- forward(ctx, s.stream, s.limit, reports) }()
	var asked <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		case err := <-failed:
			return ended(err)
		case <-asked:
		case report := <-reports:
			if err := s.take(report); err != nil {
				return err
			}
			asked = s.reporter.wake
		}
		if err := s.pace(); err != nil {
			return err
		}
	}
}

// limitFor is twice what was asked for: timers are not exact, and an end comes with a report of its own.
func limitFor(interval time.Duration) rate.Limit { return rate.Every(interval / 2) }

// errAgain ends the stream of a client that is to report more often, and reads no more than the first answer. It comes again.
var errAgain = status.Error(codes.Unavailable, "report more often: open the stream again")

// pace has the client report as often as it is worth now. One that was asked to report often, and cannot be told otherwise, goes on.
func (s *session) pace() error {
	want := s.server.config.Idle
	if s.server.ledger.needs(s.reporter, s.server.config.Clock.Now()) {
		want = s.server.config.Interval
	}
	switch {
	case want == s.interval:
		return nil
	case s.interval != 0 && !s.rereads && want > s.interval:
		return nil
	case s.interval != 0 && !s.rereads:
		return errAgain
	}
	s.interval = want
	s.limit.SetLimit(limitFor(want))
	return s.stream.Send(&loadstats.LoadStatsResponse{SendAllClusters: true, LoadReportingInterval: durationpb.New(want)})
}

// take counts a report.
func (s *session) take(report *loadstats.LoadStatsRequest) error {
	if s.reporter == nil {
		if err := s.connect(report.GetNode()); err != nil {
			return err
		}
	}
	s.server.metrics.reports.Inc()
	s.server.ledger.add(s.reporter, report.GetClusterStats(), s.server.config.Clock.Now(), s.server.ignore)
	return nil
}

// connect takes the node from the first message: "only the first message on a stream is guaranteed to carry the
// node identifier" (xDS protocol).
func (s *session) connect(node *core.Node) error {
	if err := admissible(node); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	s.reporter = s.server.ledger.connect(cache.Scope{Namespace: s.identity.Namespace, AllNamespaces: s.identity.AllNamespaces})
	s.server.metrics.streams.Inc()
	s.rereads = node.GetUserAgentName() == envoyAgent
	s.server.config.Log.V(1).Info("An xDS client reports its load", "client", s.identity.Name, "node", node.GetId())
	return nil
}

func (s *session) close() {
	if s.reporter != nil {
		s.server.ledger.close(s.reporter)
		s.server.metrics.streams.Dec()
	}
}

// forward reads reports, no faster than they may come.
func forward(
	ctx context.Context, stream loadstats.LoadReportingService_StreamLoadStatsServer, limit *rate.Limiter, to chan<- *loadstats.LoadStatsRequest,
) error {
	for {
		if err := limit.Wait(ctx); err != nil {
			return err
		}
		report, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case to <- report:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) ignore(why ignored) { s.metrics.ignored.WithLabelValues(string(why)).Inc() }

func admissible(node *core.Node) error {
	switch {
	case node.GetId() == "":
		return errors.New("the first report names no node.id")
	case !slices.Contains(node.GetClientFeatures(), sendAll):
		return fmt.Errorf("the client does not support send_all_clusters (no %s in node.client_features)", sendAll)
	}
	return nil
}

// ended is the error to end a stream with: that a client has left is none.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
