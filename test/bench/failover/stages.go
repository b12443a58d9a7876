package main

import (
	"slices"
	"time"
)

// stage is a part of the chain.
type stage struct {
	name, from, to string
	// took is how long it took; false: this failover says nothing about it.
	took func(failover) (time.Duration, bool)
}

func always(took func(failover) time.Duration) func(failover) (time.Duration, bool) {
	return func(f failover) (time.Duration, bool) { return took(f), true }
}

// headgate is what the goal is about.
var headgate = stage{"Headgate", "EndpointSlice", "route applied", always(func(f failover) time.Duration { return f.written.Sub(f.sliceEmpty) })}

// toward narrows a stage to the failovers to one application.
func toward(app string, s stage) stage {
	return stage{"  of these to " + app, s.from, s.to, func(f failover) (time.Duration, bool) {
		took, _ := s.took(f)
		return took, f.to == app
	}}
}

var stages = []stage{
	{"kubelet", "order", "pod not ready", always(func(f failover) time.Duration { return f.podUnready.Sub(f.ordered) })},
	{"EndpointSlice", "pod not ready", "EndpointSlice", always(func(f failover) time.Duration { return f.sliceEmpty.Sub(f.podUnready) })},
	headgate,
	toward(backup, headgate),
	toward(primary, headgate),
	// The decision's own time is on the wall clock, as the arrival is, if read without its monotonic part.
	{"  it decides", "EndpointSlice", "decision taken", always(func(f failover) time.Duration { return f.taken.Sub(f.sliceEmpty.Round(0)) })},
	{"  writes it", "decision taken", "status written", always(func(f failover) time.Duration { return f.decided.Round(0).Sub(f.taken) })},
	{"  first write", "status written", "first route write", always(func(f failover) time.Duration { return f.firstWrite.Sub(f.decided) })},
	{"  second write", "first route write", "route applied", func(f failover) (time.Duration, bool) {
		return f.written.Sub(f.firstWrite), !f.firstWrite.Equal(f.written)
	}},
	{"Envoy Gateway", "route applied", "route accepted", always(func(f failover) time.Duration { return f.accepted.Sub(f.written) })},
	{"Envoy Gateway + Envoy", "route applied", "other's first answer", func(f failover) (time.Duration, bool) {
		return f.firstAnswer.Sub(f.written), !f.firstAnswer.IsZero() && !f.movedByItself()
	}},
	{"Envoy by itself", "order", "other's first answer", func(f failover) (time.Duration, bool) {
		return f.firstAnswer.Sub(f.ordered), !f.firstAnswer.IsZero() && f.movedByItself()
	}},
	{"all", "order", "other's first answer", func(f failover) (time.Duration, bool) {
		return f.firstAnswer.Sub(f.ordered), !f.firstAnswer.IsZero()
	}},
	{"all", "EndpointSlice", "old one's last answer", func(f failover) (time.Duration, bool) {
		return f.lastAnswer.Sub(f.sliceEmpty), !f.lastAnswer.IsZero()
	}},
}

// times are how long a stage took, sorted.
func (s stage) times(failovers []failover) []time.Duration {
	var out []time.Duration
	for _, f := range failovers {
		if took, says := s.took(f); says {
			out = append(out, took)
		}
	}
	slices.Sort(out)
	return out
}
