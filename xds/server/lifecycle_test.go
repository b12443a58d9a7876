package server

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	client "github.com/envoyproxy/go-control-plane/pkg/client/sotw/v3"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	testclock "k8s.io/utils/clock/testing"

	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/cache"
)

func TestGoControlPlanesClientAcksAndNacks(t *testing.T) {
	r := start(t, nil)
	r.set(clusterOf(t, "shop/greeter", time.Second), assignmentOf("shop/greeter"))
	p := r.authority.Workload("shop")
	c := client.NewADSClient(t.Context(), shopNode, cache.Clusters.URL())
	if err := c.InitConnect(r.dial(p)); err != nil {
		t.Fatal(err)
	}
	fetch := func(want int) {
		t.Helper()
		response, err := c.Fetch()
		if err != nil || len(response.Resources) != want {
			t.Fatalf("%v, %v: want %d resources", response, err, want)
		}
	}
	fetch(1)
	if err := c.Ack(); err != nil {
		t.Fatal(err)
	}
	r.awaitLive(1)
	r.set(clusterOf(t, "shop/greeter", 2*time.Second), assignmentOf("shop/greeter"))
	fetch(1)
	if err := c.Nack("not like this"); err != nil {
		t.Fatal(err)
	}
	refusals := r.awaitStatus("refused", func(s cache.Status) bool { return s.Nacked == 1 })
	if len(refusals) == 0 || refusals[0].Message != "not like this" || refusals[0].Node != shopNode.GetId() {
		t.Errorf("refusals: %+v", refusals)
	}
	r.set(clusterOf(t, "shop/greeter", 3*time.Second), assignmentOf("shop/greeter"))
	fetch(1)
	if err := c.Ack(); err != nil {
		t.Fatal(err)
	}
	r.awaitLive(1)
}

func TestIncrementalClientsResumeOverTheWire(t *testing.T) {
	r := start(t, nil)
	r.set(forClients(t, tier{})...)
	p := r.authority.Workload("shop")
	first := openDelta(t, r.dial(p))
	if err := first.Send(&discovery.DeltaDiscoveryRequest{Node: shopNode, TypeUrl: cache.Clusters.URL()}); err != nil {
		t.Fatal(err)
	}
	response, err := first.Recv()
	if err != nil || len(response.GetResources()) != 1 {
		t.Fatalf("%v, %v", response, err)
	}
	known := map[string]string{"gone": "1", "shop/greeter": response.GetResources()[0].GetVersion()}
	again := openDelta(t, r.dial(p))
	if err := again.Send(&discovery.DeltaDiscoveryRequest{Node: shopNode, TypeUrl: cache.Clusters.URL(), InitialResourceVersions: known}); err != nil {
		t.Fatal(err)
	}
	var removed []string
	for len(removed) == 0 {
		response, err := again.Recv()
		if err != nil || len(response.GetResources()) > 0 {
			t.Fatalf("%v, %v: nothing is new", response, err)
		}
		if err := again.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: cache.Clusters.URL(), ResponseNonce: response.GetNonce()}); err != nil {
			t.Fatal(err)
		}
		removed = response.GetRemovedResources()
	}
	if len(removed) != 1 || removed[0] != "gone" {
		t.Errorf("removed: %v", removed)
	}
}

// TestTheEndOfTheCertificateIsSaid starts a server with a certificate that has ended by its clock.
func TestTheEndOfTheCertificateIsSaid(t *testing.T) {
	r := start(t, func(c *Config) { c.Clock = testclock.NewFakeClock(time.Now().Add(2 * time.Hour)) })
	if n := r.logged.await(t, "has ended on", "renew it"); n != 1 {
		t.Errorf("said %d times:\n%s", n, r.logged)
	}
	for _, of := range []string{"server", "client-ca"} {
		var metric dto.Metric
		if err := r.metrics.expiry.WithLabelValues(of).Write(&metric); err != nil {
			t.Fatal(err)
		}
		ends := time.Unix(int64(metric.GetGauge().GetValue()), 0)
		if left := time.Until(ends); left < 50*time.Minute || left > time.Hour {
			t.Errorf("%s ends in %v, and certificates of the test are valid for an hour", of, left)
		}
	}
}

func TestCertificatesAreTakenUp(t *testing.T) {
	clk := testclock.NewFakeClock(time.Now())
	var files Files
	r := start(t, func(c *Config) { c.Clock, files = clk, c.Files })
	r.set(forClients(t, tier{})...)
	old := r.authority.Workload("shop")
	if _, err := firstResponse(t, r.dial(old), shopNode, cache.Clusters.URL()); err != nil {
		t.Fatal(err)
	}
	next := pki.NewAuthority(t)
	own := next.Server()
	copyFile(t, own.Certificate, files.Certificate)
	tick(t, clk, r, "Keeping the certificates") // the key does not fit yet
	// The key comes last: the server may read between two of these lines, and takes up what fits together.
	copyFile(t, next.ClientCA, files.ClientCAs)
	copyFile(t, own.Key, files.Key)
	tick(t, clk, r, "New certificates")

	if _, err := firstResponse(t, r.dial(old), shopNode, cache.Clusters.URL()); status.Code(err) != codes.Unavailable {
		t.Errorf("a client of the old authority: %v", err)
	}
	r.authority = next
	fresh := next.Workload("shop")
	if _, err := firstResponse(t, r.dial(fresh), shopNode, cache.Clusters.URL()); err != nil {
		t.Errorf("a client of the new authority: %v", err)
	}
}

// tick lets time pass until the server has said something.
func tick(t *testing.T, clk *testclock.FakeClock, r *running, said string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for r.logged.count(said) == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("the server does not say %q:\n%s", said, r.logged)
		}
		clk.Step(reloadInterval)
		runtime.Gosched()
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheEndSendsClientsAwayAndLeavesNothing(t *testing.T) {
	r := start(t, func(c *Config) { c.Health, c.Reflection = true, true })
	r.set(forClients(t, tier{})...)
	p := r.authority.Workload("shop")
	conn := r.dial(p)
	stream := openSotW(t, conn)
	if err := stream.Send(&discovery.DiscoveryRequest{Node: shopNode, TypeUrl: cache.Clusters.URL()}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > r.config.Keepalive.Drain {
		t.Errorf("the end took %v", took)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v", err)
	}
	if s := r.cache.Status(greeter); s.Clients != 0 {
		t.Errorf("the cache still knows clients: %+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for left := ours(); left != ""; left = ours() {
		select {
		case <-ctx.Done():
			t.Fatalf("goroutines of the server are left:\n%s", left)
		case <-tick.C:
		}
	}
}

// TestTheEndComesToOneClientAfterTheOther looks at when streams end, and whether those that are left are served meanwhile.
func TestTheEndComesToOneClientAfterTheOther(t *testing.T) {
	const clients = 200
	r := start(t, func(c *Config) { c.Limits.StreamsPerConnection = clients })
	r.set(forClients(t, tier{})...)
	conn := r.dial(r.authority.Workload("shop"))
	ends := make(chan time.Time, clients)
	for range clients {
		stream := openSotW(t, conn)
		if err := stream.Send(&discovery.DiscoveryRequest{Node: shopNode, TypeUrl: cache.Clusters.URL()}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				if _, err := stream.Recv(); err != nil {
					ends <- time.Now()
					return
				}
			}
		}()
	}
	begun := time.Now()
	r.stop()
	var first, last time.Duration
	for n := range clients {
		at := (<-ends).Sub(begun)
		if n == 0 {
			first = at
		}
		last = max(last, at)
	}
	t.Logf("%d streams ended between %v and %v after the end had begun", clients, first, last)
	if spread := clients * drainInterval; last-first < spread/2 || last > r.config.Keepalive.Drain {
		t.Errorf("they should be spread over %v", spread)
	}
}

// TestWhoIsThereDoesNotWaitForWhoComes has all places for new clients taken.
func TestWhoIsThereDoesNotWaitForWhoComes(t *testing.T) {
	r := start(t, nil)
	notices := r.neighbour()
	for range arrivalsAtOnce {
		r.arrivals <- struct{}{}
	}
	came := make(chan error, 1)
	conn := r.dial(r.authority.Workload("shop"))
	go func() {
		_, err := firstResponse(t, conn, shopNode, cache.Clusters.URL())
		came <- err
	}()
	notices()
	select {
	case err := <-came:
		t.Errorf("a client that came did not wait for its turn: %v", err)
	default:
	}
	for range arrivalsAtOnce {
		<-r.arrivals
	}
	if err := <-came; err != nil {
		t.Error(err)
	}
}

// ours are the stacks of goroutines that run this package's code, the test's own aside.
func ours() string {
	buffer := make([]byte, 1<<20)
	buffer = buffer[:runtime.Stack(buffer, true)]
	var left []string
	for stack := range strings.SplitSeq(string(buffer), "\n\n") {
		if strings.Contains(stack, "headgate/xds/") && !strings.Contains(stack, "testing.tRunner") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
