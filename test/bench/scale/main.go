// Command scale measures what ExposedServices cost one headgate binary, and how fast it is with them: time to Ready, requests by
// kind, processor time and memory, one failover at a time, many at once, and a restart. The binary is a black box beside a real
// API server; a sample data plane answers for Envoy Gateway. Everything runs on loopback and shares this machine's processors.
//
//	KUBEBUILDER_ASSETS=$(go run ./test/cluster assets) go run ./test/bench/scale -n 100,1000 -baseline v0.1.0
//
// It prints tables in Markdown to standard output, and how far it is to standard error. It exits with 2 when it could not
// measure everything; what it has measured is printed all the same.
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

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/test/bench/scale/rig"
)

// options say what is measured.
type options struct {
	counts   []int
	baseline string
	// args are flags of the operator of this tree alone.
	args []string
	// idle is how long it is watched at rest, and patience bounds each wait.
	idle, patience time.Duration
	// singles is how many failovers there are one at a time, and mass how many at once.
	singles, mass int
	// others is how many EndpointSlices of others are added in the end.
	others int
	// headless: the backends' Services have no ClusterIP.
	headless bool
	// ownSlices: Headgate's own Services have EndpointSlices, as the cluster's controller makes them.
	ownSlices bool
}

func parseOptions(args []string) (options, error) {
	o := options{counts: []int{100, 1000}}
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.Func("n", "how many ExposedServices, separated by commas: a run for each (default 100,1000)", func(value string) error {
		o.counts = nil
		for text := range strings.SplitSeq(value, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || n < 2 || n > 50_000 {
				return fmt.Errorf("%q: want numbers from 2 to 50000", text)
			}
			o.counts = append(o.counts, n)
		}
		return nil
	})
	flags.StringVar(&o.baseline, "baseline", "", "a commit whose operator is measured beside this tree's")
	flags.Func("operator-flags", "flags for the operator of this tree, separated by spaces", func(value string) error {
		o.args = strings.Fields(value)
		return nil
	})
	flags.DurationVar(&o.idle, "idle", 30*time.Second, "how long to watch it at rest")
	flags.DurationVar(&o.patience, "patience", 5*time.Minute, "how long to wait for anything at most")
	flags.IntVar(&o.singles, "singles", 50, "how many failovers one at a time, each of another ExposedService")
	flags.IntVar(&o.mass, "mass", 1000, "how many failovers at once")
	flags.IntVar(&o.others, "others", 0, "how many EndpointSlices of others to add in the end, to see what memory they take; for example 50000")
	flags.BoolVar(&o.headless, "headless", false,
		"give the backends' Services no ClusterIP: an API server looks at all that there are when it gives one, which takes most of the time of 10,000")
	flags.BoolVar(&o.ownSlices, "own-slices", false,
		"make EndpointSlices for Headgate's own Services too, as a cluster's controller does; each failover is then two writes")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.idle < time.Second || o.patience < time.Second || o.singles < 1 || o.mass < 1 || o.others < 0:
		return o, errors.New("-idle and -patience are at least 1s, -singles and -mass at least 1, -others at least 0")
	}
	return o, nil
}

func main() {
	o, err := parseOptions(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench scale:", err)
		os.Exit(2)
	}
	ctrllog.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench scale:", err)
		os.Exit(2)
	}
}

// run measures each tree with each number of ExposedServices, and prints a table for each number.
func run(ctx context.Context, o options) (err error) {
	if err := rig.Available(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "headgate-bench-scale-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	sources := []rig.Source{rig.Here()}
	if o.baseline != "" {
		before, remove, err := rig.Here().Checkout(ctx, o.baseline, folder)
		if err != nil {
			return err
		}
		defer func() { _ = remove() }()
		sources = []rig.Source{before, rig.Here()}
	}
	var subjects []subject
	for i, source := range sources {
		say("building the operator of %s", source.Name)
		own, err := os.MkdirTemp(folder, "subject-")
		if err != nil {
			return err
		}
		binary, err := source.Build(ctx, own)
		if err != nil {
			return err
		}
		s := subject{Source: source, binary: binary, folder: own}
		if i == len(sources)-1 {
			s.flags = o.args
		}
		subjects = append(subjects, s)
	}
	fmt.Print(introduction(o, time.Now()))
	return measureAll(ctx, o, subjects)
}

func measureAll(ctx context.Context, o options, subjects []subject) error {
	var failed []error
	for _, count := range o.counts {
		columns := make([]column, 0, len(subjects))
		for _, s := range subjects {
			say("measuring %s with %d ExposedServices", s.Name, count)
			rows, err := measure(ctx, o, s, count)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s with %d ExposedServices: %w", s.Name, count, err))
				say("%s: %v", s.Name, err)
			}
			columns = append(columns, column{name: s.Name, rows: rows})
		}
		fmt.Print(table(fmt.Sprintf("%d ExposedServices", count), columns))
	}
	return errors.Join(failed...)
}

var began = time.Now()

// say tells how far it is.
func say(format string, args ...any) {
	passed := time.Since(began)
	fmt.Fprintf(os.Stderr, "[%d:%02d] %s\n", int(passed.Minutes()), int(passed.Seconds())%60, fmt.Sprintf(format, args...))
}
