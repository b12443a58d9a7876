package loadreport

import (
	"context"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A replica is asked for the totals of one ExposedService by its cluster's name, and answers with the message in which
// its clients report: totals since its start in place of differences, its run as the node, and no cluster
// when no client is heard.
const (
	totalsServiceName = "headgate.loadreport.Totals"
	totalsMethod      = "/" + totalsServiceName + "/Read"
)

// tellsInFlight is the feature of the node by which a replica says that its numbers of calls under way mean something. One of an older
// version leaves them 0, which would say that calls take no time: without the feature they are unknown.
const tellsInFlight = "headgate.loadreport.in_flight"

// givenUpCalls is the name of the measurement by which a replica says how many calls were given up; tellsGivenUp is the feature of one
// that does.
const (
	givenUpCalls = "headgate.given_up"
	tellsGivenUp = "headgate.loadreport.given_up"
)

type totalsReader interface {
	readTotals(ctx context.Context, cluster *wrapperspb.StringValue) (*loadstats.LoadStatsRequest, error)
}

//nolint:gochecknoglobals // a description of a service is a constant that Go has no word for
var totalsService = grpc.ServiceDesc{
	ServiceName: totalsServiceName,
	HandlerType: (*totalsReader)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Read",
		Handler: func(implementation any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var cluster wrapperspb.StringValue
			if err := decode(&cluster); err != nil {
				return nil, err
			}
			return implementation.(totalsReader).readTotals(ctx, &cluster) //nolint:forcetypeassert // grpc has checked it against HandlerType
		},
	}},
}

func (s *Server) readTotals(ctx context.Context, cluster *wrapperspb.StringValue) (*loadstats.LoadStatsRequest, error) {
	identity, err := s.config.Identify(ctx)
	if err != nil {
		return nil, err
	}
	if !identity.Replica {
		return nil, status.Error(codes.PermissionDenied, "only other replicas may read totals")
	}
	owner, ok := ownerOf(cluster.GetValue())
	if !ok {
		return nil, status.Error(codes.InvalidArgument, "no cluster of an ExposedService")
	}
	return encode(s.Read(owner.Namespace, owner.Name), cluster.GetValue()), nil
}

func encode(reading Reading, cluster string) *loadstats.LoadStatsRequest {
	answer := &loadstats.LoadStatsRequest{Node: &core.Node{Id: reading.Run, ClientFeatures: []string{tellsInFlight, tellsGivenUp}}}
	if !reading.Heard {
		return answer
	}
	stats := &endpoint.ClusterStats{ClusterName: cluster}
	for backend, totals := range reading.Backends {
		stats.UpstreamLocalityStats = append(stats.UpstreamLocalityStats, &endpoint.UpstreamLocalityStats{
			Locality:                &core.Locality{Zone: backend},
			TotalIssuedRequests:     totals.Issued,
			TotalSuccessfulRequests: totals.Succeeded,
			TotalErrorRequests:      totals.Failed,
			TotalRequestsInProgress: reading.InFlight[backend],
			LoadMetricStats: []*endpoint.EndpointLoadMetricStats{
				{MetricName: givenUpCalls, NumRequestsFinishedWithMetric: reading.GivenUp[backend]},
			},
		})
	}
	answer.ClusterStats = []*endpoint.ClusterStats{stats}
	return answer
}
