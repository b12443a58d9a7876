package loadreport

import (
	"time"

	"github.com/headgate/headgate/internal/remainder"
)

// inFlight is how many calls a client has under way to the backends of an ExposedService.
type inFlight map[place]said

// place is where calls are under way to: a backend, in the cluster that it shares or in its own. A client may have both, and is not
// believed on how many there are of its own.
type place struct {
	backend string
	own     bool
}

// said is what a client last said of a place. It holds until the client says something else of it, and for as long as silence is
// borne: an Envoy leaves a locality out of a report when no call to it has begun since the last one, whether or not calls are
// under way, and a gRPC client when nothing at all is to be said of it.
type said struct {
	calls uint64
	when  time.Time
	// report is the number of the report, by which several localities of a place are told from an older word: Envoy has one for
	// each priority.
	report uint64
	// counted is what that report counted, and before what the client last said to be under way before it. New: it had said nothing.
	// Missed: there were reports in between without the place.
	counted     Totals
	before      uint64
	new, missed bool
	// left is what calls that have begun leave over, up to the report before.
	left remainder.Remainder
}

// say takes what a client says in the report that is being taken.
func (f inFlight) say(of place, calls uint64, counted Totals, by *reporter) {
	last, known := f[of]
	if last.report != by.reports || !known {
		last.before, last.new, last.missed = last.calls, !known, known && last.report+1 != by.reports
		last.calls, last.counted = 0, Totals{}
	}
	last.calls += calls
	last.counted = last.counted.plus(counted)
	last.when, last.report = by.heard, by.reports
	f[of] = last
}

// settle adds the calls that were given up for certain to the sums by backend, by the report that was taken.
func (f inFlight) settle(by *reporter, sums map[string]uint64) {
	for of, last := range f {
		if last.report != by.reports {
			continue
		}
		sums[of.backend] += uint64(last.left.Settle(last.over(), float64(last.counted.Failed)))
		f[of] = last
	}
}

// over is how many calls more have begun than have ended with an outcome or are under way. How many were under way before the first
// report nobody has said. While an Envoy leaves out a locality it forgets the outcomes of calls that end, so that those which were
// under way may have had one.
func (s said) over() float64 {
	over := float64(s.counted.Issued) - float64(s.counted.Succeeded) - float64(s.counted.Failed) - float64(s.calls)
	switch before := float64(s.before); {
	case s.new:
		return max(0, over)
	case s.missed:
		return max(min(0, over+before), over)
	default:
		return over + before
	}
}

// addTo adds what was said since a time to the sums by backend.
func (f inFlight) addTo(sums map[string]uint64, since time.Time) {
	for of, last := range f {
		if !last.when.Before(since) {
			sums[of.backend] += last.calls
		}
	}
}
