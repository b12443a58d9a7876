package calls

import (
	"time"

	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/signals"
)

// Count are the calls of one backend since the last time that anybody took them. The zero value knows nothing.
type Count struct {
	counts signals.Counts
	// bound is how long they hold.
	bound time.Duration
	// source is who counted them.
	source string
}

func (c Count) known() bool { return c.source != "" }

// and are two counts of calls that follow each other. Their latencies are known when those of both are.
func (c Count) and(then Count) Count {
	if !c.known() {
		return then
	}
	if !then.known() {
		return c
	}
	then.counts.Calls += c.counts.Calls
	then.counts.Errors += c.counts.Errors
	then.counts.Start = c.counts.Start
	switch {
	case then.counts.NoLatencies != "":
	case c.counts.NoLatencies != "":
		then.counts.Latencies, then.counts.NoLatencies = nil, c.counts.NoLatencies
	default:
		then.counts.Latencies = c.counts.Latencies.Plus(then.counts.Latencies)
	}
	return then
}

// ForFailover puts them into the words of the decider which backend serves.
func (c Count) ForFailover() failover.Calls {
	if !c.known() {
		return failover.Calls{}
	}
	return failover.Calls{
		Known: true, Calls: c.counts.Calls, Errors: c.counts.Errors, Start: c.counts.Start, End: c.counts.End,
		StaleAfter: c.bound, Source: c.source,
	}
}
