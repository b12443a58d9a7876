package calls

import (
	"slices"
	"time"

	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/signals"
)

// Count are the calls of one backend in one look. The zero value knows nothing.
type Count struct {
	// counts are the calls.
	counts signals.Counts
	// bound is how long they hold.
	bound time.Duration
	// source is who counted them.
	source string
}

// Counts are the looks that nobody has taken yet, by backend, the oldest first.
type Counts map[string][]Count

// mostLooks is how many looks wait for somebody to take them. Of more than that the oldest become one, which is as good for who counts
// them and says less about when they were.
const mostLooks = 32

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
	tell(&then.counts, c.counts)
	switch {
	case then.counts.NoLatencies != "":
	case c.counts.NoLatencies != "":
		then.counts.Latencies, then.counts.NoLatencies = nil, c.counts.NoLatencies
	default:
		then.counts.Latencies = c.counts.Latencies.Plus(then.counts.Latencies)
	}
	return then
}

// tell adds what is known of calls beside their outcomes, and of whose they are, to those that follow. What one of both does not know is
// not known of both together.
func tell(then *signals.Counts, before signals.Counts) {
	then.TellsCancelled = then.TellsCancelled && before.TellsCancelled
	then.Cancelled += before.Cancelled
	if !then.TellsCancelled {
		then.Cancelled = 0
	}
	then.TellsBegun = then.TellsBegun && before.TellsBegun
	then.Begun += before.Begun
	if !then.TellsBegun {
		then.Begun, then.InFlight = 0, 0
	}
	then.Pods = signals.MergePods(before.Pods, then.Pods)
}

// add appends a look.
func (c Counts) add(backend string, looks ...Count) {
	all := slices.Concat(c[backend], looks)
	if more := len(all) - mostLooks; more > 0 {
		all[more] = sum(all[:more+1])
		all = all[more:]
	}
	c[backend] = all
}

// of are all calls of a backend, as one count.
func (c Counts) of(backend string) Count { return sum(c[backend]) }

func sum(looks []Count) Count {
	var out Count
	for _, look := range looks {
		out = out.and(look)
	}
	return out
}

// Observe puts the calls of a backend into the words of the decider which backend serves.
func (c Counts) Observe(backend string, into *failover.BackendObservation) {
	for i, look := range c[backend] {
		if i > 0 {
			into.Earlier = append(into.Earlier, into.Calls)
		}
		into.Calls = look.forFailover()
	}
}

func (c Count) forFailover() failover.Calls {
	if !c.known() {
		return failover.Calls{}
	}
	return failover.Calls{
		Known: true, Calls: c.counts.Calls, Errors: c.counts.Errors, Start: c.counts.Start, End: c.counts.End,
		StaleAfter: c.bound, Source: c.source,
	}
}
