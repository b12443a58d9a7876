package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc/credentials"
)

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

// parts of what is measured over mutual TLS.
var parts = []struct {
	name    string
	measure func(w wire)
}{
	{"changes", wire.changes},
	{"slow", wire.slowClients},
	{"storm", wire.storms},
	{"reports", wire.loadReports},
}

// wire is what is measured over mutual TLS.
type wire struct {
	protocols []string
	most      int
	only      string
	budget    time.Duration
	dir       string
	creds     credentials.TransportCredentials
}

func (w wire) measures(kind kind) bool { return w.only == "" || w.only == kind.name }

// changes measures what a changed endpoint costs.
func (w wire) changes() {
	for _, p := range w.protocols {
		fmt.Printf("\n%s, over mutual TLS, the server in a process of its own: one endpoint changes\n\n", p)
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(out, "clients\tservices\tused\tcache\tchanges\tconnect all\tp50\tp99\tlast client p50\tp99 beside a slow client\tserver's CPU per change\tmemory per client\tafter a reconnect of all\treconnect all\t")
		for _, s := range wireSizes(w.most) {
			for _, kind := range kinds {
				if !w.measures(kind) {
					continue
				}
				row := measureWire(kind, p == "delta", s, w.budget, w.dir, w.creds)
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
