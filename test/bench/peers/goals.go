package main

import (
	"fmt"
	"io"

	"github.com/headgate/headgate/test/bench/meter"
)

// goal is something that Headgate has to reach in each run of a scenario.
type goal struct {
	scenario string
	// words are what is to be, and met says whether a run is so.
	words string
	met   func(result) bool
}

// goals are what the peers did when they were measured first, with room.
var goals = []goal{
	{"errors-5", "rolled back within 19.8 s, 301 calls to it", func(r result) bool { return r.Outcome == rolledBack && r.Exposed < 19.8 && r.Canary < 301 }},
	{"errors-100", "rolled back within 19.9 s, 300 calls failed", func(r result) bool { return r.Outcome == rolledBack && r.Exposed < 19.9 && r.Failed < 300 }},
	{"healthy", "promoted, no call failed", func(r result) bool { return r.Outcome == promoted && r.Failed == 0 }},
	{"background-05", "not rolled back", func(r result) bool { return r.Outcome != rolledBack }},
	{"background-1", "not rolled back", func(r result) bool { return r.Outcome != rolledBack }},
	{"silence", "held", func(r result) bool { return r.Outcome == held }},
	{"metrics-never", "held", func(r result) bool { return r.Outcome == held }},
	{"metrics-lost", "held", func(r result) bool { return r.Outcome == held }},
	{"killed", "rolled back within 15 s, 100 calls failed", func(r result) bool { return r.Outcome == rolledBack && r.Exposed <= 15 && r.Failed <= 100 }},
}

// judge prints which goals Headgate has met.
func (r *results) judge(to io.Writer) (met bool) {
	met = true
	say := func(words string, good, of int) {
		met = met && good == of
		fmt.Fprintf(to, "goal: %s: %d of %d\n", words, good, of)
	}
	for _, g := range goals {
		runs, good := r.of("headgate", g.scenario), 0
		for _, one := range runs {
			if g.met(one) {
				good++
			}
		}
		if len(runs) > 0 {
			say(g.scenario+" is "+g.words, good, len(runs))
		}
	}
	if i := r.idleOf("headgate"); i != nil {
		good := 0
		if i.Requests[meter.Reads]+i.Requests[meter.Writes]+i.Requests[meter.Events] == 0 {
			good = 1
		}
		say("no requests while idle, besides the lease", good, 1)
	}
	return met
}
