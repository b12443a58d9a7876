package server

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

// workers is how many call at once.
const workers = 20

// load is workers that call without a pause, and what they saw.
type load struct {
	failed   atomic.Int64
	calls    atomic.Int64
	mu       sync.Mutex
	first    map[string]time.Time // end of the first call by who answered it
	last     map[string]time.Time // start of the last call
	problems []error
	begun    []time.Time // when each call that failed began
}

func startLoad(t *testing.T, conn *grpc.ClientConn) (*load, func()) {
	t.Helper()
	l := &load{first: map[string]time.Time{}, last: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			pace := time.NewTicker(5 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-pace.C:
					l.call(ctx, conn)
				}
			}
		})
	}
	return l, func() { cancel(); running.Wait() }
}

func (l *load) call(ctx context.Context, conn *grpc.ClientConn) {
	begun := time.Now()
	var p peer.Peer
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Peer(&p))
	if ctx.Err() != nil {
		return
	}
	l.calls.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed.Add(1)
		l.problems = append(l.problems, err)
		l.begun = append(l.begun, begun)
		return
	}
	who := p.Addr.String()
	if l.first[who].IsZero() {
		l.first[who] = time.Now()
	}
	l.last[who] = begun
}

// since waits for the first call that any of the addresses answered, and says how long after it that was.
func (l *load) since(t *testing.T, start time.Time, addresses []string) time.Duration {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		<-tick.C
		l.mu.Lock()
		var first time.Time
		for _, a := range addresses {
			if at := l.first[a]; !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		l.mu.Unlock()
		if !first.IsZero() {
			return first.Sub(start)
		}
	}
	t.Fatalf("nobody of %v answered; problems %v", addresses, l.problems)
	return 0
}

// lastOn is how long after start the last call began that one of the addresses answered.
func (l *load) lastOn(start time.Time, addresses []string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last time.Time
	for _, a := range addresses {
		if l.last[a].After(last) {
			last = l.last[a]
		}
	}
	return last.Sub(start)
}

func TestProxylessFailsOverWhenAllPrimariesDie(t *testing.T) {
	r := start(t, nil)
	primaries, primaryAddresses := startBackends(t, 3)
	_, backups := startBackends(t, 3)
	r.set(forClients(t, tier{addresses: primaryAddresses}, tier{addresses: backups})...)
	conn := r.proxyless("xds:///greeter.shop", r.authority.Workload("shop"))
	l, stop := startLoad(t, conn)
	l.since(t, time.Now(), primaryAddresses)
	r.awaitLive(1)
	killed := time.Now()
	for _, p := range primaries {
		p.kill()
	}
	dead := time.Now()
	took := l.since(t, killed, backups)
	stop()
	t.Logf("%d calls, %d failed; first success on a backup %v after the kill", l.calls.Load(), l.failed.Load(), took)
	// gRPC does not make a call again whose answer has begun to arrive when the server dies.
	if l.failed.Load() > workers {
		t.Errorf("%d calls failed, more than can have been in flight: %v", l.failed.Load(), l.problems)
	}
	for i, begun := range l.begun {
		if begun.After(dead) {
			t.Errorf("a call failed that began %v after the primaries were dead: %v", begun.Sub(dead), l.problems[i])
		}
	}
	if took > time.Second {
		t.Errorf("the first success on a backup came %v after the kill", took)
	}
}

func TestProxylessFollowsTheDecision(t *testing.T) {
	r := start(t, nil)
	_, primaries := startBackends(t, 3)
	_, backups := startBackends(t, 3)
	r.set(forClients(t, tier{addresses: primaries}, tier{addresses: backups})...)
	conn := r.proxyless("xds:///greeter.shop", r.authority.Workload("shop"))
	l, stop := startLoad(t, conn)
	l.since(t, time.Now(), primaries)
	r.awaitLive(1)
	flipped := time.Now()
	r.set(forClients(t, tier{primaries, core.HealthStatus_UNHEALTHY}, tier{addresses: backups})...)
	took := l.since(t, flipped, backups)
	r.awaitLive(1)
	acknowledged := time.Since(flipped)
	stop()
	last := l.lastOn(flipped, primaries)
	t.Logf("%d calls, %d failed; last call on a primary %v, first success on a backup %v, acknowledged %v after the decision",
		l.calls.Load(), l.failed.Load(), last, took, acknowledged)
	if l.failed.Load() > 0 {
		t.Errorf("%d calls failed: %v", l.failed.Load(), l.problems)
	}
	if last > time.Second {
		t.Errorf("the last call on a primary began %v after the decision", last)
	}
}
