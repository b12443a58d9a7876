// Command xds measures what pushing one changed endpoint costs: Headgate's cache and streams beside
// go-control-plane's SnapshotCache and LinearCache on its own stream server, with the same resources and the same
// clients, in one run.
//
// Clients are in the process. They are called in place of a gRPC stream, encode each response as gRPC would, and answer it;
// sockets, encryption and the clients' own decoding cost all three the same and are left out. What is
// served are assignments with three endpoints. SnapshotCache has one snapshot that all nodes share.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// size is a number of clients and services, and how many of these each client subscribes to.
type size struct{ clients, services, used int }

func sizes(least, most int) []size {
	var all []size
	for _, clients := range []int{10, 100, 1000} {
		for _, services := range []int{10, 100, 1000} {
			if min(clients, services) >= least && max(clients, services) <= most {
				all = append(all, size{clients, services, services})
			}
		}
	}
	for _, services := range []int{10, 100, 1000} {
		if services >= least && services <= most {
			all = append(all, size{min(1000, most), services, 10})
		}
	}
	return all
}

func main() {
	protocol := flag.String("protocol", "both", "sotw, delta or both")
	least := flag.Int("least", 10, "smallest number of clients and services")
	most := flag.Int("most", 1000, "largest number of clients and services")
	only := flag.String("cache", "", "measure this one alone")
	budget := flag.Duration("budget", 1500*time.Millisecond, "time for the changes of one row; at least three are made")
	overTLS := flag.Bool("wire", false, "measure over mutual TLS, with the server in a process of its own")
	part := flag.String("part", "", "of that measure one part alone: changes, slow, storm or reports")
	serves := flag.String("serve", "", "be the server with this cache")
	services := flag.Int("services", 0, "number of its services")
	certificates := flag.String("certificates", "", "folder of its certificates")
	flag.Parse()
	protocols := []string{"sotw", "delta"}
	if *protocol != "both" {
		protocols = []string{*protocol}
	}
	switch {
	case *serves != "":
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == *serves })
		serve(kinds[i], *services, filesIn(*certificates))
	case *overTLS:
		dir, err := os.MkdirTemp("", "bench-xds")
		must(err)
		defer func() { _ = os.RemoveAll(dir) }()
		w := wire{protocols, *most, *only, *budget, dir, issue(dir)}
		for _, p := range parts {
			if *part == "" || *part == p.name {
				p.measure(w)
			}
		}
	default:
		inProcess(protocols, *least, *most, *only, *budget)
	}
}

// inProcess measures without sockets.
func inProcess(protocols []string, least, most int, only string, budget time.Duration) {
	for _, p := range protocols {
		fmt.Printf("\n%s: one endpoint changes\n\n", p)
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(out, "clients\tservices\tused\tcache\tchanges\tlast client p50\tp99\tCPU per change\tbytes per change\theap per client\tall reconnect\tCPU\t")
		for _, s := range sizes(least, most) {
			for _, kind := range kinds {
				if only != "" && kind.name != only {
					continue
				}
				row := measure(kind, p == "delta", s, budget)
				fmt.Fprintf(out, "%d\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", s.clients, s.services, s.used, kind.name, row.changes,
					milliseconds(row.p50), milliseconds(row.p99), milliseconds(row.cpu), kibibytes(row.bytes), kibibytes(row.heap),
					milliseconds(row.reconnect), milliseconds(row.reconnectCPU))
			}
		}
		_ = out.Flush()
	}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func kibibytes(n int64) string { return fmt.Sprintf("%.1f KiB", float64(n)/1024) }
