package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/grpcapp/load"
)

// well is how fast an answer has to be for all to be well again.
const well = 250 * time.Millisecond

// tolerance is how much earlier than its deadline a call may end because of it.
const tolerance = 50 * time.Millisecond

// result is what was measured in one scenario.
type result struct {
	began, ended time.Time
	// calls are all of the callers'.
	calls []load.Call
	// attempts is how often backends were called from the beginning of the trouble; 0: not known.
	attempts  float64
	decisions []string
}

func (r *result) add(report load.Report) { r.calls = slices.AppendSeq(r.calls, report.Calls()) }

const header = `| data plane | setting | scenario | failed, of the calls of that time | of them before their deadline | answered/s | of capacity | attempts per call | slowest 1 % | well again after | decisions |
|---|---|---|---|---|---|---|---|---|---|---|`

// tally sums up the calls of one scenario.
type tally struct {
	// during are those that were due in the trouble, failed of them failed, and early of those before their deadline; since are those
	// that were due after its beginning.
	during, failed, early, since int
	latencies                    []time.Duration
	// last is when the last call after the trouble was due that failed or was slow; zero: there was none.
	last time.Time
}

func (r *result) tally(what scenario) tally {
	var out tally
	for _, call := range r.calls {
		switch {
		case call.Due.Before(r.began):
			continue
		case call.Due.After(r.ended):
			out.takeAfter(call, what)
		default:
			out.takeDuring(call)
		}
		out.since++
	}
	slices.Sort(out.latencies)
	return out
}

func (t *tally) takeDuring(call load.Call) {
	t.during++
	if !call.Failed() {
		t.latencies = append(t.latencies, call.Latency)
		return
	}
	t.failed++
	if call.Latency < deadline-tolerance {
		t.early++
	}
}

func (t *tally) takeAfter(call load.Call, what scenario) {
	if (call.Failed() || call.Latency > well) && call.Due.After(t.last) {
		t.last = call.Due
	}
	if call.Failed() && what.dies {
		t.failed++ // what is lost when the dead come back is lost by the death
	}
}

func (r *result) row(plane plane, setting setting, what scenario) string {
	t := r.tally(what)
	slowest := time.Duration(0)
	if n := len(t.latencies); n > 0 {
		slowest = t.latencies[n*99/100]
	}
	goodput := float64(len(t.latencies)) / r.ended.Sub(r.began).Seconds()
	ofCapacity, attempts, wellAgain := "–", "–", "at once"
	if what.capacity > 0 {
		ofCapacity = fmt.Sprintf("%.0f %%", 100*goodput/what.capacity)
	}
	if r.attempts > 0 {
		attempts = fmt.Sprintf("%.2f", r.attempts/float64(t.since))
	}
	if !t.last.IsZero() {
		wellAgain = t.last.Sub(r.ended).Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("| %s | %s | %s | %d of %d | %d | %.0f | %s | %s | %s | %s | %s |", plane.name, setting.name, what.name, t.failed, t.during, t.early,
		goodput, ofCapacity, attempts, slowest.Round(time.Millisecond), wellAgain, strings.Join(r.decisions, ", "))
}

func key(object client.Object) client.ObjectKey { return client.ObjectKeyFromObject(object) }
