package signals

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// look is one look at all proxies.
type look struct {
	query    Query
	now      time.Time
	owners   owners
	clusters map[string]bool
	// owned says whose alone a cluster is.
	owned map[string]string
	// counted holds what was counted of each backend.
	counted map[string]*tally
	// latencies are those of each backend, as far as its cluster is its alone; timed are the backends that have them.
	latencies map[string]Histogram
	timed     map[string]bool
	// byCode: gRPC status codes of somebody's choice tell what failed.
	byCode bool
	// seen are the backends that a proxy has statistics of, and which were counted.
	seen map[string]bool
	// contributed: the counts of a proxy were used. baselines: those of a proxy were remembered
	// for the next look.
	contributed, baselines bool
	// withoutEndpoints: a proxy sends calls to the shared cluster and does not count them by endpoint.
	withoutEndpoints bool
	// work is that of the proxies whose counts were used.
	work workTally
	// strays are calls to addresses that are no backend's.
	strays map[string]float64
	// gap says which proxy was last read too long ago; empty: none.
	gap string
	// from is when the proxy that was read longest ago, of those whose counts were used, was last read.
	from time.Time
	// worst is the first trouble with a proxy.
	worst *trouble
}

func newLook(query Query, now time.Time) *look {
	l := &look{
		query: query, now: now, owners: ownersOf(query.Backends),
		clusters: map[string]bool{}, owned: map[string]string{},
		latencies: map[string]Histogram{}, timed: map[string]bool{}, counted: map[string]*tally{}, seen: map[string]bool{}, strays: map[string]float64{},
	}
	if query.Cluster != "" {
		l.clusters[query.Cluster] = true
	}
	for _, backend := range query.Backends {
		l.counted[backend.Name] = &tally{}
		if backend.Cluster != "" {
			l.clusters[backend.Cluster] = true
			l.owned[backend.Cluster] = backend.Name
		}
	}
	return l
}

// blame remembers the first trouble.
func (l *look) blame(trouble *trouble) {
	if l.worst == nil {
		l.worst = trouble
	}
}

// learn notes what a proxy has statistics of.
func (l *look) learn(of *ledger, page *page, baseline bool) {
	if baseline {
		l.baselines = true
		return
	}
	l.contributed = true
	if l.from.IsZero() || of.read.Before(l.from) {
		l.from = of.read
	}
	for _, s := range page.series {
		if of.counts(s.key) {
			l.seen[s.owner] = true
		}
	}
	if page.calls[l.query.Cluster].started > 0 && !of.byEndpoint {
		l.withoutEndpoints = true
	}
}

// counts says whether a counter is one of those that count: by endpoint or by cluster, never both.
func (l *ledger) counts(key seriesKey) bool { return (key.address != "") == l.byEndpoint }

func (p *page) hasEndpoints() bool {
	for _, s := range p.series {
		if s.key.address != "" {
			return true
		}
	}
	return false
}

// ownerOf says whose a counter is: the backend whose cluster it is, or whose address it is now, or,
// if it is nobody's any more, whose it was last. Empty: nobody's.
func (l *look) ownerOf(of *ledger, key seriesKey) string {
	if owner := l.owned[key.cluster]; owner != "" {
		return owner
	}
	if owner := l.owners.of(key.address); owner != "" {
		return owner
	}
	if was := of.counters[key]; was != nil {
		return was.owner
	}
	return ""
}

// own says whose each counter of the page is. The ledger remembers it for the time when an address is nobody's any more.
func (l *look) own(of *ledger, page *page) {
	for i := range page.series {
		page.series[i].owner = l.ownerOf(of, page.series[i].key)
	}
}

func (l *look) add(of *ledger, s series, increase float64) {
	if !of.counts(s.key) || !l.clusters[s.key.cluster] {
		return
	}
	tally := l.counted[s.owner]
	if tally == nil {
		l.strays[s.key.address] += increase
		return
	}
	if s.timedOut {
		if l.query.GivesUp {
			tally.givenUp += increase
		}
		return
	}
	tally.calls += increase
	if s.fails {
		tally.errors += increase
	}
}

// verdict says what is known of a backend.
func (l *look) verdict(backend Backend) Counts {
	message, shared := l.owners.shared[backend.Name]
	switch {
	case len(l.query.Proxies) == 0:
		return unknown(UnknownNoProxies, "the Gateway has no running proxy")
	case !l.contributed && !l.baselines:
		return unknown(l.worst.why, l.worst.message)
	case !l.contributed && l.gap != "":
		return unknown(UnknownGap, l.gap)
	case !l.contributed:
		return unknown(UnknownFirstLook, firstLook)
	case shared && l.owned[backend.Cluster] == "":
		return unknown(UnknownAmbiguous, message)
	case !l.seen[backend.Name] && l.byCode:
		return unknown(UnknownEmpty, "no proxy counts its calls by gRPC status code, which Envoy does only where a backend has a cluster of its own")
	case !l.seen[backend.Name] && l.withoutEndpoints:
		return unknown(UnknownEmpty, "the proxies do not count by endpoint: in the EnvoyProxy set telemetry.metrics.enablePerEndpointStats: true")
	case !l.seen[backend.Name]:
		return unknown(UnknownEmpty, "no proxy has statistics of its endpoints")
	}
	counted := l.counted[backend.Name]
	// Envoy reads one counter after the other, so that an attempt may be among those given up, and among the failed ones of the next look.
	errors := max(0, counted.errors-counted.givenUp)
	out := Counts{Calls: uint64(counted.calls - counted.errors + errors), Errors: uint64(errors)}
	out.Latencies, out.NoLatencies = l.latenciesOf(backend.Name)
	return out
}

// latenciesShared is why Envoy has no latencies of a backend.
const latenciesShared = "Envoy counts them by cluster, and the backends share one"

// notes are about calls that went to nobody's address, and proxies whose work is not known.
func (l *look) notes() []string {
	out := l.work.notes
	for address, calls := range l.strays {
		if calls > 0 {
			out = append(out, fmt.Sprintf("%.0f calls to %s, which belongs to no backend", calls, address))
		}
	}
	slices.SortFunc(out, strings.Compare)
	return out
}
