package loadreport_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headgate/headgate/test/controlplane"
	"github.com/headgate/headgate/test/grpcapp/greeter"
	"github.com/headgate/headgate/xds/bootstrap"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/loadreport"
	"github.com/headgate/headgate/xds/server"
)

const (
	// interval of reports in tests.
	interval = 50 * time.Millisecond
	// patience is how long something may take that does happen.
	patience = 20 * time.Second
)

// replica is a control plane that takes load reports.
type replica struct {
	*controlplane.ControlPlane

	t     *testing.T
	loads *loadreport.Server
	// received is told of each report, and of the end of each client.
	received chan struct{}
}

func startReplica(t *testing.T, c controlplane.Config) *replica {
	t.Helper()
	r := &replica{t: t, received: make(chan struct{}, 1)}
	if c.Cache == nil {
		c.Cache = controlplane.NewCache()
	}
	r.loads = loadreport.New(loadreport.Config{Cache: c.Cache, Interval: interval, Idle: interval})
	change := c.Change
	c.Change = func(config *server.Config) {
		config.Register = func(registrar grpc.ServiceRegistrar) { r.loads.Register(watched{registrar, r.received}) }
		if change != nil {
			change(config)
		}
	}
	r.ControlPlane = controlplane.Start(t, c)
	return r
}

// await waits until what clients have reported is as it should be. It looks whenever there is a report.
func (r *replica) await(what string, ok func(loadreport.Reading) bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for !ok(r.loads.Read("shop", "greeter")) {
		select {
		case <-r.received:
		case <-deadline:
			r.t.Fatalf("%s: still %+v", what, r.loads.Read("shop", "greeter"))
		}
	}
}

// awaitReport waits until there is a report, whatever it says.
func (r *replica) awaitReport() {
	r.t.Helper()
	select {
	case <-r.received:
	case <-time.After(patience):
		r.t.Fatal("no client reports")
	}
}

// watched is a registrar whose streams tell of what they receive.
type watched struct {
	grpc.ServiceRegistrar

	received chan struct{}
}

func (w watched) RegisterService(description *grpc.ServiceDesc, implementation any) {
	streams := append([]grpc.StreamDesc{}, description.Streams...)
	for i, stream := range streams {
		streams[i].Handler = func(implementation any, str grpc.ServerStream) error {
			defer w.tell() // when the client is forgotten
			return stream.Handler(implementation, watchedStream{str, w.tell})
		}
	}
	with := *description
	with.Streams = streams
	w.ServiceRegistrar.RegisterService(&with, implementation)
}

func (w watched) tell() {
	select {
	case w.received <- struct{}{}:
	default:
	}
}

type watchedStream struct {
	grpc.ServerStream

	received func()
}

func (s watchedStream) RecvMsg(message any) error {
	err := s.ServerStream.RecvMsg(message)
	s.received()
	return err
}

// Names that the greeter does not greet.
const (
	failAtOnce = "fail at once"
	failLater  = "fail after the headers"
	neverEnd   = "do not answer"
)

// backend fails the calls that ask for it.
type backend struct {
	greeter.UnimplementedGreeterServer
}

func (backend) SayHello(ctx context.Context, request *greeter.HelloRequest) (*greeter.HelloReply, error) {
	switch request.GetName() {
	case failAtOnce:
		return nil, status.Error(codes.Internal, "as asked")
	case failLater:
		if err := grpc.SendHeader(ctx, nil); err != nil {
			return nil, err
		}
		return nil, status.Error(codes.Internal, "as asked, in trailers")
	case neverEnd:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &greeter.HelloReply{Message: "Hello " + request.GetName()}, nil
}

// startBackend serves greetings on loopback.
func startBackend(t *testing.T) (address string, stop func()) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	greeter.RegisterGreeterServer(s, backend{})
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
	// Calls that come too late are told so, and are made again.
	return listener.Addr().String(), s.GracefulStop
}

// exposeGreeter has a primary and a backup, and a port for Envoys.
func exposeGreeter(t *testing.T, c *cache.Cache) (port int, stopPrimary func()) {
	t.Helper()
	primary, stop := startBackend(t)
	backup, _ := startBackend(t)
	// Nothing that listens may come after this.
	port = controlplane.FreePort(t)
	controlplane.Serve(t, c, controlplane.Exposed{
		Namespace: "shop", Name: "greeter", Port: port, Order: []string{"primary", "backup"},
		Addresses: map[string][]string{"primary": {primary}, "backup": {backup}},
	})
	return port, stop
}

// bootstrapOf is that of a client in namespace shop, for replicas in order of preference.
func bootstrapOf(t *testing.T, replicas ...*replica) bootstrap.Config {
	t.Helper()
	planes := make([]*controlplane.ControlPlane, len(replicas))
	for i, r := range replicas {
		planes[i] = r.ControlPlane
	}
	return controlplane.Bootstrap(t, "shop", "greeter", planes...)
}

// callAll calls with each name, and says what came of it.
func callAll(t *testing.T, conn *grpc.ClientConn, names ...string) loadreport.Totals {
	t.Helper()
	client := greeter.NewGreeterClient(conn)
	var seen loadreport.Totals
	for _, name := range names {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := client.SayHello(ctx, &greeter.HelloRequest{Name: name}, grpc.WaitForReady(true))
		cancel()
		seen.Issued++
		switch {
		case err == nil:
			seen.Succeeded++
		case strings.Contains(err.Error(), "as asked"):
			seen.Failed++
		default:
			t.Fatalf("call: %v", err)
		}
	}
	return seen
}

// hang makes a call that does not end before it is given up, and sees both reported.
func (r *replica) hang(conn *grpc.ClientConn) {
	r.t.Helper()
	ctx, giveUp := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = greeter.NewGreeterClient(conn).SayHello(ctx, &greeter.HelloRequest{Name: neverEnd}, grpc.WaitForReady(true))
	}()
	r.await("the call", func(reading loadreport.Reading) bool {
		return reading.InFlight["primary"] == 1 && reading.TellsInFlight
	})
	giveUp()
	<-ended
	r.await("its end", func(reading loadreport.Reading) bool { return reading.InFlight["primary"] == 0 && reading.Heard })
}

// mixed are so many names, of which three in ten fail, in both ways.
func mixed(calls int) []string {
	names := make([]string, calls)
	for i := range names {
		switch i % 10 {
		case 3:
			names[i] = failAtOnce
		case 6, 9:
			names[i] = failLater
		default:
			names[i] = "world"
		}
	}
	return names
}
