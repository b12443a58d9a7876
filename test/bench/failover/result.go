package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
)

// goal bounds the 99th percentile of the time from the EndpointSlice event to the applied route.
const goal = 50 * time.Millisecond

// result is what was measured in one shape.
type result struct {
	strategy  v1alpha1.FailoverStrategy
	failovers []failover
	// disturbed is how many measurements were thrown away.
	disturbed int
	// calls, failed and lateSends count the calls of the whole run, between the failovers as well.
	calls, failed, lateSends int
	lost                     []loss
	// load is the machine's load average at the beginning and at the end.
	load [2]string
}

// mostLosses is how many failed calls are printed.
const mostLosses = 20

func (r *result) met() bool { return load.Percentile(headgate.times(r.failovers), 99) <= goal }

func (r *result) print(to io.Writer) {
	fmt.Fprintf(to, "\nshape %s: %d failovers by failed readiness under %d calls/s (%d more were disturbed and left out), times in ms\n",
		r.strategy, len(r.failovers), rate, r.disturbed)
	fmt.Fprintf(to, "load average of the machine (%d processors): %s at the beginning, %s at the end\n", runtime.NumCPU(), r.load[0], r.load[1])
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STAGE\tFROM\tTO\tN\tP50\tP99\tMAX")
	for _, s := range stages {
		times := s.times(r.failovers)
		if len(times) == 0 {
			fmt.Fprintf(table, "%s\t%s\t%s\t0\t-\t-\t-\n", s.name, s.from, s.to)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", s.name, s.from, s.to, len(times),
			millis(load.Percentile(times, 50)), millis(load.Percentile(times, 99)), millis(times[len(times)-1]))
	}
	_ = table.Flush()

	calls, failed, byItself := 0, 0, 0
	for _, f := range r.failovers {
		calls, failed = calls+f.calls, failed+f.failed
		if !f.firstAnswer.IsZero() && f.movedByItself() {
			byItself++
		}
	}
	fmt.Fprintf(to, "Envoy had moved before Headgate's route was there: %d of %d\n", byItself, len(r.failovers))
	fmt.Fprintf(to, "failed calls: %d of %d in these failovers, %d of %d in the whole run (%d sent more than 10 ms late)\n",
		failed, calls, r.failed, r.calls, r.lateSends)
	for _, l := range r.lost[:min(len(r.lost), mostLosses)] {
		f := r.failovers[l.failover]
		fmt.Fprintf(to, "  failover %d to %s: due %s ms after the order, which is %s ms after the EndpointSlice and %s ms after the route; took %s ms: %s %q\n",
			l.failover+1, f.to, millis(l.after), millis(l.call.Due.Sub(f.sliceEmpty)), millis(l.call.Due.Sub(f.written)),
			millis(l.call.Latency), l.call.Code, l.call.Message)
	}
	verdict := "met"
	if !r.met() {
		verdict = "NOT MET"
	}
	fmt.Fprintf(to, "goal: EndpointSlice event -> applied GRPCRoute p99 <= %d ms: %s (%s ms)\n",
		goal.Milliseconds(), verdict, millis(load.Percentile(headgate.times(r.failovers), 99)))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
