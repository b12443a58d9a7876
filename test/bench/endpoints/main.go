// Command endpoints measures how long an Envoy takes to have an endpoint that has changed in an EndpointSlice: behind Envoy
// Gateway with GRPCRoutes written by hand, behind Envoy Gateway with ExposedServices, and as a client of Headgate's own xDS. It
// runs in the network of a cluster with Envoy Gateway and Headgate:
//
//	hack/bench.sh endpoints -services 10,100
//
// The addresses of endpoints are those of the range for benchmarks (RFC 2544), and nobody calls them. Envoy is asked for its own
// counters of changes, through its administration, every few milliseconds: that is the resolution. It prints a table in Markdown
// for each number of services.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options say what is measured.
type options struct {
	services []int
	only     string
	// singles is how many changes there are one by one, and churn for how long there are perSecond.
	singles   int
	churn     time.Duration
	perSecond int
}

// errUsage: the command line makes no sense.
var errUsage = errors.New("usage")

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("endpoints", flag.ContinueOnError)
	counts := flags.String("services", "10,100", "how many services, separated by commas: a table for each")
	flags.StringVar(&o.only, "way", "", "measure this way alone: routes, gateway or xds")
	flags.IntVar(&o.singles, "singles", 40, "how many changes one by one")
	flags.DurationVar(&o.churn, "churn", 30*time.Second, "for how long services change all the time")
	flags.IntVar(&o.perSecond, "rate", 10, "how many of them change in a second")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 999 {
			return o, fmt.Errorf("%w: -services %q: give numbers from 1 to 999", errUsage, text)
		}
		o.services = append(o.services, n)
	}
	if o.singles < 1 || o.churn < time.Second || o.perSecond < 1 || o.perSecond > 1000 {
		return o, fmt.Errorf("%w: -singles is at least 1, -churn at least 1s, and -rate from 1 to 1000", errUsage)
	}
	if o.only != "" && wayOf(o.only) == nil {
		return o, fmt.Errorf("%w: -way %q: give routes, gateway or xds", errUsage, o.only)
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench endpoints:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench endpoints:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, o options) error {
	for _, services := range o.services {
		var rows []row
		for _, w := range ways {
			if o.only != "" && w.name != o.only {
				continue
			}
			fmt.Fprintf(os.Stderr, "measuring %d services: %s\n", services, w.says)
			r, err := measure(ctx, w, services, o)
			if err != nil {
				return fmt.Errorf("%s with %d services: %w", w.says, services, err)
			}
			rows = append(rows, r)
		}
		fmt.Print(table(services, o, rows))
	}
	return nil
}
