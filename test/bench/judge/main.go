// Command judge runs the acceptance experiments of rollout/judge and prints what came out, beside what the rules of others make of
// the same calls: minutes on one processor, less with -runs and -control-runs. It fails if ours miss what is wanted.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/headgate/headgate/test/bench/judge/control"
	"github.com/headgate/headgate/test/bench/judge/experiment"
)

func main() {
	most := flag.Int("runs", 1000, "runs of each experiment at most")
	controlRuns := flag.Int("control-runs", 100, "runs of each experiment with the rules of others at most")
	only := flag.String("only", "", "run experiments with this id only")
	flag.Parse()

	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ID\tEXPERIMENT\tWANTED\tHEADGATE\tRESULT\tFLAGGER 99 %, 5\tKAYENTA EACH MIN\tZ-TEST 5 % PEEKING")
	missed := 0
	for _, e := range experiment.All() {
		if *only != "" && e.ID != *only {
			continue
		}
		ours := e.Run(min(e.Runs, *most))
		result := "ok"
		if misses := e.Misses(ours); len(misses) > 0 {
			result = strings.Join(misses, "; ")
			missed++
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s", e.ID, e.Name, e.Want, show(e, ours), result)
		for _, rule := range rules(e) {
			if rule == nil {
				fmt.Fprint(out, "\t-")
				continue
			}
			fmt.Fprintf(out, "\t%s", show(e, e.Watch(min(e.Runs, *controlRuns), func(uint64) control.Watcher { return rule() })))
		}
		fmt.Fprintln(out)
		fmt.Fprintf(os.Stderr, "%s %s: %s\n", e.ID, e.Name, result)
	}
	_ = out.Flush()
	if missed > 0 {
		fmt.Printf("%d experiments did not come out as wanted\n", missed)
		os.Exit(1)
	}
}

// rules are those of others that can be asked what the experiment asks: none of them says when to advance.
func rules(e experiment.Experiment) []func() control.Watcher {
	list := make([]func() control.Watcher, 3)
	if e.Decision != "" {
		return list
	}
	metric := control.ErrorRatio
	if e.Rollout.StableLatency != nil {
		metric = control.P99
	} else {
		list[2] = func() control.Watcher { return &control.ZTest{} }
	}
	list[0] = func() control.Watcher { return &control.Flagger{MinSuccess: 0.99, Failures: 5} }
	list[1] = func() control.Watcher { return &control.Kayenta{Metric: metric} }
	return list
}

// show is the share of runs with the decision where it is wrong, else the median of canary calls and of the time.
func show(e experiment.Experiment, r experiment.Result) string {
	share := 100 * float64(r.Hits) / float64(r.Runs)
	if e.Want.False {
		return fmt.Sprintf("%.3g %% of %d", share, r.Runs)
	}
	calls, took := experiment.Median(r.Calls), experiment.Median(r.Time)
	if math.IsInf(calls, 1) {
		return fmt.Sprintf("%.3g %% found", share)
	}
	return fmt.Sprintf("%.0f calls, %.0f s (90 %%: %s)%s", calls, took, number(experiment.Quantile(r.Calls, 0.9)), partly(share))
}

func number(x float64) string {
	if math.IsInf(x, 1) {
		return "not found"
	}
	return fmt.Sprintf("%.0f", x)
}

func partly(share float64) string {
	if share == 100 {
		return ""
	}
	return fmt.Sprintf(", %.3g %% found", share)
}
