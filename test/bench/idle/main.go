// Command idle measures what Headgate costs while nothing happens: it makes many ExposedServices on
// one shared Gateway, waits until all of them are at rest, and then counts Headgate's writes to the
// API server and the CPU that its pods use. It runs in the network of a cluster with Envoy Gateway
// and Headgate:
//
//	GOWORK=off go build -o .cache/bin/bench-idle ./test/bench/idle
//	.cache/bin/cluster exec -- .cache/bin/bench-idle -services 100 -for 60s
//
// It exits with 1 when a goal is missed, and with 2 when it could not measure.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	services := flag.Int("services", 100, "how many ExposedServices to make")
	window := flag.Duration("for", time.Minute, "how long to measure")
	before := flag.Duration("before", 30*time.Second, "how long to measure before they are made, for comparison; 0: not at all")
	flag.Parse()
	if *services < 1 || *window < time.Second || *before < 0 {
		fmt.Fprintln(os.Stderr, "bench idle: give -services 1 or more, -for 1s or more, and -before 0 or more")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	met, err := run(ctx, *services, *window, *before)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench idle:", err)
		os.Exit(2)
	case !met:
		os.Exit(1)
	}
}

// run measures without and with the ExposedServices, and says whether the goals were met.
func run(ctx context.Context, services int, window, before time.Duration) (met bool, err error) {
	b, err := connect()
	if err != nil {
		return false, err
	}
	defer b.cleanUp()
	if err := b.meter.CountRequests(ctx); err != nil {
		return false, err
	}
	if before > 0 {
		cost, err := b.measure(ctx, before)
		if err != nil {
			return false, err
		}
		cost.print(os.Stdout, "before")
	}
	began := time.Now()
	if err := b.expose(ctx, services); err != nil {
		return false, err
	}
	fmt.Printf("\n%d ExposedServices were ready and at rest after %.0f s\n", services, time.Since(began).Seconds())
	cost, err := b.measure(ctx, window)
	if err != nil {
		return false, err
	}
	cost.print(os.Stdout, fmt.Sprintf("with %d settled ExposedServices", services))
	return cost.judge(os.Stdout), nil
}
