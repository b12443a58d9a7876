package signals

import (
	"time"

	"github.com/prometheus/common/model"
)

// begunTracker remembers what a Prometheus server answered of the calls of a backend that have begun. As latencies they are delivered
// when they are from the same time as the calls.
type begunTracker struct {
	// since is from when on they were counted without a gap; zero: they were not.
	since  time.Time
	series map[model.Fingerprint]*tracked
	// pending was counted and not delivered. inFlight are under way; fits: that could be told.
	pending, inFlight float64
	fits              bool
}

// restart drops what was counted and not delivered.
func (t *begunTracker) restart(now time.Time) { t.since, t.pending = now, 0 }

// countBegun adds up what has begun, by the rules of calls. It belongs before the targets of this look become known.
func (t *tracker) countBegun(found found, now time.Time, baseline bool) {
	if found.begun == nil {
		// What begins until it can be read again is of another time than the calls of the next look.
		t.begun.since, t.begun.pending, t.begun.fits = time.Time{}, 0, false
		return
	}
	baseline = baseline || t.begun.since.IsZero()
	more, clean := t.increase(t.begun.series, found.begun, now, baseline, func(string, float64) {})
	if baseline || !clean {
		t.begun.restart(now)
	} else {
		t.begun.pending += more
	}
	t.begun.inFlight, t.begun.fits = underWayIn(found)
}

// underWayIn is how many calls have begun and not ended, and whether that can be told: all series are as they were scraped, and
// nothing has calls that does not say what has begun.
func underWayIn(found found) (float64, bool) {
	begun, of, allRaw := sumOfRaw(found.begun)
	ended, with, alsoRaw := sumOfRaw(found.calls)
	for target := range with {
		if !of[target] {
			return 0, false
		}
	}
	return max(0, begun-ended), allRaw && alsoRaw
}

// sumOfRaw adds up series as they were scraped, and says of which targets they are. `or vector(0)` adds one that is not, and nothing else.
func sumOfRaw(samples []promSample) (sum float64, targets map[target]bool, allRaw bool) {
	targets = map[target]bool{}
	for _, sample := range samples {
		of, ok := targetOf(sample.labels)
		switch {
		case ok && isRaw(sample):
			targets[of] = true
			sum += sample.value
		case sample.value != 0:
			return 0, nil, false
		}
	}
	return sum, targets, true
}

// deliver hands out what was counted from start on, with what is under way, if both can be told.
func (t *begunTracker) deliver(start, now time.Time) (begun, inFlight uint64, tells bool) {
	tells = t.fits && !t.since.IsZero() && !t.since.After(start)
	if tells {
		begun, inFlight = wholeCalls(t.pending), wholeCalls(t.inFlight)
	}
	if !t.since.IsZero() {
		// A fraction waits for the next look.
		t.pending -= float64(wholeCalls(t.pending))
		t.since = now
	}
	return begun, inFlight, tells
}
