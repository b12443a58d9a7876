package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// remote is a server in a process of its own.
type remote struct {
	address string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

func startRemote(kind kind, services int, dir string) *remote {
	r := &remote{command: exec.Command(os.Args[0], "-serve", kind.name, "-services", fmt.Sprint(services), "-certificates", dir)} //nolint:gosec,noctx // itself
	r.command.Stderr = os.Stderr
	var err error
	r.in, err = r.command.StdinPipe()
	must(err)
	out, err := r.command.StdoutPipe()
	must(err)
	r.out = bufio.NewReader(out)
	must(r.command.Start())
	r.address = r.line()
	return r
}

func (r *remote) line() string {
	text, err := r.out.ReadString('\n')
	must(err)
	return strings.TrimSpace(text)
}

func (r *remote) say(format string, args ...any) string {
	_, err := fmt.Fprintf(r.in, format+"\n", args...)
	must(err)
	return r.line()
}

func (r *remote) change(service, revision int) { r.say("change %d %d", service, revision) }

// use is what a process has used and uses.
type use struct {
	cpu            time.Duration
	resident, heap int64
}

func (r *remote) usage() (u use) {
	_, err := fmt.Sscan(r.say("usage"), &u.cpu, &u.resident, &u.heap)
	must(err)
	return u
}

func (r *remote) end() {
	_ = r.in.Close()
	_ = r.command.Wait()
}

// fleet are clients on connections of their own.
type fleet struct {
	ctx    context.Context //nolint:containedctx // they live as long
	end    context.CancelFunc
	all    sync.WaitGroup
	lag    []time.Duration
	begun  atomic.Int64 // of the change that is waited for
	want   atomic.Int64
	done   chan struct{}
	errors atomic.Int64
}

// slowly is how long a slow client takes for each response.
const slowly = 100 * time.Millisecond

// dial connects clients that follow names, and waits until each has all of them. The first of them are slow.
func dial(address string, creds credentials.TransportCredentials, delta bool, clients, slow int, names []string) *fleet {
	f := &fleet{lag: make([]time.Duration, clients)}
	f.ctx, f.end = context.WithCancel(context.Background())
	f.expect(clients - slow)
	for i := range clients {
		f.all.Go(func() { f.run(i, address, creds, delta, i < slow, names) })
	}
	if slow < clients {
		<-f.done
	}
	return f
}

// expect waits for the next response to so many clients.
func (f *fleet) expect(clients int) {
	f.done = make(chan struct{})
	f.begun.Store(time.Now().UnixNano())
	f.want.Store(int64(clients))
}

func (f *fleet) got(client int) {
	f.lag[client] = time.Duration(time.Now().UnixNano() - f.begun.Load())
	if f.want.Add(-1) == 0 {
		close(f.done)
	}
}

func (f *fleet) stop() {
	f.end()
	f.all.Wait()
}

func (f *fleet) run(client int, address string, creds credentials.TransportCredentials, delta, slow bool, names []string) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(creds))
	must(err)
	defer func() { _ = conn.Close() }()
	node := &core.Node{Id: fmt.Sprintf("client-%d", client), Cluster: "shop"}
	ads := discovery.NewAggregatedDiscoveryServiceClient(conn)
	left := len(names)
	took := func(resources int) {
		if slow {
			time.Sleep(slowly) // this is what it is there for
			return
		}
		if left -= resources; resources > 0 && left <= 0 {
			f.got(client)
		}
	}
	if delta {
		f.ended(f.runDelta(ads, node, names, took))
	} else {
		f.ended(f.runSotW(ads, node, names, took))
	}
}

func (f *fleet) runDelta(ads discovery.AggregatedDiscoveryServiceClient, node *core.Node, names []string, took func(resources int)) error {
	stream, err := ads.DeltaAggregatedResources(f.ctx)
	if err != nil {
		return err
	}
	request := &discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: resource.EndpointType, ResourceNamesSubscribe: names}
	for {
		if err := stream.Send(request); err != nil {
			return err
		}
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		took(len(response.GetResources()))
		request = &discovery.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResponseNonce: response.GetNonce()}
	}
}

func (f *fleet) runSotW(ads discovery.AggregatedDiscoveryServiceClient, node *core.Node, names []string, took func(resources int)) error {
	stream, err := ads.StreamAggregatedResources(f.ctx)
	if err != nil {
		return err
	}
	request := &discovery.DiscoveryRequest{Node: node, TypeUrl: resource.EndpointType, ResourceNames: names}
	for {
		if err := stream.Send(request); err != nil {
			return err
		}
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		took(len(response.GetResources()))
		request = &discovery.DiscoveryRequest{
			TypeUrl: resource.EndpointType, ResponseNonce: response.GetNonce(), VersionInfo: response.GetVersionInfo(), ResourceNames: names,
		}
	}
}

func (f *fleet) ended(err error) {
	if f.ctx.Err() == nil && f.errors.Add(1) == 1 {
		fmt.Fprintln(os.Stderr, "a client's stream ended:", err)
	}
}

// wireSizes are clients, and services of which each follows all or ten.
func wireSizes(most int) []size {
	all := []size{{1000, 1000, 10}, {300, 1000, 1000}, {1000, 1000, 1000}, {10_000, 1000, 10}}
	return slices.DeleteFunc(all, func(s size) bool { return s.clients > most || s.services > most })
}

// wireRow is what was measured over the wire.
type wireRow struct {
	changes            int
	connect, reconnect time.Duration
	p50, p99, last     time.Duration // from the change to a client, and to the last of them, in the middle
	besideSlow         time.Duration // p99 of the others beside a slow client
	cpu                time.Duration
	idle, afterStorm   int64 // resident memory per client
}

func overTheWire(protocols []string, most int, only string, budget time.Duration) {
	dir, err := os.MkdirTemp("", "bench-xds")
	must(err)
	defer func() { _ = os.RemoveAll(dir) }()
	creds := issue(dir)
	for _, p := range protocols {
		fmt.Printf("\n%s, over mutual TLS, the server in a process of its own: one endpoint changes\n\n", p)
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(out, "clients\tservices\tused\tcache\tchanges\tconnect all\tp50\tp99\tlast client p50\tp99 beside a slow client\tserver's CPU per change\tmemory per client\tafter a reconnect of all\treconnect all\t")
		for _, s := range wireSizes(most) {
			for _, kind := range kinds {
				if only != "" && kind.name != only {
					continue
				}
				row := measureWire(kind, p == "delta", s, budget, dir, creds)
				fmt.Fprintf(out, "%d\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", s.clients, s.services, s.used, kind.name, row.changes,
					milliseconds(row.connect), milliseconds(row.p50), milliseconds(row.p99), milliseconds(row.last), milliseconds(row.besideSlow),
					milliseconds(row.cpu), kibibytes(row.idle), kibibytes(row.afterStorm), milliseconds(row.reconnect))
				_ = out.Flush()
			}
		}
	}
}

func measureWire(kind kind, delta bool, s size, budget time.Duration, dir string, creds credentials.TransportCredentials) (row wireRow) {
	server := startRemote(kind, s.services, dir)
	defer server.end()
	names := make([]string, s.used)
	for i := range names {
		names[i] = nameOf(i)
	}
	before := server.usage()
	begun := time.Now()
	clients := dial(server.address, creds, delta, s.clients, 0, names)
	row.connect = time.Since(begun)
	pause()
	row.idle = (server.usage().resident - before.resident) / int64(s.clients)

	revision := 0
	changes := func(f *fleet, budget time.Duration) (all, last []time.Duration) {
		for begun := time.Now(); len(last) < leastChanges || len(last) < mostChanges && time.Since(begun) < budget; {
			revision++
			f.expect(len(f.lag))
			server.change(0, revision)
			<-f.done
			all, last = append(all, f.lag...), append(last, slices.Max(f.lag))
			pause()
		}
		slices.Sort(all)
		slices.Sort(last)
		return all, last
	}
	used := server.usage()
	all, last := changes(clients, budget)
	row.changes = len(last)
	row.cpu = (server.usage().cpu - used.cpu) / time.Duration(row.changes)
	row.p50, row.p99, row.last = all[len(all)/2], all[len(all)*99/100], last[len(last)/2]

	clients.stop()
	begun = time.Now()
	clients = dial(server.address, creds, delta, s.clients, 0, names)
	row.reconnect = time.Since(begun)
	pause()
	row.afterStorm = (server.usage().resident - before.resident) / int64(s.clients)

	slow := dial(server.address, creds, delta, 1, 1, names)
	all, _ = changes(clients, budget)
	row.besideSlow = all[len(all)*99/100]
	slow.stop()
	clients.stop()
	return row
}

// pause lets answers come in, so that changes do not meet.
func pause() { time.Sleep(50 * time.Millisecond) }
