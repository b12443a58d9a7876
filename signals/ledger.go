package signals

import "time"

// tally is what was counted for a backend.
type tally struct {
	calls, errors float64
	// givenUp is how many of the errors are attempts that Envoy gave up by itself, where that says nothing of the backend.
	givenUp float64
	// begun, cancelled and inFlight are as in [Counts].
	begun, cancelled, inFlight float64
}

func (t *tally) add(other tally) {
	t.calls += other.calls
	t.errors += other.errors
	t.givenUp += other.givenUp
	t.begun += other.begun
	t.cancelled += other.cancelled
	t.inFlight += other.inFlight
}

// counts are the calls and errors, without the attempts that Envoy gave up, and how many of those there are. Envoy reads one counter after
// the other, so that an attempt may be among those given up, and among the failed ones of the next look.
func (t *tally) counts() (calls, errors, givenUp float64) {
	givenUp = min(t.errors, t.givenUp)
	return t.calls - givenUp, t.errors - givenUp, givenUp
}

// ledger remembers the counters of one proxy, and what was already counted of them.
type ledger struct {
	// read is when the proxy was last read.
	read time.Time
	// uptime is what the process said then; -1: nothing.
	uptime float64
	// moved is when anything on the page last changed.
	moved time.Time
	// clusters are those that were asked for then.
	clusters map[string]bool
	// names are those of all clusters that the proxy had statistics of then.
	names map[string]bool
	// byEndpoint: the process has counters for each endpoint, and those are counted.
	byEndpoint bool
	counters   map[seriesKey]*counter
	// latencies are the last histograms, by cluster.
	latencies map[string]Histogram
	// underWay are the last attempts that were counted by what is under way, by endpoint, or by cluster.
	underWay map[endpointKey]*underWay
	// untold are endpoints that did not tell them at the last look.
	untold map[endpointKey]bool
	// started is how many attempts there had been, by cluster. As with counters it outlives the cluster.
	started map[string]float64
}

// counter is the last value of a series. It outlives the series: one that comes back with the
// value that it had must not be counted again.
type counter struct {
	value float64
	seen  time.Time
	// owner is the backend that it last counted for.
	owner string
}

func newLedger() *ledger {
	return &ledger{
		uptime: -1, counters: map[seriesKey]*counter{}, latencies: map[string]Histogram{}, underWay: map[endpointKey]*underWay{},
		started: map[string]float64{},
	}
}

// lookedAt: what a cluster has that it did not have at the last look has come since then. The cluster was asked for then, or the proxy
// had none of that name.
func (l *ledger) lookedAt(cluster string) bool {
	return l.clusters[cluster] || l.names != nil && !l.names[cluster]
}

// asOf is what is known of a page before it is counted.
type asOf struct {
	now      time.Time
	clusters map[string]bool
	// baseline: the counters are only remembered, and not counted.
	baseline bool
}

// uptimeSlack allows for clocks that run at different speeds and for whole seconds.
const uptimeSlack = 2 * time.Second

// backInTime says whether the process claims to be younger than it was.
func (l *ledger) backInTime(p *page) bool {
	return l.uptime >= 0 && p.uptime >= 0 && p.uptime < l.uptime
}

// same says whether nothing on the page differs from the last one.
func (l *ledger) same(p *page) bool {
	if p.uptime != l.uptime {
		return false
	}
	for _, now := range p.series {
		if was, ok := l.counters[now.key]; !ok || now.value != was.value {
			return false
		}
	}
	return true
}

// count takes the page into the ledger and hands each increase to add. An increase is never more
// than what was really added since the last look:
//   - a counter that grew adds the difference. Had it started again in between, it would be more;
//   - a counter that fell has started again, so it adds what it is. All do when the process
//     restarts, and those of an endpoint when it leaves and comes back or moves to another priority;
//   - a counter that is new adds what it is if its cluster was looked at before, or was not there then,
//     because it started after that look;
//   - one that has vanished adds nothing, and if it comes back only what it grew by.
func (l *ledger) count(p *page, at asOf, add func(of series, increase float64)) {
	if !l.same(p) {
		l.moved = at.now
	}
	for _, now := range p.series {
		was := l.counters[now.key]
		if was == nil {
			was = &counter{}
			l.counters[now.key] = was
		}
		switch {
		case at.baseline || !l.lookedAt(now.key.cluster):
			// Remembered, and not counted.
		case now.value < was.value:
			add(now, now.value)
		default:
			add(now, now.value-was.value)
		}
		was.value, was.seen, was.owner = now.value, at.now, now.owner.backend
	}
	l.read, l.uptime, l.clusters, l.names = at.now, p.uptime, at.clusters, p.names
	l.forget(at.now)
}

// retention is how long a series or proxy that has vanished is remembered.
const retention = time.Hour

func (l *ledger) forget(now time.Time) {
	for key, was := range l.counters {
		if now.Sub(was.seen) > retention {
			delete(l.counters, key)
		}
	}
	for key, was := range l.underWay {
		if now.Sub(was.seen) > retention {
			delete(l.underWay, key)
		}
	}
}
