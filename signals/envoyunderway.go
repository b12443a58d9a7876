package signals

import (
	"time"

	"github.com/headgate/headgate/internal/remainder"
)

// endpointKey names an endpoint of a proxy; without an address it is a whole cluster.
type endpointKey struct{ cluster, address string }

// endpointCalls are the attempts of an endpoint, or of a cluster, since it is there.
type endpointCalls struct {
	// begun is envoy_cluster_endpoint_rq_total. Counted: the page has it.
	begun   float64
	counted bool
	// repeats are those among them that repeat a call, where calls are counted; the last of them may not have begun.
	repeats float64
	// active is envoy_cluster_endpoint_rq_active. Gauged: the page has it, and it can be that.
	active float64
	gauged bool
	// succeeded and failed have ended with an outcome.
	succeeded, failed float64
}

func (c *endpointCalls) setBegun(value float64) { c.begun, c.counted = value, true }

// setActive takes the gauge. One that makes no sense, as after an underflow, is as none.
func (c *endpointCalls) setActive(value float64) {
	if checkCounter("", value) == nil {
		c.active, c.gauged = value, true
	}
}

func (c *endpointCalls) tells() bool { return c.counted && c.gauged }

// fellTo says whether one of the counters has fallen. They belong to one object of Envoy's, so that all have started again then.
func (c *endpointCalls) fellTo(now *endpointCalls) bool {
	return now.begun < c.begun || now.repeats < c.repeats || now.succeeded < c.succeeded || now.failed < c.failed
}

// underWay remembers the attempts of an endpoint.
type underWay struct {
	was  endpointCalls
	seen time.Time
	left remainder.Remainder
	// ahead is how many fewer than none have begun: one that is to repeat a call is known before it begins.
	ahead float64
}

// take remembers what a page says, and returns what has begun, was given up and is under way since the last one. What came of attempts
// to an endpoint that has left, and were under way then, nobody knows.
func (u *underWay) take(now endpointCalls, at time.Time) tally {
	before := u.was
	if before.fellTo(&now) {
		*u, before = underWay{}, endpointCalls{}
	}
	u.was, u.seen = now, at
	begun := now.begun - before.begun - (now.repeats - before.repeats)
	failed := now.failed - before.failed
	over := begun - (now.succeeded - before.succeeded) - failed - (now.active - before.active)
	out := tally{begun: max(0, begun-u.ahead), cancelled: u.left.Settle(over, failed), inFlight: now.active}
	u.ahead = max(0, u.ahead-begun)
	return out
}

// countUnderWay takes the attempts of the page into the ledger and hands those of each endpoint to add, by the rules of [ledger.count]. It
// belongs before that, which says what was looked at. Who does not tell is handed to silent.
func (l *ledger) countUnderWay(p *page, at asOf, add func(endpointKey, tally), silent func(endpointKey)) {
	untold := map[endpointKey]bool{}
	for key, now := range l.endpointsOf(p) {
		was, known := l.underWay[key]
		switch {
		case !now.tells():
			delete(l.underWay, key)
			untold[key] = true
			silent(key)
			continue
		case !known:
			was = &underWay{}
			l.underWay[key] = was
		}
		switch {
		case l.untold[key]:
			// What began since cannot be told either.
			silent(key)
			fallthrough
		case at.baseline, !l.lookedAt(key.cluster), key.address == "" && now.begun >= was.was.begun && was.was.fellTo(now):
			// The codes of a cluster are many counters, of which one that is missing starts nothing again.
			*was = underWay{was: *now, seen: at.now}
		default:
			add(key, was.take(*now, at.now))
		}
	}
	l.untold = untold
}

// endpointsOf are those whose attempts are counted: all endpoints, or the clusters whose calls are told by gRPC status codes.
func (l *ledger) endpointsOf(p *page) map[endpointKey]*endpointCalls {
	if l.byEndpoint {
		return p.endpoints
	}
	out := map[endpointKey]*endpointCalls{}
	for cluster, calls := range p.calls {
		out[endpointKey{cluster: cluster}] = asOne(calls)
	}
	for _, s := range p.series {
		of := out[endpointKey{cluster: s.key.cluster}]
		switch {
		case s.key.address != "":
		case s.fails:
			of.failed += s.value
		default:
			of.succeeded += s.value
		}
	}
	return out
}

// asOne are the calls of a cluster as those of one endpoint. Status codes are of calls, so that attempts which repeat one are left out.
func asOne(c clusterCalls) *endpointCalls {
	return &endpointCalls{begun: c.started, repeats: c.retries, counted: true, active: c.active, gauged: c.wrong == nil}
}
