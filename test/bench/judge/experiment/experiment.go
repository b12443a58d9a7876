package experiment

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headgate/headgate/rollout/judge"
	"github.com/headgate/headgate/test/bench/judge/control"
)

// Experiment is a rollout, the judge of it, and what must come out.
type Experiment struct {
	ID, Name string
	Judge    judge.Judge
	Rollout  Rollout
	// Runs is how often the full table runs it.
	Runs int
	// Onset is when the canary turns bad: calls and time count from there.
	Onset time.Duration
	// Decision is what is waited for: judge.RollBack unless it says otherwise.
	Decision judge.Decision
	Want     Want
}

// Want is what must come out. Zero fields ask for nothing, but for Share where False is set.
type Want struct {
	// False: the decision is wrong here. It comes in a share of the runs of at most Share, plus 3 standard deviations.
	False bool
	Share float64
	// Calls is the largest median of canary calls until the decision, Time that of the time.
	Calls float64
	Time  time.Duration
	// Found is the least share of the runs in which the decision comes.
	Found float64
}

// Result is what came out of some runs of an experiment.
type Result struct {
	Runs, Hits int
	// Calls of the canary and time until the decision, from the onset; infinite in runs without it.
	Calls []float64
	Time  []float64
}

// Watch runs the experiment with the rule that start makes for each run.
func (e Experiment) Watch(runs int, start func(run uint64) control.Watcher) Result {
	r := Result{Runs: runs}
	for run := range uint64(runs) {
		watcher := start(run)
		at, calls, took := time.Duration(0), 0.0, math.Inf(1)
		for t := range e.Rollout.Ticks(run) {
			at += t.Elapsed
			if at > e.Onset {
				calls += float64(t.Canary.Calls)
			}
			if watcher.RollBack(t) {
				took = (at - e.Onset).Seconds()
				r.Hits++
				break
			}
		}
		if math.IsInf(took, 1) {
			calls = took
		}
		r.Calls, r.Time = append(r.Calls, calls), append(r.Time, took)
	}
	return r
}

// Run runs the experiment with Headgate's judge.
func (e Experiment) Run(runs int) Result {
	return e.Watch(runs, func(run uint64) control.Watcher {
		until := e.Decision
		if until == "" {
			until = judge.RollBack
		}
		return &control.Judge{Judge: e.Judge, State: e.Judge.Learn(judge.State{}, e.Rollout.Before(run)), Until: until}
	})
}

// Median of a list.
func Median(list []float64) float64 { return Quantile(list, 0.5) }

// Quantile p of a list.
func Quantile(list []float64, p float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

// Misses lists what did not come out as wanted. Fewer runs than the full table's get 3 standard deviations of the binomial more
// room.
func (e Experiment) Misses(r Result) []string {
	var misses []string
	runs, w, slack := float64(r.Runs), e.Want, 3.0
	if w.False {
		most := math.Ceil(runs*w.Share + slack*math.Sqrt(runs*w.Share*(1-w.Share)))
		if float64(r.Hits) > most {
			misses = append(misses, fmt.Sprintf("%d wrong decisions in %d runs, more than %.0f", r.Hits, r.Runs, most))
		}
	}
	if r.Runs >= e.Runs {
		slack = 0
	}
	later := func(list []float64, limit float64) {
		over := 0.0
		for _, x := range list {
			if x > limit {
				over++
			}
		}
		if limit > 0 && over > runs/2+slack*math.Sqrt(runs)/2 {
			misses = append(misses, fmt.Sprintf("%.0f of %d runs took more than %.0f, the median %.0f", over, r.Runs, limit, Median(list)))
		}
	}
	later(r.Calls, w.Calls)
	later(r.Time, w.Time.Seconds())
	if got := float64(r.Hits) / runs; got < w.Found-slack*math.Sqrt(w.Found*(1-w.Found)/runs) {
		misses = append(misses, fmt.Sprintf("found in %.0f %% of %d runs, less than %.0f %%", 100*got, r.Runs, 100*w.Found))
	}
	return misses
}

// String is the wish in short.
func (w Want) String() string {
	switch {
	case w.False:
		return fmt.Sprintf("<= %.3g %% wrong", 100*w.Share)
	case w.Calls > 0:
		return fmt.Sprintf("median <= %.0f calls", w.Calls)
	case w.Time > 0:
		return fmt.Sprintf("median <= %v", w.Time)
	}
	return fmt.Sprintf(">= %.0f %% found", 100*w.Found)
}
