package server

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/headgate/headgate/test/pki"
	"github.com/headgate/headgate/xds/cache"
)

var greeter = cache.Owner{Namespace: "shop", Name: "greeter"}

// running is a server that a test runs.
type running struct {
	*Server

	t         testing.TB
	cache     *cache.Cache
	observer  *cache.Observer // from the beginning, so that it misses nothing
	authority *pki.Authority
	address   string
	logged    *lines
	stop      func()
}

// start runs a server with a synced cache on a loopback port until the test ends. It serves when start returns.
func start(t testing.TB, change func(*Config)) *running {
	t.Helper()
	r := &running{t: t, cache: cache.New(cache.Config{}), authority: pki.NewAuthority(t), logged: &lines{}}
	r.observer = r.cache.Observe()
	t.Cleanup(r.observer.Close)
	r.cache.Synced()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = listener.Addr().String()
	own := r.authority.Server()
	config := Config{
		Cache:    r.cache,
		Listener: listener,
		Files:    Files{Certificate: own.Certificate, Key: own.Key, ClientCAs: r.authority.ClientCA},
		Log:      r.logged.logger(),
	}
	if change != nil {
		change(&config)
	}
	if r.Server, err = New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.Start(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(r.stop)
	r.logged.await(t, "Serving xDS") // it has read its certificates, which clients that are replicas need
	return r
}

// dial connects with a certificate, or without one.
func (r *running) dial(p pki.Pair, options ...grpc.DialOption) *grpc.ClientConn {
	r.t.Helper()
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(r.authority.TLS(p)))}, options...)
	conn, err := grpc.NewClient(r.address, options...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// set gives the greeter its resources.
func (r *running) set(resources ...cache.Resource) string {
	r.t.Helper()
	version, err := r.cache.Set(greeter, resources)
	if err != nil {
		r.t.Fatal(err)
	}
	return version
}

// awaitStatus waits until the status of the greeter is as it should be. It looks whenever something changes.
func (r *running) awaitStatus(what string, ok func(cache.Status) bool) []cache.Nack {
	r.t.Helper()
	var refusals []cache.Nack
	deadline := time.After(20 * time.Second)
	for {
		right := ok(r.cache.Status(greeter))
		for _, event := range r.observer.Take() { // also those that made it right
			refusals = append(refusals, event.Nacks...)
		}
		if right {
			return refusals
		}
		select {
		case <-r.observer.Ready():
		case <-deadline:
			r.t.Fatalf("%s: still %+v, refusals %+v, log:\n%s", what, r.cache.Status(greeter), refusals, r.logged)
		}
	}
}

// awaitLive waits until n clients use the greeter and all have acknowledged it.
func (r *running) awaitLive(n int) {
	r.t.Helper()
	r.awaitStatus("live", func(s cache.Status) bool { return s.Clients == n && s.Acked == n })
}

// lines are what a server logs.
type lines struct {
	mu    sync.Mutex
	lines []string
}

func (l *lines) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, prefix+args)
	}, funcr.Options{})
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// await waits until a line has all of the words, and counts those that do: gRPC may tell a client why its stream ends
// before the server has been told.
func (l *lines) await(t testing.TB, words ...string) int {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for l.count(words...) == 0 {
		select {
		case <-tick.C:
		case <-deadline:
			return 0
		}
	}
	return l.count(words...)
}

// count counts the lines that have all of the words.
func (l *lines) count(words ...string) int {
	n := 0
	for line := range strings.SplitSeq(l.String(), "\n") {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			n++
		}
	}
	return n
}
