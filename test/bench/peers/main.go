// Command peers lets three controllers ship the same versions of the same application under the same load and the same
// faults, one controller after the other: Flagger, Argo Rollouts and Headgate. A load generator of its own counts every
// call. It writes what became of them as JSON and into a page of Markdown, and runs in the network of a local cluster with
// Envoy Gateway and the images of all three, which hack/bench.sh starts:
//
//	hack/bench.sh peers -runs 3
//
// It exits with 1 when Headgate misses a goal, and with 2 when it could not measure.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/headgate/headgate/test/bench/page"
)

// options are what the command line says.
type options struct {
	runs                               int
	contenders, scenarios              string
	results, page                      string
	render                             bool
	flaggerChart, argoManifests, chart string
}

var errUsage = errors.New("usage")

func main() {
	var o options
	flag.IntVar(&o.runs, "runs", 3, "how often each scenario is run")
	flag.StringVar(&o.contenders, "contenders", "", "`names` of those to measure, with commas; all by default")
	flag.StringVar(&o.scenarios, "scenarios", "", "`names` of the scenarios to run, with commas; all by default")
	flag.StringVar(&o.results, "results", ".cache/bench-peers.json", "`file` for the results")
	flag.StringVar(&o.page, "page", "", "Markdown `file` that gets the table between its markers")
	flag.BoolVar(&o.render, "render", false, "measure nothing, and make the table from the file of results")
	flag.StringVar(&o.flaggerChart, "flagger-chart", "", "`folder` with Flagger's chart")
	flag.StringVar(&o.argoManifests, "argo-manifests", "", "`folder` with Argo Rollouts' manifests")
	flag.StringVar(&o.chart, "headgate-chart", "charts/headgate", "`folder` with Headgate's chart")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	met, err := run(ctx, o)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench peers:", err)
		os.Exit(2)
	case !met:
		os.Exit(1)
	}
}

// run measures unless it is only to render, prints the table and puts it into the page. It says whether Headgate's goals
// are met.
func run(ctx context.Context, o options) (met bool, err error) {
	if o.runs < 1 {
		return false, fmt.Errorf("%w: -runs %d: give 1 or more", errUsage, o.runs)
	}
	var results results
	if o.render {
		results, err = readResults(o.results)
	} else {
		results, err = measure(ctx, o)
	}
	if err != nil {
		return false, err
	}
	table := results.markdown()
	fmt.Println(table)
	if o.page != "" {
		if err := page.Put(o.page, "bench-peers", table); err != nil {
			return false, err
		}
	}
	return results.judge(os.Stdout), nil
}
