// Package experiment has the acceptance experiments of rollouts: simulated services with fixed seeds, and what must become of the versions
// that are shipped. Its tests hold Headgate to them; the command test/bench/judge prints them beside what others do.
package experiment

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/bench/judge/service"
	"github.com/headgate/headgate/test/bench/judge/ship"
)

// Experiment is a service, how a version of it is shipped, and what must come out.
type Experiment struct {
	// Group is what it is about.
	Group, Name string
	Service     service.Service
	Spec        v1alpha1.Rollout
	// Most is the time that a rollout is given.
	Most time.Duration
	Want Want
}

// Want is what must come out. Zero fields ask for nothing, but for the shares where their names are set.
type Want struct {
	// Median and P90 are the most that promotion may take; runs that are not promoted take for ever.
	Median, P90 time.Duration
	// RolledBack and Promoted are the largest shares of the runs, each with 3 standard deviations more; below 0: any.
	RolledBack, Promoted float64
	// Found is the least share of the runs that are rolled back or suspected.
	Found float64
	// FoundCalls is the largest median of the canary's calls, and Failed that of its failed calls, until it is found.
	FoundCalls, Failed float64
}

// Result is what came out of some runs of an experiment.
type Result struct {
	Runs []ship.Result
}

// Run runs the experiment with a controller, on all processors.
func (e Experiment) Run(by ship.Controller, runs int) Result {
	out := Result{Runs: make([]ship.Result, runs)}
	var all sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range runs {
		free <- struct{}{}
		all.Go(func() {
			out.Runs[i] = by(e.Service, uint64(i), e.Most) //nolint:gosec // a small number
			<-free
		})
	}
	all.Wait()
	return out
}

// Headgate runs it with Headgate.
func (e Experiment) Headgate(runs int) Result { return e.Run(ship.Headgate(e.Spec), runs) }

// share of the runs of which something holds.
func (r Result) share(of func(ship.Result) bool) float64 {
	n := 0
	for _, run := range r.Runs {
		if of(run) {
			n++
		}
	}
	return float64(n) / float64(len(r.Runs))
}

// Promoted is the share of runs in which the version was.
func (r Result) Promoted() float64 { return r.share(func(s ship.Result) bool { return s.Promoted }) }

// RolledBack is the share of runs in which it was.
func (r Result) RolledBack() float64 {
	return r.share(func(s ship.Result) bool { return s.RolledBack })
}

// Suspected is the share of runs in which the canary lost its calls for a while.
func (r Result) Suspected() float64 {
	return r.share(func(s ship.Result) bool { return s.Suspected > 0 })
}

// Found is the share of runs in which the canary was rolled back or suspected.
func (r Result) Found() float64 {
	return r.share(func(s ship.Result) bool { return s.RolledBack || s.Suspected > 0 })
}

// Quantile of a number of the runs.
func (r Result) Quantile(p float64, of func(ship.Result) float64) float64 {
	list := make([]float64, len(r.Runs))
	for i, run := range r.Runs {
		list[i] = of(run)
	}
	slices.Sort(list)
	return list[min(len(list)-1, int(p*float64(len(list))))]
}

// Promotion is the time until promotion in seconds, infinite without one.
func Promotion(s ship.Result) float64 {
	if !s.Promoted {
		return math.Inf(1)
	}
	return s.Took.Seconds()
}

// FoundCalls are the canary's calls until it first lost them, infinite when it never did.
func FoundCalls(s ship.Result) float64 {
	switch {
	case s.Suspected > 0:
		return s.SuspectedCalls
	case s.RolledBack:
		return s.Calls
	}
	return math.Inf(1)
}

// Failed are the calls that failed because of the canary.
func Failed(s ship.Result) float64 { return s.Failed }

// Misses lists what did not come out as wanted. Fewer runs than a hundred get 3 standard deviations of the median more room.
func (e Experiment) Misses(r Result) []string {
	var misses []string
	runs, w := float64(len(r.Runs)), e.Want
	most := func(name string, got, limit float64) {
		if got > limit+3*math.Sqrt(limit*(1-limit)/runs)+1/runs*math.Ceil(limit) {
			misses = append(misses, fmt.Sprintf("%.1f %% %s, more than %.1f %%", 100*got, name, 100*limit))
		}
	}
	if w.RolledBack >= 0 {
		most("rolled back", r.RolledBack(), w.RolledBack)
	}
	if w.Promoted >= 0 {
		most("promoted", r.Promoted(), w.Promoted)
	}
	if got := r.Found(); got < w.Found {
		misses = append(misses, fmt.Sprintf("%.1f %% found, less than %.1f %%", 100*got, 100*w.Found))
	}
	slack := 0.0
	if runs < 100 {
		slack = 1.5 / math.Sqrt(runs)
	}
	later := func(name string, p, limit float64, of func(ship.Result) float64) {
		if got := r.Quantile(max(0, p-slack), of); limit > 0 && got > limit {
			misses = append(misses, fmt.Sprintf("%s %.0f, more than %.0f", name, got, limit))
		}
	}
	later("median seconds to promotion", 0.5, w.Median.Seconds(), Promotion)
	later("p90 seconds to promotion", 0.9, w.P90.Seconds(), Promotion)
	later("median calls until it was found", 0.5, w.FoundCalls, FoundCalls)
	later("median failed calls", 0.5, w.Failed, Failed)
	return misses
}
