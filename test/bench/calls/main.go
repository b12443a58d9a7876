// Command calls measures what it costs to count the calls of many ExposedServices on one shared Gateway: requests to its proxies, looks,
// times that somebody is woken to decide, and the processor time and memory of all that.
//
// The proxies are a process of their own, so that their work is not counted. They answer as Envoy does: a cluster for each
// ExposedService, with a primary and a backup of three endpoints each, and their counters by endpoint, which grow. One percent
// of the calls fails, where five percent may.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"
)

func main() {
	services := flag.String("services", "100,1000", "numbers of ExposedServices, one row each")
	proxies := flag.Int("proxies", 3, "number of proxies of the Gateway")
	budget := flag.Duration("budget", 20*time.Second, "time for each row")
	beProxies := flag.Int("be-proxies", 0, "be the proxies for so many ExposedServices, and nothing else")
	flag.Parse()
	if *beProxies > 0 {
		exitOn(serve(*proxies, *beProxies))
		return
	}
	fmt.Printf("calls of ExposedServices on one Gateway with %d proxies, counted for %s; %d processors\n\n", *proxies, *budget, runtime.NumCPU())
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "services\tpage\tscrapes/s of all proxies\tlooks/s\twakes/s\tprocessor\tallocated/s\theap\t")
	for _, n := range numbers(*services) {
		row, err := measure(context.Background(), n, *proxies, *budget)
		exitOn(err)
		fmt.Fprintf(out, "%d\t%.1f MB\t%.1f\t%.0f\t%.0f\t%.1f %%\t%.0f MB\t%.0f MB\t\n", n, mega(row.page), row.scrapes, row.looks, row.wakes,
			100*row.processor, mega(row.allocated), mega(row.heap))
	}
	exitOn(out.Flush())
}

func mega(bytes float64) float64 { return bytes / 1e6 }

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
