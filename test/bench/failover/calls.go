package main

import (
	"time"

	"github.com/headgate/headgate/test/grpcapp/load"
)

// addCalls finds in the report of all calls what became of those of each failover.
func (r *result) addCalls(report load.Report) {
	r.calls, r.failed, r.lateSends = report.Total, report.Failed, report.LateSends
	for call := range report.Calls() {
		for i := range r.failovers {
			r.failovers[i].add(call)
			if r.isDueIn(i, call) {
				r.failovers[i].calls++
				if call.Failed() {
					r.failovers[i].failed++
					r.lost = append(r.lost, loss{failover: i, after: call.Due.Sub(r.failovers[i].ordered), call: call})
				}
			}
		}
	}
}

// loss is a failed call.
type loss struct {
	// failover is the index of the one in which the call was due, so long after the order.
	failover int
	after    time.Duration
	call     load.Call
}

// isDueIn: the call was due after this order and before the next one.
func (r *result) isDueIn(i int, call load.Call) bool {
	return !call.Due.Before(r.failovers[i].ordered) && (i+1 == len(r.failovers) || call.Due.Before(r.failovers[i+1].ordered))
}

// add takes in a call that ended during the failover.
func (f *failover) add(call load.Call) {
	ended := call.Due.Add(call.Latency)
	if call.Failed() || ended.Before(f.ordered) || ended.After(f.ended) {
		return
	}
	switch load.GroupByDeployment(call.Pod) {
	case f.to:
		f.firstAnswer = earliest(f.firstAnswer, ended)
	case f.from:
		if ended.After(f.lastAnswer) {
			f.lastAnswer = ended
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
