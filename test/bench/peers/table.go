package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/headgate/headgate/test/bench/meter"
)

// markdown is the table of all results, a column a tool.
func (r *results) markdown() string {
	var out strings.Builder
	row := func(cells ...string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	header, line, settings := []string{""}, []string{"---"}, []string{"settings"}
	for _, c := range r.Contenders {
		header, line = append(header, c.Title+" "+c.Version), append(line, "---")
		settings = append(settings, c.Settings)
	}
	row(header...)
	row(line...)
	row(settings...)
	for _, stage := range stages() {
		for _, s := range stage {
			if cells, some := r.cells(func(c string) string { return cell(s, r.of(c, s.name)) }); some {
				row(append([]string{s.title}, cells...)...)
			}
		}
	}
	for _, s := range shipped() {
		for _, kind := range uses {
			if cells, some := r.cells(func(c string) string { return kind.of(s, promotedOf(r.of(c, s.name))) }); some {
				row(append([]string{s.title + ": " + kind.title}, cells...)...)
			}
		}
	}
	for _, kind := range costs {
		if cells, some := r.cells(func(c string) string { return kind.of(r.idleOf(c)) }); some {
			row(append([]string{kind.title}, cells...)...)
		}
	}
	fmt.Fprintf(&out, "\n%s; %d runs of each scenario (%d of those with 2 calls/s). Median, and in brackets the least and the most.\n", r.Machine, r.Runs, chances)
	return out.String()
}

// cells are those of a row, and whether there is anything in it.
func (r *results) cells(of func(contender string) string) (out []string, some bool) {
	for _, c := range r.Contenders {
		text := of(c.Name)
		some = some || text != ""
		out = append(out, cmp.Or(text, "–"))
	}
	return out, some
}

// cell sums up the runs of a scenario: how they ended, and the numbers of those that ended in the same way.
func cell(s scenario, runs []result) string {
	var parts []string
	for _, outcome := range []state{rolledBack, promoted, held} {
		var same []result
		for _, one := range runs {
			if one.Outcome == outcome {
				same = append(same, one)
			}
		}
		if len(same) == 0 {
			continue
		}
		words := string(outcome)
		if len(same) < len(runs) || len(runs) == chances {
			words = fmt.Sprintf("%d of %d %s", len(same), len(runs), outcome)
		}
		parts = append(parts, words+details(s, outcome, same))
	}
	return strings.Join(parts, "; ")
}

// details are the numbers of runs that ended in the same way.
func details(s scenario, outcome state, runs []result) string {
	seconds := " after " + spread(runs, "%.0f", func(r result) float64 { return r.Seconds }) + " s"
	failed := spread(runs, "%.0f", func(r result) float64 { return float64(r.Failed) }) + " calls failed"
	switch {
	case outcome == held:
		return fmt.Sprintf(" for all %.0f s at %s %%", s.watch.Seconds(), spread(runs, "%.0f", func(r result) float64 { return r.Weight }))
	case s.rate == 0:
		return seconds
	case s.stable > 0:
		return seconds + ", " + spread(runs, "%.0f", func(r result) float64 { return float64(r.Canary) }) + " calls to it"
	case outcome == promoted:
		return seconds + ", " + failed
	}
	return ": exposed for " + spread(runs, "%.1f", func(r result) float64 { return r.Exposed }) + " s, " +
		spread(runs, "%.0f", func(r result) float64 { return float64(r.Canary) }) + " calls, " + failed
}

// spread is the median of a value, with its range if there is one.
func spread(runs []result, format string, value func(result) float64) string {
	values := make([]float64, 0, len(runs))
	for _, r := range runs {
		values = append(values, value(r))
	}
	slices.Sort(values)
	written := func(v float64) string { return fmt.Sprintf(format, v) }
	middle, least, most := written(median(values)), written(values[0]), written(values[len(values)-1])
	if least == most {
		return middle
	}
	return fmt.Sprintf("%s (%s–%s)", middle, least, most)
}

// median of sorted values, of which there is at least one.
func median(sorted []float64) float64 {
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// shipped are the scenarios in which a good version is shipped while nothing happens: what they take is what a rollout takes.
func shipped() (out []scenario) {
	for _, stage := range stages() {
		for _, s := range stage {
			if s.rate > 0 && s.stable == 0 && s.canary == 0 && s.accident == "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// promotedOf are the runs of which the pods were counted, and which ended with a promotion.
func promotedOf(runs []result) []result {
	return slices.DeleteFunc(slices.Clone(runs), func(r result) bool { return r.Outcome != promoted || r.PodSeconds == 0 })
}

// uses are the rows about the pods of the application.
var uses = []struct {
	title string
	of    func(scenario, []result) string
}{
	{"pods started until then", func(s scenario, runs []result) string {
		if len(runs) == 0 {
			return ""
		}
		return fmt.Sprintf("%s for the %d of the new version", spread(runs, "%.0f", func(r result) float64 { return float64(r.Started) }), s.replicas)
	}},
	{"pod-seconds until then", func(s scenario, runs []result) string {
		if len(runs) == 0 {
			return ""
		}
		return fmt.Sprintf("%s, %s of them beside the %d pods that there are at rest", spread(runs, "%.0f", func(r result) float64 { return r.PodSeconds }),
			spread(runs, "%.0f", func(r result) float64 { return r.PodSeconds - float64(s.replicas)*r.Seconds }), s.replicas)
	}},
}

// costs are the rows about a tool that has nothing to do.
var costs = []struct {
	title string
	of    func(*idle) string
}{
	{"idle: requests to the API server a minute, besides its lease", func(i *idle) string {
		if i == nil {
			return ""
		}
		return fmt.Sprintf("%.0f with %d services", i.Requests[meter.Reads]+i.Requests[meter.Writes]+i.Requests[meter.Events], i.Services)
	}},
	{"idle: requests for its lease a minute", func(i *idle) string {
		if i == nil {
			return ""
		}
		return fmt.Sprintf("%.0f", i.Requests[meter.Lease])
	}},
	{"idle: CPU and memory of all its pods", func(i *idle) string {
		if i == nil {
			return ""
		}
		return fmt.Sprintf("%.1f %% of a core, %.0f MiB, %d pods", i.CPU, i.Memory/(1<<20), i.Pods)
	}},
}
