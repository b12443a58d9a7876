package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// pods answers for the API server.
type pods struct {
	client.Reader

	addresses map[string]string
	failure   error
	asked     int
}

func (p *pods) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if exs, ok := object.(*v1alpha1.ExposedService); ok {
		exs.Status.XDS = &v1alpha1.XDSStatus{}
		for _, name := range []string{"replica-a", "replica-b", "replica-c"} {
			exs.Status.XDS.Replicas = append(exs.Status.XDS.Replicas, v1alpha1.XDSReplica{Name: name})
		}
		return nil
	}
	p.asked++
	address, ok := p.addresses[key.Name]
	switch {
	case p.failure != nil:
		return p.failure
	case !ok:
		return apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, key.Name)
	}
	object.(*corev1.Pod).Status.PodIP = address
	return nil
}

func TestTheOtherReplicasAreFoundByTheirPods(t *testing.T) {
	world := &pods{addresses: map[string]string{"replica-a": "10.0.0.1", "replica-b": "10.0.0.2", "replica-c": "10.0.0.3"}}
	clock := testclock.NewFakePassiveClock(time.Unix(0, 0))
	replicas := &replicaAddresses{
		cached: world, pods: world, namespace: "headgate-system", self: "replica-a", port: 18000, clock: clock, known: map[string]podAddress{},
	}
	is := func(what string, asked int, want ...string) {
		t.Helper()
		world.asked = 0
		got, err := replicas.of(t.Context(), "shop", "greeter")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !slices.EqualFunc(got, want, func(a netip.AddrPort, b string) bool { return a.String() == b }) || world.asked != asked {
			t.Errorf("%s: %v with %d questions, want %v with %d", what, got, world.asked, want, asked)
		}
	}
	is("this replica is not asked for", 2, "10.0.0.2:18000", "10.0.0.3:18000")
	delete(world.addresses, "replica-c")
	is("addresses are believed for a while", 0, "10.0.0.2:18000", "10.0.0.3:18000")
	clock.SetTime(clock.Now().Add(addressTTL))
	is("a pod that is gone has no calls", 2, "10.0.0.2:18000")
	is("and is not asked for all the time", 0, "10.0.0.2:18000")

	clock.SetTime(clock.Now().Add(addressTTL))
	world.failure = errors.New("the API server is down")
	if got, err := replicas.of(t.Context(), "shop", "greeter"); !errors.Is(err, world.failure) {
		t.Errorf("%v, %v: not to know is an error", got, err)
	}
	world.failure = nil
	world.addresses["replica-b"] = ""
	if got, err := replicas.of(t.Context(), "shop", "greeter"); err == nil {
		t.Errorf("%v: a pod without an address is an error", got)
	}
}

func TestPortsOfAddresses(t *testing.T) {
	for address, want := range map[string]uint16{":18000": 18000, "[::]:1": 1, "0.0.0.0:65535": 65535, "18000": 0, ":65536": 0, ":xds": 0} {
		if got, err := portOf(address); fmt.Sprint(got) != fmt.Sprint(want) && err == nil || (err != nil) != (want == 0) {
			t.Errorf("%s: %d, %v; want %d", address, got, err, want)
		}
	}
}
