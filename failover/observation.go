package failover

import (
	"fmt"
	"slices"
	"time"
)

// Observation is what one look at the world has found, without judgement.
type Observation struct {
	// Backends holds what was found of each backend, by its name. Nothing is known of one that is missing.
	Backends map[string]BackendObservation
}

// BackendObservation is what was found of one backend.
type BackendObservation struct {
	Endpoints Endpoints
	// Earlier were counted before Calls, in this order, and no look has taken them in yet. They hold as long as Calls do.
	Earlier []Calls
	Calls   Calls
}

// counted are all calls that were counted since the last look, in order.
func (o BackendObservation) counted(now time.Time) []Calls {
	out := slices.Clone(o.Earlier)
	if o.Calls.tell(now) {
		for i := range out {
			out[i].StaleAfter = 0
		}
	}
	return append(out, o.Calls)
}

// Counting says whether the endpoints of a backend were counted.
type Counting string

const (
	// CountingUnknown: they could not be counted this time; Endpoints.Why says why.
	CountingUnknown Counting = ""
	// Counted: Ready and Total are what was counted.
	Counted Counting = "Counted"
	// Uncountable: such a backend, outside the cluster, has no endpoints that anybody could count. It is up unless its calls
	// fail.
	Uncountable Counting = "Uncountable"
)

// Endpoints is how many endpoints a backend has.
type Endpoints struct {
	Counting Counting
	// Ready is how many of them are ready, Total how many there are. A Service that does not exist has none.
	Ready, Total int32
	// Time is when they were counted.
	Time time.Time
	// StaleAfter is how long the count holds; older than that it tells nothing. Zero: for ever, because the source reports
	// every change (an informer).
	StaleAfter time.Duration
	// Why says why nothing is known, why there are none, or what is wrong with a backend although it is up.
	Why string
}

// Calls is how many calls a backend has answered since the last look.
type Calls struct {
	// Known says that they were counted. No call in the interval is known as well.
	Known bool
	// Calls were answered after Start and until End, Errors of them with an error. Looks at the same backend must not overlap:
	// an interval that begins before one that was taken in is left out.
	Calls, Errors uint64
	Start, End    time.Time
	// StaleAfter is how long after End they hold. Zero: for ever.
	StaleAfter time.Duration
	// Source is who counted them, such as Envoy.
	Source string
	// Why says why nothing is known.
	Why string
}

// unknown says why the endpoints tell nothing, and nothing when they do.
func (e Endpoints) unknown(now time.Time) string {
	switch {
	case e.Counting == Uncountable:
		return ""
	case e.Counting != Counted && e.Why != "":
		return e.Why
	case e.Counting != Counted:
		return "its endpoints have not been counted"
	case e.Ready < 0 || e.Total < 0:
		return fmt.Sprintf("its endpoints were counted as %d of %d, which cannot be", e.Ready, e.Total)
	case stale(e.Time, e.StaleAfter, now):
		return fmt.Sprintf("its endpoints were last counted at %s, more than %s from now", clock(e.Time), e.StaleAfter)
	}
	return ""
}

// tell says whether the calls tell anything.
func (c Calls) tell(now time.Time) bool {
	return c.Known && c.Errors <= c.Calls && !c.Start.IsZero() && c.End.After(c.Start) && !stale(c.End, c.StaleAfter, now)
}

// stale says whether a time is too far from now, in either direction: what was seen long after now was seen with another
// clock.
func stale(seen time.Time, bound time.Duration, now time.Time) bool {
	return bound > 0 && now.Sub(seen).Abs() > bound
}
