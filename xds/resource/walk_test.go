package resource_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/resource"
)

// TestGRPCClientWalks has grpc-go follow decision after decision under calls, of which none may fail.
func TestGRPCClientWalks(t *testing.T) {
	s := newScene(t)
	s.walk(t, connect(t, resolverBuilder(t, s.ads), "greeter.shop"))
}

// TestEnvoyWalks is the same walk through a real Envoy, and what only Envoy can do without its control plane.
func TestEnvoyWalks(t *testing.T) {
	s := newScene(t)
	startEnvoy(t, s.ads)
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", s.port),
		grpc.WithAuthority("greeter.example.com:9090"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s.walk(t, conn)

	t.Run("a held-back primary is the net when nobody is at the controls", func(t *testing.T) {
		s.decide(t, decided(map[string]int32{"primary": 1, "backup": allParts - 1}, "primary"))
		awaitRun(t, conn, "backup")
		s.servers["backup"].crash()
		awaitRun(t, conn, "primary")
	})
}

// step is a decision, and who is to have which share of the calls after it.
type step struct {
	name   string
	status v1alpha1.ExposedServiceStatus
	// unready are the backends that are not ready.
	unready []string
	want    map[string]float64
	// gently is the backend that is to get more of the calls, and never for a moment all of them.
	gently string
}

func steps() []step {
	ramp := func(to string, trial bool, weights map[string]int32) v1alpha1.ExposedServiceStatus {
		status := decided(weights, "backup")
		status.Failover = &v1alpha1.FailoverStatus{State: &v1alpha1.DeciderState{Ramp: &v1alpha1.RampState{To: to, Trial: trial}}}
		return status
	}
	primary := decided(map[string]int32{"primary": allParts, "backup": 0}, "backup")
	return []step{
		{name: "the primary serves", status: primary, want: map[string]float64{"primary": 1}},
		{name: "the primary is unready, nothing is decided", status: primary, unready: []string{"primary"}, want: map[string]float64{"backup": 1}},
		{name: "the backup serves", status: decided(map[string]int32{"primary": 0, "backup": allParts}, "primary"), unready: []string{"primary"}, want: map[string]float64{"backup": 1}},
		{name: "the primary is ready and held back", status: decided(map[string]int32{"primary": 1, "backup": allParts - 1}, "primary"), want: map[string]float64{"backup": 1}},
		{name: "a tenth goes back", status: ramp("primary", false, map[string]int32{"primary": 100_000, "backup": 900_000}), want: map[string]float64{"primary": 0.1, "backup": 0.9}, gently: "primary"},
		{name: "most goes back", status: ramp("primary", false, map[string]int32{"primary": 600_000, "backup": 400_000}), want: map[string]float64{"primary": 0.6, "backup": 0.4}, gently: "primary"},
		{name: "handed back", status: primary, want: map[string]float64{"primary": 1}},
		{name: "the backup is tried", status: ramp("backup", true, map[string]int32{"primary": 800_000, "backup": 200_000}), want: map[string]float64{"primary": 0.8, "backup": 0.2}, gently: "backup"},
		{name: "it did no better", status: primary, want: map[string]float64{"primary": 1}},
		{name: "a canary waits", status: decided(map[string]int32{"primary": allParts, "canary": 0, "backup": 0}, "backup"), want: map[string]float64{"primary": 1}},
		{name: "a canary has a quarter", status: decided(map[string]int32{"primary": 750_000, "canary": 250_000, "backup": 0}, "backup"), want: map[string]float64{"primary": 0.75, "canary": 0.25}, gently: "canary"},
		{name: "the canary is gone, its share is not", status: decided(map[string]int32{"primary": 750_000, "canary": 250_000, "backup": 0}, "backup"), unready: []string{"canary"}, want: map[string]float64{"primary": 1}},
		{name: "the canary has everything", status: decided(map[string]int32{"primary": 0, "canary": allParts, "backup": 0}, "backup"), want: map[string]float64{"canary": 1}},
		{name: "the canary has had its last call", status: decided(map[string]int32{"primary": allParts, "canary": 0, "backup": 0}, "backup"), want: map[string]float64{"primary": 1}},
		{name: "the rollout is over", status: primary, want: map[string]float64{"primary": 1}},
		{name: "pinned to the backup", status: decided(map[string]int32{"primary": 0, "backup": allParts}, ""), want: map[string]float64{"backup": 1}},
		{name: "the pin is gone", status: primary, want: map[string]float64{"primary": 1}},
		{name: "nobody is ready but who must not serve", status: decided(map[string]int32{"primary": 0, "backup": allParts}, ""), unready: []string{"backup"}, want: map[string]float64{"primary": 1}},
	}
}

func decided(weights map[string]int32, fallback string) v1alpha1.ExposedServiceStatus {
	traffic := &v1alpha1.TrafficStatus{Fallback: fallback}
	for name, weight := range weights {
		traffic.Weights = append(traffic.Weights, v1alpha1.BackendWeight{Name: name, Weight: weight})
	}
	return v1alpha1.ExposedServiceStatus{Traffic: traffic}
}

// scene is an ExposedService with live backends, and its resources on a server.
type scene struct {
	exs     v1alpha1.ExposedService
	servers map[string]*servers
	port    uint16
	ads     *ads
}

func newScene(t *testing.T) *scene {
	t.Helper()
	port := freePort(t)
	s := &scene{
		port: port,
		exs: v1alpha1.ExposedService{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"},
			Spec: v1alpha1.ExposedServiceSpec{
				Hostnames: []v1alpha1.Hostname{"greeter.example.com"},
				XDS:       &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(port))},
				Backends:  []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}},
				Failover:  &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "5"}},
			},
			Status: steps()[0].status,
		},
		servers: map[string]*servers{
			"primary": startServers(t, "primary", 2), "backup": startServers(t, "backup", 2), "canary": startServers(t, "canary", 1),
		},
	}
	s.ads = serve(t, s.build(nil))
	return s
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return netip.MustParseAddrPort(listener.Addr().String()).Port()
}

func (s *scene) build(unready []string) []resource.Resource {
	e := resource.Exposure{Service: &s.exs, Backends: map[string]resource.Backend{}}
	for name, servers := range s.servers {
		e.Backends[name] = servers.backend(!slices.Contains(unready, name))
	}
	return resource.Build([]resource.Exposure{e}).Resources
}

func (s *scene) decide(t *testing.T, status v1alpha1.ExposedServiceStatus, unready ...string) {
	t.Helper()
	s.exs.Status = status
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.ads.replace(ctx, s.build(unready)); err != nil {
		t.Fatal(err)
	}
}

// walk goes through the steps under calls.
func (s *scene) walk(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	awaitRun(t, conn, "primary")
	callers := startCallers(t, conn, 4)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var streams []healthv1.Health_WatchClient
	for _, step := range steps() {
		t.Run(step.name, func(t *testing.T) {
			// Opened before the step, in the share that the backends have until then.
			streams = append(streams, openStreams(ctx, t, conn)...)
			callers.forget()
			s.decide(t, step.status, step.unready...)
			if err := callers.settle(t.Context(), step.want); err != nil {
				t.Error(err)
			}
			if run := callers.longestRun(step.gently); run > mostInARow {
				t.Errorf("%s got %d calls in a row", step.gently, run)
			}
		})
	}
	if err := callers.stop(); err != nil {
		t.Errorf("a call failed: %v", err)
	}
	for _, servers := range s.servers {
		for _, checks := range servers.health {
			checks.SetServingStatus(streamed, healthv1.HealthCheckResponse_SERVING)
		}
	}
	for i, stream := range streams {
		if update, err := stream.Recv(); err != nil || update.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("a stream from before step %d has ended: %v, %v", i/streamsPerStep, update, err)
		}
	}
}

const (
	// streamed is what the streams watch; nobody checks it.
	streamed       = "streamed"
	streamsPerStep = 8
)

func openStreams(ctx context.Context, t *testing.T, conn *grpc.ClientConn) []healthv1.Health_WatchClient {
	t.Helper()
	out := make([]healthv1.Health_WatchClient, streamsPerStep)
	for i := range out {
		stream, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{Service: streamed})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		out[i] = stream
	}
	return out
}

// ask makes one call, and says whose endpoint answered.
func ask(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	var header metadata.MD
	_, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}, grpc.Header(&header), grpc.WaitForReady(false))
	if err != nil {
		return "", err
	}
	return fmt.Sprint(header.Get(servedBy)), nil
}

// awaitRun waits until a hundred calls in a row are answered by one backend. Before that they may fail.
func awaitRun(t *testing.T, conn *grpc.ClientConn, backend string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	last := ""
	for run := 0; run < 100; run++ {
		name, err := ask(ctx, conn)
		if ctx.Err() != nil {
			t.Fatalf("%s does not serve; the last answer was %s, %v", backend, last, err)
		}
		if last = name; err != nil || name != "["+backend+"]" {
			run = -1
		}
	}
}

// window is how many of the last calls are looked at.
const window = 1000

// callers make calls all the time.
type callers struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	answers []string
	more    chan struct{}
	failed  error
}

func startCallers(t *testing.T, conn *grpc.ClientConn, count int) *callers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &callers{cancel: cancel, more: make(chan struct{})}
	for range count {
		c.done.Go(func() {
			for ctx.Err() == nil {
				name, err := ask(ctx, conn)
				if ctx.Err() == nil {
					c.note(name, err)
				}
			}
		})
	}
	t.Cleanup(func() { _ = c.stop() })
	return c
}

func (c *callers) note(name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
	c.answers = append(c.answers, name)
	close(c.more)
	c.more = make(chan struct{})
}

func (c *callers) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = nil
}

// mostInARow is more than chance gives to a backend with at most six calls in ten: its probability is below 1e-13.
const mostInARow = 60

// longestRun is the greatest number of calls in a row that one backend got.
func (c *callers) longestRun(backend string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	longest, run := 0, 0
	for _, name := range c.answers {
		run++
		if name != "["+backend+"]" {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

func (c *callers) stop() error {
	c.cancel()
	c.done.Wait()
	return c.failed
}

// settle waits until the last calls went where they are to go.
func (c *callers) settle(ctx context.Context, want map[string]float64) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		c.mu.Lock()
		more, failed := c.more, c.failed
		shares := sharesIn(c.answers)
		c.mu.Unlock()
		if failed != nil {
			return fmt.Errorf("a call failed: %w", failed)
		}
		if near(shares, want) {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("the shares are %v, want %v", shares, want)
		}
	}
}

// sharesIn are the shares in the last calls, once there are enough.
func sharesIn(answers []string) map[string]float64 {
	if len(answers) < window {
		return nil
	}
	out := map[string]float64{}
	for _, name := range answers[len(answers)-window:] {
		out[name] += 1.0 / window
	}
	return out
}

// near: whoever is to have all has all, and who shares has its share but for chance: four standard deviations are
// 0.06 of a half in a thousand calls.
func near(have, want map[string]float64) bool {
	if len(have) != len(want) {
		return false
	}
	for name, share := range want {
		if d := have["["+name+"]"] - share; d > 0.06 || d < -0.06 {
			return false
		}
	}
	return true
}
