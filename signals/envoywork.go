package signals

import (
	"fmt"
	"maps"
	"time"
)

// clusterCalls is what a page says of the attempts of a cluster, whichever endpoint they were sent to.
type clusterCalls struct {
	// started is envoy_cluster_upstream_rq_total. Counted: the page has it, which says that the cluster is used.
	started float64
	counted bool
	// retries is envoy_cluster_upstream_rq_retry: those of the attempts, and soon of them, that repeat a call.
	retries float64
	// active is envoy_cluster_upstream_rq_active; a page without it has none under way.
	active float64
	// wrong is why active cannot be that.
	wrong error
}

// setActive takes the gauge. One that makes no sense, as after an underflow, leaves the counters of the cluster as good as they are.
func (c *clusterCalls) setActive(name string, value float64) {
	if c.wrong = checkCounter(name, value); c.wrong == nil {
		c.active = value
	}
}

// proxyWork is what a proxy has done since it was last read, and what it has under way.
type proxyWork struct {
	started, active float64
	// known: it was read before, and a cluster was asked for then.
	known bool
	wrong error
}

// work is that of the clusters that were looked at before, and remembers what has been started. The counters are taken by the rules of
// [ledger.count]. It belongs before that, which says what was looked at.
func (l *ledger) work(p *page, at asOf) proxyWork {
	var out proxyWork
	for cluster := range at.clusters {
		now, was := p.calls[cluster], l.started[cluster]
		if now.counted {
			l.started[cluster] = now.started
		}
		if at.baseline || !l.lookedAt(cluster) {
			continue
		}
		out.known = true
		out.active += now.active
		if now.wrong != nil {
			out.wrong = fmt.Errorf("%s: %w", cluster, now.wrong)
		}
		switch {
		case !now.counted:
			// It may come back with the value that it had.
		case now.started < was:
			out.started += now.started
		default:
			out.started += now.started - was
		}
	}
	maps.DeleteFunc(l.started, func(cluster string, _ float64) bool { return !at.clusters[cluster] })
	return out
}

// workTally adds up the work of proxies.
type workTally struct {
	started, active float64
	// from is when the one of them that was read longest ago was last read; zero: there is none.
	from time.Time
	// notes are about proxies that are left out.
	notes []string
}

// addWork adds that of a proxy which was last read at a time. Without what is under way, what was started is of no use, and is not counted
// later either.
func (l *look) addWork(proxy string, read time.Time, work proxyWork) {
	switch {
	case !work.known:
		return
	case work.wrong != nil:
		l.work.notes = append(l.work.notes, quoted(fmt.Sprintf("proxy %s: how many calls are under way is not known: %v", proxy, work.wrong)))
		return
	}
	l.work.started += work.started
	l.work.active += work.active
	if l.work.from.IsZero() || read.Before(l.work.from) {
		l.work.from = read
	}
}

// at is the sum as of a time. When no time has passed there is nothing to divide by, and nothing is known.
func (t *workTally) at(now time.Time) Work {
	if t.from.IsZero() || !t.from.Before(now) {
		return Work{}
	}
	return Work{Started: uint64(t.started), InFlight: uint64(t.active), Start: t.from, End: now, Known: true}
}
