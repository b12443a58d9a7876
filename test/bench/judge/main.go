// Command judge ships versions of simulated services with Headgate, and with the rules of others beside it, and prints what became of them:
// minutes on two processors, less with -runs. It fails if Headgate misses what is wanted.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/headgate/headgate/test/bench/judge/experiment"
	"github.com/headgate/headgate/test/bench/judge/ship"
	"github.com/headgate/headgate/test/bench/page"
)

// fewCalls a second are so few that a rollout takes hours.
const fewCalls = 5

func main() {
	runs := flag.Int("runs", 300, "runs of each experiment, and a quarter of those with few calls, whose rollouts take hours")
	group := flag.String("group", "", "only experiments whose group or name contains this")
	into := flag.String("into", "", "a page to put the table into, between its markers")
	flag.Parse()

	var table strings.Builder
	missed, last := 0, ""
	for _, e := range experiment.All() {
		if !strings.Contains(e.Group+": "+e.Name, *group) {
			continue
		}
		if e.Group != last {
			fmt.Fprintf(&table, "%s| **%s** | Headgate | Flagger | Argo Rollouts |\n|---|---|---|---|\n", map[bool]string{true: "", false: "\n"}[last == ""], e.Group)
			last = e.Group
		}
		begun, runs := time.Now(), *runs
		if e.Service.Calls(0) < fewCalls {
			runs = (runs + 3) / 4
		}
		ours := e.Headgate(runs)
		misses := e.Misses(ours)
		if len(misses) > 0 {
			missed++
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", e.Name, show(ours), show(e.Run(ship.Flagger, runs)), show(e.Run(ship.Argo, runs)))
		fmt.Fprintf(os.Stderr, "%s: %s: %s %s (%s)\n", e.Group, e.Name, show(ours), or(strings.Join(misses, "; "), "ok"), time.Since(begun).Round(time.Second))
	}
	fmt.Print(table.String())
	if *into != "" {
		if err := page.Put(*into, "bench-judge", table.String()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if missed > 0 {
		fmt.Printf("%d experiments did not come out as wanted\n", missed)
		os.Exit(1)
	}
}

// show is what became of the versions: how many were promoted, within what time, how many rolled back, and the calls that failed because
// of them.
func show(r experiment.Result) string {
	var parts []string
	if p := r.Promoted(); p > 0 {
		text := percent(p) + " promoted"
		if median := r.Quantile(0.5, experiment.Promotion); !math.IsInf(median, 1) {
			text += ", " + seconds(median)
			if p90 := r.Quantile(0.9, experiment.Promotion); !math.IsInf(p90, 1) {
				text += " (" + seconds(p90) + ")"
			}
		}
		parts = append(parts, text)
	}
	if b := r.RolledBack(); b > 0 {
		parts = append(parts, percent(b)+" rolled back")
	}
	if s := r.Suspected(); s > 0 {
		parts = append(parts, percent(s)+" suspected")
	}
	if calls := r.Quantile(0.5, experiment.FoundCalls); !math.IsInf(calls, 1) {
		parts = append(parts, fmt.Sprintf("found after %.0f calls", calls))
	}
	if failed := r.Quantile(0.5, experiment.Failed); failed > 0.5 {
		parts = append(parts, fmt.Sprintf("%.0f failed", failed))
	}
	return or(strings.Join(parts, "; "), "held")
}

func percent(share float64) string { return fmt.Sprintf("%.3g %%", 100*share) }

func seconds(s float64) string {
	switch {
	case s < 600:
		return fmt.Sprintf("%.1f min", s/60)
	case s < 6000:
		return fmt.Sprintf("%.0f min", s/60)
	}
	return fmt.Sprintf("%.1f h", s/3600)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
