package live

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/envoy"
	"github.com/headgate/headgate/test/grpcapp/server"
	"github.com/headgate/headgate/test/workers"
	"github.com/headgate/headgate/xds/bootstrap"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

const (
	primary = "primary"
	backup  = "backup"
	canary  = v1alpha1.CanaryName

	// steady is how many calls have to be answered between two events of a test.
	steady = 500
	// allParts is what the weights of a decision add up to.
	allParts = 1_000_000
)

// twenty workers.
var twenty = workers.Config{Workers: 20, Pace: 20 * time.Millisecond, Timeout: 2 * time.Second}

// stage is an ExposedService over xDS with pods, and workers that call it in one way.
type stage struct {
	*testing.T
	exs      *v1alpha1.ExposedService
	replicas []*controlplane.ControlPlane
	// front is the address of all replicas.
	front *front
	whole bool
	pods  map[string][]*pod
	crew  *workers.Crew
	began time.Time
	// made counts the pods, for their names.
	made int
}

// client connects workers to what is on the stage.
type client func(*stage) grpc.ClientConnInterface

// throughEnvoy is an Envoy of one's own, and callers that make no call again.
func throughEnvoy(s *stage) grpc.ClientConnInterface { return runEnvoy(s) }

// throughEnvoyInSotW is the same in the other variant of xDS.
func throughEnvoyInSotW(s *stage) grpc.ClientConnInterface {
	return runEnvoy(s, controlplane.InStateOfTheWorld)
}

func runEnvoy(s *stage, changes ...func([]byte) []byte) grpc.ClientConnInterface {
	s.Helper()
	envoy.Path(s.T)
	port := controlplane.FreePort(s.T)
	s.exs.Spec.XDS.Port = ptr.To(v1alpha1.PortNumber(port)) //nolint:gosec // a port
	s.publish()
	if s.whole {
		changes = append(changes, controlplane.InNamespace)
	}
	controlplane.RunEnvoy(s.T, s.bootstrap(), changes...)
	return controlplane.Through(s.T, port, grpc.WithDisableRetry())
}

// withoutProxy is gRPC's own client.
func withoutProxy(s *stage) grpc.ClientConnInterface {
	s.publish()
	conn := controlplane.Proxyless(s.T, s.bootstrap())
	conn.Connect()
	return conn
}

// bootstrap is that of a client that finds the replicas as it does in a cluster.
func (s *stage) bootstrap() bootstrap.Config {
	s.Helper()
	config := controlplane.Bootstrap(s.T, s.exs.Namespace, s.exs.Name, s.replicas[0])
	config.Servers = []string{s.front.address}
	return config
}

// clients are both kinds.
var clients = map[string]client{"through Envoy": throughEnvoy, "without a proxy": withoutProxy}

func eachClient(t *testing.T, test func(*testing.T, client)) {
	t.Helper()
	for name, connect := range clients {
		t.Run(name, func(t *testing.T) { test(t, connect) })
	}
}

// setting is what differs from stage to stage.
type setting struct {
	// once: the calls may not run twice, which is the default.
	once bool
	// replicas of the xDS server; 0: one.
	replicas int
	// canaries is the number of pods of a canary.
	canaries int
	// whole: an Envoy follows its whole namespace.
	whole bool
	// wire is between the clients and the xDS servers.
	wire wire
	// plane is the configuration of the xDS servers.
	plane controlplane.Config
}

// set sets a stage of three primaries and three backups under the calls of twenty workers.
func set(t *testing.T, connect client, with setting) *stage {
	t.Helper()
	s := prepare(t, with)
	conn := connect(s)
	s.untilAcknowledged()
	s.untilServing(conn)
	s.begin(workers.Start(t, conn, twenty))
	return s
}

// begin is when the workers have begun.
func (s *stage) begin(crew *workers.Crew) {
	s.Helper()
	s.crew = crew
	s.began = time.Now()
	s.crew.Await("calls", steady, by(primary))
}

// prepare is set without clients.
func prepare(t *testing.T, with setting) *stage {
	t.Helper()
	s := &stage{T: t, whole: with.whole, pods: map[string][]*pod{}, exs: &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"},
		Spec: v1alpha1.ExposedServiceSpec{
			XDS:      &v1alpha1.XDS{},
			Backends: []v1alpha1.Backend{{Name: primary}, {Name: backup}},
			Traffic:  &v1alpha1.Traffic{Retry: &v1alpha1.Retry{Idempotent: ptr.To(!with.once)}},
		},
	}}
	if !with.once {
		// As it is decided for calls that are as short as these.
		s.exs.Status.Hedging = &v1alpha1.HedgingStatus{Delay: &metav1.Duration{Duration: 900 * time.Millisecond}}
	}
	s.weigh(map[string]int32{primary: allParts, backup: 0})
	if with.canaries > 0 {
		// As a rollout prepares it: clients know of it before it gets its first call.
		s.weigh(map[string]int32{primary: allParts, canary: 0, backup: 0})
	}
	config := with.plane
	for range max(with.replicas, 1) {
		replica := controlplane.Start(t, config)
		s.replicas = append(s.replicas, replica)
		config.Authority = replica.Authority
	}
	s.front = startFront(t, s.replicas, with.wire)
	for _, backend := range []string{primary, primary, primary, backup, backup, backup} {
		s.add(backend)
	}
	for range with.canaries {
		s.add(canary)
	}
	return s
}

// untilServing waits until an Envoy listens and has checked its endpoints.
func (s *stage) untilServing(conn grpc.ClientConnInterface) {
	s.Helper()
	first := workers.Start(s.T, conn, workers.Config{Workers: 1, Pace: time.Millisecond, Timeout: twenty.Timeout})
	first.Await("the first calls", 50, by(primary))
	first.Stop()
}

// add starts a pod of a backend.
func (s *stage) add(backend string) *pod {
	s.Helper()
	s.made++
	p := startPod(s.T, fmt.Sprintf("%s-%d", backend, s.made))
	s.pods[backend] = append(s.pods[backend], p)
	return p
}

// weigh makes a decision.
func (s *stage) weigh(weights map[string]int32) {
	traffic := &v1alpha1.TrafficStatus{Fallback: backup}
	for name, weight := range weights {
		traffic.Weights = append(traffic.Weights, v1alpha1.BackendWeight{Name: name, Weight: weight})
	}
	s.exs.Status.Traffic = traffic
}

// publish serves what is so now, as every replica of Headgate does.
func (s *stage) publish() {
	s.Helper()
	exposure := resource.Exposure{Service: s.exs, Backends: map[string]resource.Backend{}}
	for name, pods := range s.pods {
		backend := resource.Backend{Port: 50051, Probe: ptr.To(server.ReadinessService)}
		for _, p := range pods {
			backend.Endpoints = append(backend.Endpoints, resource.Endpoint{
				Addresses: []netip.AddrPort{p.address}, Ready: !p.unready && !p.terminating, Serving: !p.unready, Terminating: p.terminating,
			})
		}
		exposure.Backends[name] = backend
	}
	for _, replica := range s.replicas {
		controlplane.Put(s.T, replica.Cache, exposure)
	}
}

// untilAcknowledged waits until the client, on whichever replica, has acknowledged what is published.
func (s *stage) untilAcknowledged() {
	s.Helper()
	s.until("the client is up to date", func() bool {
		clients, live := 0, 0
		for _, replica := range s.replicas {
			status := replica.Cache.Status(s.owner())
			clients, live = clients+status.Clients, live+status.Acked
		}
		return clients == 1 && live == 1
	})
}

// until waits for something that no call tells of.
func (s *stage) until(what string, is func() bool) {
	s.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.Fatalf("waited too long until %s", what)
		}
	}
}

func (s *stage) owner() cache.Owner {
	return cache.Owner{Namespace: s.exs.Namespace, Name: s.exs.Name}
}

// by says whether an application answered well.
func by(backend string) func(workers.Call) bool {
	return func(call workers.Call) bool { return call.Err == nil && isOf(call.Pod, backend) }
}

func isOf(pod, backend string) bool { return strings.HasPrefix(pod, backend+"-") }

// ended ends the calls, and returns those that failed.
func (s *stage) ended() (failed []workers.Call) {
	s.Helper()
	calls := s.crew.Stop()
	failed = workers.Failed(calls)
	s.Logf("%d calls in %.1f s, %d failed", len(calls), time.Since(s.began).Seconds(), len(failed))
	return failed
}

// nothingFailed ends the calls, and fails the test if one of them failed.
func (s *stage) nothingFailed() {
	s.Helper()
	s.noneOf(s.ended())
}

func (s *stage) noneOf(failed []workers.Call) {
	s.Helper()
	if len(failed) > 0 {
		first := failed[0]
		s.Errorf("%d calls failed; the first began after %.3f s and took %s: %v",
			len(failed), first.Began.Sub(s.began).Seconds(), first.Ended.Sub(first.Began), first.Err)
	}
}
