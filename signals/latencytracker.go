package signals

import (
	"time"

	"github.com/prometheus/common/model"
)

// latencyTracker remembers the histograms of one backend that a Prometheus server answered. They are delivered when they are
// from the same time as the calls.
type latencyTracker struct {
	// since is from when on they were counted without a gap; zero: they were not.
	since   time.Time
	series  map[model.Fingerprint]*trackedHistogram
	pending Histogram
	// why is why there are none; empty: there are.
	why string
}

type trackedHistogram struct {
	was  Histogram
	seen time.Time
	// high is where it was before it fell, as with counters; nil: it is above that.
	high Histogram
}

// restart drops what was counted and not delivered.
func (t *latencyTracker) restart(now time.Time) {
	t.pending, t.since, t.why = nil, now, withoutLatencies
}

// count adds up what the histograms grew by, by the rules of counters. isNew says whether a series that was not known started after
// the last look.
func (t *latencyTracker) count(found found, now time.Time, baseline bool, isNew func(promSample) bool) {
	if found.noLatencies != "" {
		// What they grow by until they can be read again is of another time than the calls of the next look.
		*t = latencyTracker{why: found.noLatencies}
		return
	}
	baseline = baseline || t.since.IsZero()
	if t.series == nil {
		t.series = map[model.Fingerprint]*trackedHistogram{}
	}
	if baseline {
		t.restart(now)
	}
	for _, sample := range found.latencies {
		key := sample.labels.Fingerprint()
		known, seen := t.series[key]
		if !seen {
			known = &trackedHistogram{}
			t.series[key] = known
		}
		switch grown, clean := known.take(sample, now); {
		case baseline:
			known.high = nil
		case !clean && !isRaw(sample):
			t.restart(now)
			t.why = "latencies: a sum fell, because a pod restarted or went away: " + withoutLatencies
		case seen:
			t.pending = t.pending.Plus(grown)
		case isNew(sample):
			t.pending = t.pending.Plus(sample.histogram)
		}
	}
	for key, known := range t.series {
		if now.Sub(known.seen) > retention {
			delete(t.series, key)
		}
	}
}

// take remembers a reading. It says what it grew by since the last one, and whether that can be told.
func (h *trackedHistogram) take(sample promSample, now time.Time) (grown Histogram, clean bool) {
	before := h.was
	h.was, h.seen = sample.histogram, now
	grown, fell := sample.histogram.minus(before)
	if fell {
		if h.high == nil || !atLeast(h.high, before) {
			h.high = before
		}
		return nil, false
	}
	if h.high != nil && atLeast(sample.histogram, h.high) {
		grown, _ = sample.histogram.minus(h.high)
		h.high = nil
	}
	return grown, true
}

// atLeast: a has no fewer calls than b in any bucket.
func atLeast(a, b Histogram) bool {
	_, fell := a.minus(b)
	return !fell
}

// deliver hands out what was counted from start on, or says why nothing can be.
func (t *latencyTracker) deliver(start, now time.Time) (Histogram, string) {
	out, why := t.pending, t.why
	covers := !t.since.IsZero() && !t.since.After(start)
	if t.since.IsZero() {
		return nil, why
	}
	t.pending, t.since, t.why = nil, now, ""
	if !covers {
		if why == "" {
			why = withoutLatencies
		}
		return nil, why
	}
	return out, ""
}
