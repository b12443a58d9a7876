package hedging

import (
	"slices"
	"time"
)

// Look is one look at the calls of an ExposedService, at all its backends together.
type Look struct {
	// Started is how many attempts were started in (Start, End]; InFlight is how many were under way at End.
	Started, InFlight uint64
	Start, End        time.Time
}

// Estimate is how long calls take, by Little's law (J. D. C. Little, A Proof for the Queuing Formula: L = λW, 1961): as long as
// those that are in flight take to be started. It needs no histogram, sees a slowness before the first slow call has ended, and
// long-lived streams count as what they are. The zero value knows nothing.
type Estimate struct{ looks []Look }

const (
	// memory is how long looks are remembered.
	memory = 30 * time.Second
	// fewest is how many calls say anything of how long calls take.
	fewest = 10
)

// Add takes in a look, and forgets those that are too old. One that begins before the last one ended is of proxies that could not be read
// then: what was started is of a longer time than it says, and it is left out.
func (e *Estimate) Add(look Look) {
	if n := len(e.looks); !look.Start.Before(look.End) || n > 0 && look.Start.Before(e.looks[n-1].End) {
		return
	}
	e.looks = slices.DeleteFunc(append(e.looks, look), func(l Look) bool { return !l.End.After(look.End.Add(-memory)) })
}

// over is how long calls took on average in the last so many looks that begin at a time or later; known: enough were made to say so,
// and the looks cover all of that time.
func (e *Estimate) over(d time.Duration, now time.Time) (latency time.Duration, known bool) {
	var started, inFlight uint64
	var seen time.Duration
	looks := 0
	for _, l := range e.looks {
		if l.End.After(now.Add(-d)) {
			started, inFlight, seen = started+l.Started, inFlight+l.InFlight, seen+l.End.Sub(l.Start)
			looks++
		}
	}
	// A look is taken each second, and may be late.
	const enough = 0.8
	if seen.Seconds() < enough*d.Seconds() {
		return 0, false
	}
	return average(started, inFlight, looks, seen)
}

func average(started, inFlight uint64, looks int, seen time.Duration) (time.Duration, bool) {
	if started < fewest || looks == 0 {
		return 0, false
	}
	return time.Duration(float64(inFlight) / float64(looks) * float64(seen) / float64(started)), true
}
