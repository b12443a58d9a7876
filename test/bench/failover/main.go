// Command failover measures how fast Headgate follows the death of a backend. It takes the serving
// application of one ExposedService down again and again, by failing readiness, under live calls,
// and prints how long each part of the chain took: kubelet, EndpointSlice, Headgate, Envoy Gateway,
// Envoy. It runs in the network of a cluster with Envoy Gateway and Headgate:
//
//	GOWORK=off go build -o .cache/bin/bench-failover ./test/bench/failover
//	.cache/bin/cluster exec -- .cache/bin/bench-failover -failovers 50 -shape both
//
// It exits with 1 when a goal is missed, and with 2 when it could not measure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/headgate/headgate/api/v1alpha1"
)

// errUsage: the command line makes no sense.
var errUsage = errors.New("usage")

func main() {
	failovers := flag.Int("failovers", 50, "how many failovers to measure in each shape")
	which := flag.String("shape", "both", "priorities, weights, or both")
	verbose := flag.Bool("v", false, "print each failover when it has been measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	met, err := measure(ctx, *which, *failovers, *verbose)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench failover:", err)
		os.Exit(2)
	case !met:
		os.Exit(1)
	}
}

// measure measures the shapes that are asked for, and says whether the goals were met.
func measure(ctx context.Context, which string, failovers int, verbose bool) (met bool, err error) {
	shapes, err := shapesOf(which)
	if err != nil {
		return false, err
	}
	if failovers < 1 {
		return false, fmt.Errorf("%w: -failovers %d: give 1 or more", errUsage, failovers)
	}
	met = true
	for _, strategy := range shapes {
		result, err := runShape(ctx, strategy, failovers, verbose)
		if len(result.failovers) > 0 {
			result.print(os.Stdout)
			met = met && result.met()
		}
		if err != nil {
			return false, fmt.Errorf("shape %s: %w", strategy, err)
		}
	}
	return met, nil
}

func shapesOf(which string) ([]v1alpha1.FailoverStrategy, error) {
	switch which {
	case "priorities":
		return []v1alpha1.FailoverStrategy{v1alpha1.StrategyPriorities}, nil
	case "weights":
		return []v1alpha1.FailoverStrategy{v1alpha1.StrategyWeights}, nil
	case "both":
		return []v1alpha1.FailoverStrategy{v1alpha1.StrategyPriorities, v1alpha1.StrategyWeights}, nil
	}
	return nil, fmt.Errorf("%w: -shape %q: give priorities, weights or both", errUsage, which)
}
