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

func (r *result) row(plane plane, setting setting, what scenario) string {
	during, failed, early, since := 0, 0, 0, 0
	var latencies []time.Duration
	var last time.Time
	for _, call := range r.calls {
		if call.Due.Before(r.began) {
			continue
		}
		since++
		if call.Due.After(r.ended) {
			if (call.Failed() || call.Latency > well) && call.Due.After(last) {
				last = call.Due
			}
			if call.Failed() && what.dies {
				failed++ // what is lost when the dead come back is lost by the death
			}
			continue
		}
		during++
		switch {
		case !call.Failed():
			latencies = append(latencies, call.Latency)
		default:
			failed++
			if call.Latency < deadline-50*time.Millisecond {
				early++
			}
		}
	}
	slices.Sort(latencies)
	slowest := time.Duration(0)
	if len(latencies) > 0 {
		slowest = latencies[len(latencies)*99/100]
	}
	goodput := float64(len(latencies)) / r.ended.Sub(r.began).Seconds()
	ofCapacity, attempts, wellAgain := "–", "–", "at once"
	if what.capacity > 0 {
		ofCapacity = fmt.Sprintf("%.0f %%", 100*goodput/what.capacity)
	}
	if r.attempts > 0 {
		attempts = fmt.Sprintf("%.2f", r.attempts/float64(since))
	}
	if !last.IsZero() {
		wellAgain = last.Sub(r.ended).Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("| %s | %s | %s | %d of %d | %d | %.0f | %s | %s | %s | %s | %s |", plane.name, setting.name, what.name, failed, during, early,
		goodput, ofCapacity, attempts, slowest.Round(time.Millisecond), wellAgain, strings.Join(r.decisions, ", "))
}

func key(object client.Object) client.ObjectKey { return client.ObjectKeyFromObject(object) }
