package loadreport_test

import (
	"errors"
	"io"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/loadreport"
)

var reporting = &core.Node{Id: "by hand", ClientFeatures: []string{"envoy.lrs.supports_send_all_clusters"}}

func (r *replica) dial(p pki.Pair) *grpc.ClientConn {
	r.t.Helper()
	conn, err := grpc.NewClient(r.Address, grpc.WithTransportCredentials(credentials.NewTLS(r.Authority.TLS(p))))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

type reports = loadstats.LoadReportingService_StreamLoadStatsClient

// open begins to report.
func open(t *testing.T, conn *grpc.ClientConn, node *core.Node) reports {
	t.Helper()
	stream, err := loadstats.NewLoadReportingServiceClient(conn).StreamLoadStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send(t, stream, &loadstats.LoadStatsRequest{Node: node})
	return stream
}

func send(t *testing.T, stream reports, r *loadstats.LoadStatsRequest) {
	t.Helper()
	if err := stream.Send(r); err != nil && !errors.Is(err, io.EOF) { // the reason of the end is in Recv
		t.Fatal(err)
	}
}

// end ends the stream, and returns when all that was sent has been counted.
func end(t *testing.T, stream reports) {
	t.Helper()
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatalf("the stream ended with %v", err)
	}
}

func tenCalls(cluster, backend string) *loadstats.LoadStatsRequest {
	return &loadstats.LoadStatsRequest{ClusterStats: []*endpoint.ClusterStats{{
		ClusterName: cluster,
		UpstreamLocalityStats: []*endpoint.UpstreamLocalityStats{{
			Locality: &core.Locality{Zone: backend}, TotalIssuedRequests: 10, TotalSuccessfulRequests: 7, TotalErrorRequests: 3,
		}},
	}}}
}

func TestAClientIsToldWhatToReport(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	stream := open(t, r.dial(r.Authority.Workload("shop")), reporting)
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if !response.GetSendAllClusters() || response.GetLoadReportingInterval().AsDuration() != interval || len(response.GetClusters()) > 0 {
		t.Errorf("told %v", response)
	}
	end(t, stream)
}

func TestReportsOverManyConnectionsAreCountedOnce(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	exposeGreeter(t, r.Cache)
	const connections, each = 5, 4
	for range connections {
		stream := open(t, r.dial(r.Authority.Workload("shop")), reporting)
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		for range each {
			send(t, stream, tenCalls("shop/greeter", "primary"))
		}
		end(t, stream)
	}
	want := loadreport.Totals{Issued: 10 * connections * each, Succeeded: 7 * connections * each, Failed: 3 * connections * each}
	if got := r.loads.Read("shop", "greeter").Backends["primary"]; got != want {
		t.Errorf("%+v, reported were %+v", got, want)
	}
}

func TestAClientOfAnotherNamespaceChangesNothing(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	exposeGreeter(t, r.Cache)
	stream := open(t, r.dial(r.Authority.Workload("bank")), reporting)
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	send(t, stream, tenCalls("shop/greeter", "primary"))
	end(t, stream)
	if reading := r.loads.Read("shop", "greeter"); reading.Heard || len(reading.Backends) > 0 {
		t.Errorf("%+v", reading)
	}
}

func TestWhoMayNotReport(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	workload := r.Authority.Workload("shop")
	for name, c := range map[string]struct {
		certificate pki.Pair
		node        *core.Node
		want        codes.Code
	}{
		"without a workload's name":       {r.Authority.Issue(pki.ServerNames()), reporting, codes.PermissionDenied},
		"without a node":                  {workload, nil, codes.InvalidArgument},
		"who cannot send all clusters":    {workload, &core.Node{Id: "old"}, codes.InvalidArgument},
		"without an id":                   {workload, &core.Node{ClientFeatures: reporting.GetClientFeatures()}, codes.InvalidArgument},
		"and who may, for the comparison": {workload, reporting, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, r.dial(c.certificate), c.node).Recv()
			if status.Code(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestOnlyReplicasReadTotals(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	var answer loadstats.LoadStatsRequest
	err := r.dial(r.Authority.Workload("shop")).Invoke(t.Context(), "/headgate.loadreport.Totals/Read", wrapperspb.String("shop/greeter"), &answer)
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("%v", err)
	}
}

func TestTheEndOfAReplicaWaitsForNoReporter(t *testing.T) {
	r := startReplica(t, controlplane.Config{})
	conn := r.dial(r.Authority.Workload("shop"))
	silent, err := loadstats.NewLoadReportingServiceClient(conn).StreamLoadStats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	speaking := open(t, conn, reporting)
	if _, err := speaking.Recv(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.Stop()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the end took %s, as if it had been cut off", took)
	}
	for _, stream := range []reports{silent, speaking} {
		if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("the stream ended with %v", err)
		}
	}
}
