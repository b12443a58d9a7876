package signals

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// tracker remembers the counters of one backend that a Prometheus server answered.
type tracker struct {
	// asked is the query for calls that is counted.
	asked string
	// read is when they were last read, and since from when on calls were counted and not delivered.
	read, since   time.Time
	calls, errors map[model.Fingerprint]*tracked
	begun         begunTracker
	// pods are the calls of each target that were counted and not delivered; nil: they cannot be told apart.
	pods map[string]tally
	// targets are what was scraped: a series that is new on one of them started after the last look.
	targets map[target]time.Time
	// pending was counted and not delivered.
	pending   tally
	latencies latencyTracker
}

type tracked struct {
	value float64
	seen  time.Time
	// high is where it was before it fell. When it is back there at once, only what lies above was
	// not counted yet.
	high float64
}

// target is a scraped process, by the labels that Prometheus and its Kubernetes discovery give it.
type target struct{ instance, namespace, pod model.LabelValue }

func targetOf(labels model.Metric) (target, bool) {
	of := target{labels["instance"], labels["namespace"], labels["pod"]}
	return of, of.instance != "" || of.pod != ""
}

// String is the pod, and without one the instance.
func (t target) String() string {
	switch {
	case t.pod == "":
		return string(t.instance)
	case t.namespace == "":
		return string(t.pod)
	}
	return string(t.namespace + "/" + t.pod)
}

func newTracker() *tracker {
	return &tracker{
		calls: map[model.Fingerprint]*tracked{}, errors: map[model.Fingerprint]*tracked{}, targets: map[target]time.Time{},
		begun: begunTracker{series: map[model.Fingerprint]*tracked{}},
	}
}

// restart drops what was counted and not delivered.
func (t *tracker) restart(now time.Time) {
	t.pending, t.pods = tally{}, nil
	t.since = now
	t.begun.restart(now)
	t.latencies.restart(now)
}

// count takes what was found, and says whether all of its increases could be told.
func (t *tracker) count(found found, now time.Time, baseline bool) bool {
	// Both are counted before the targets of this look become known.
	calls, cleanCalls := t.increase(t.calls, found.calls, now, baseline, t.addCallsOf)
	failures, cleanErrors := t.increase(t.errors, found.errors, now, baseline, t.addErrorsOf)
	t.countBegun(found, now, baseline)
	t.latencies.count(found, now, baseline, t.new)
	for _, samples := range [][]promSample{found.calls, found.errors, found.begun, found.latencies} {
		for _, sample := range samples {
			if of, ok := targetOf(sample.labels); ok {
				t.targets[of] = now
			}
		}
	}
	t.forget(now)
	t.read = now
	if !baseline {
		t.pending.add(tally{calls: calls, errors: failures})
	}
	return cleanCalls && cleanErrors
}

// increase adds up what the series grew by. It never says more than was really added:
//   - a series that fell adds nothing: it may have started again, and it may be that another of
//     several servers behind one address answered, which is a little behind the first;
//   - a sum that fell may as well have lost some of its series, and nothing can be said of it. (A series as it
//     was scraped has a name; what was computed has none.)
//   - a new series adds what it is if something of its target was there at the last look, because it started after that;
//   - one that comes back adds what it grew by since it was last seen.
func (t *tracker) increase(
	known map[model.Fingerprint]*tracked, samples []promSample, now time.Time, baseline bool, add func(target string, more float64),
) (float64, bool) {
	total, clean := 0.0, true
	for _, sample := range samples {
		key := sample.labels.Fingerprint()
		was, seen := known[key]
		if !seen {
			was = &tracked{}
			known[key] = was
		}
		more := 0.0
		switch {
		case baseline:
			was.high = 0
		case !seen:
			if t.new(sample) {
				more = sample.value
			}
		case sample.value < was.value:
			was.high = max(was.high, was.value)
			clean = clean && isRaw(sample)
		case was.value < was.high && sample.value >= was.high:
			more = sample.value - was.high
			was.high = 0
		default:
			more = sample.value - was.value
		}
		was.value, was.seen = sample.value, now
		total += more
		if of, ok := targetOf(sample.labels); ok && isRaw(sample) {
			add(of.String(), more)
		}
	}
	return total, clean
}

// isRaw: the series is as it was scraped.
func isRaw(sample promSample) bool {
	_, named := sample.labels[model.MetricNameLabel]
	return named
}

// new says whether a series that was not there at the last look started after it.
func (t *tracker) new(sample promSample) bool {
	of, hasTarget := targetOf(sample.labels)
	_, targetSeen := t.targets[of]
	return isRaw(sample) && hasTarget && targetSeen
}

func (t *tracker) forget(now time.Time) {
	for _, known := range []map[model.Fingerprint]*tracked{t.calls, t.errors, t.begun.series} {
		for key, was := range known {
			if now.Sub(was.seen) > retention {
				delete(known, key)
			}
		}
	}
	for of, seen := range t.targets {
		if now.Sub(seen) > retention {
			delete(t.targets, of)
		}
	}
}

// deliver hands out what was counted. Fractions, which a query may make, wait for the next look.
func (t *tracker) deliver(now time.Time, maxGap time.Duration) Counts {
	calls, failures := wholeCalls(t.pending.calls), wholeCalls(t.pending.errors)
	if failures > calls {
		counts := unknown(UnknownInconsistent, fmt.Sprintf("%d errors in %d calls: the two queries do not count the same calls", failures, calls))
		if now.Sub(t.since) > maxGap {
			t.restart(now)
		}
		return counts
	}
	counts := Counts{Calls: calls, Errors: failures, Start: t.since, End: now}
	counts.Pods = t.deliverPods()
	counts.Begun, counts.InFlight, counts.TellsBegun = t.begun.deliver(t.since, now)
	counts.Latencies, counts.NoLatencies = t.latencies.deliver(t.since, now)
	t.pending.calls -= float64(calls)
	t.pending.errors -= float64(failures)
	t.since = now
	return counts
}

func wholeCalls(counted float64) uint64 {
	return uint64(max(0, counted+rounding))
}
