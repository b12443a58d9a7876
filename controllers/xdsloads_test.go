package controllers

import (
	"context"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// reportLoad is a client of the greeter, of whose calls to the primary half fail while the backup answers all, each
// time that it is asked for a report. It ends with the test.
func (p *xdsPKI) reportLoad(w *world, address string) {
	w.t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(p.clientTLS(w.t, w.namespace)))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	w.t.Cleanup(func() {
		cancel()
		<-ended
		_ = conn.Close()
	})
	stream, err := loadstats.NewLoadReportingServiceClient(conn).StreamLoadStats(ctx, grpc.WaitForReady(true))
	if err != nil {
		w.t.Fatal(err)
	}
	node := &core.Node{Id: "reporter", ClientFeatures: []string{"envoy.lrs.supports_send_all_clusters"}}
	if err := stream.Send(&loadstats.LoadStatsRequest{Node: node}); err != nil {
		w.t.Fatal(err)
	}
	told, err := stream.Recv()
	if err != nil {
		w.t.Fatal(err)
	}
	locality := func(backend string, succeeded, failed uint64) *endpoint.UpstreamLocalityStats {
		return &endpoint.UpstreamLocalityStats{
			Locality:            &core.Locality{Zone: backend},
			TotalIssuedRequests: succeeded + failed, TotalSuccessfulRequests: succeeded, TotalErrorRequests: failed,
		}
	}
	report := &loadstats.LoadStatsRequest{ClusterStats: []*endpoint.ClusterStats{{
		ClusterName:           mainCluster(w),
		UpstreamLocalityStats: []*endpoint.UpstreamLocalityStats{locality("primary", 50, 50), locality("backup", 50, 0)},
	}}}
	ticker := time.NewTicker(told.GetLoadReportingInterval().AsDuration())
	go func() {
		defer close(ended)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			if err := stream.Send(report); err != nil {
				return
			}
		}
	}()
}

// failingOver has failing calls count, by the source that is the default.
func failingOver(exs *v1alpha1.ExposedService) {
	exs.Spec.Failover = &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "5"}}
}

func TestClientsReportsMoveTraffic(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withBackends()
	p := newXDSPKI(t)
	option, address := servingXDS(t, p, "replica-a")
	w.startOperator(option)
	exs := w.exposedService("greeter", overXDS(9090), failingOver)
	w.create(exs)
	w.eventually("nobody reports", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionSignalsAvailable, metav1.ConditionFalse, v1alpha1.ReasonSourceUnknown, "no client")
	})
	p.reportLoad(w, address)
	w.eventually("the calls are counted", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionSignalsAvailable, metav1.ConditionTrue, v1alpha1.ReasonSourceRead, "LoadReports")
	})
	w.eventually("the backup serves", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionFailedOver, metav1.ConditionTrue, "BackupServes")
	})
}

func TestWithoutTheXDSServerNobodyReports(t *testing.T) {
	w := newWorld(t).withBackends()
	w.startOperator()
	exs := w.exposedService("greeter", func(exs *v1alpha1.ExposedService) { exs.Spec.XDS = &v1alpha1.XDS{} }, failingOver,
		func(exs *v1alpha1.ExposedService) {
			source := v1alpha1.SourceLoadReports
			exs.Spec.Failover.Errors.Source = &source
		})
	w.create(exs)
	w.eventually("the condition says what to do", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionSignalsAvailable, metav1.ConditionFalse, v1alpha1.ReasonSourceInvalid, "--xds-bind-address")
	})
}
