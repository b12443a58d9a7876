// Command demo shows what an ExposedService does, with live calls through a real Envoy: it deploys a
// sample gRPC service as primary and backup, exposes it, and then takes the primaries away in every
// way there is, counting each call. `make demo` runs it on a local cluster, `make demo
// CLUSTER=current` on the one that kubectl uses.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	class := flag.String("class", "envoy-gateway", "the `GatewayClass` to use")
	inside := flag.String("inside", "", "the `command` that reaches the cluster, for the hints at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := play(ctx, *class, *inside)
	switch {
	case errors.Is(err, errFailedCalls):
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(2)
	}
}
