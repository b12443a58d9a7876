package loadreport

import "time"

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
}

// say takes what a client says in the report that is being taken.
func (f inFlight) say(of place, calls uint64, by *reporter) {
	if was := f[of]; was.report == by.reports {
		calls += was.calls
	}
	f[of] = said{calls: calls, when: by.heard, report: by.reports}
}

// addTo adds what was said since a time to the sums by backend.
func (f inFlight) addTo(sums map[string]uint64, since time.Time) {
	for of, last := range f {
		if !last.when.Before(since) {
			sums[of.backend] += last.calls
		}
	}
}
