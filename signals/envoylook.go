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
	// pods hold the same by endpoint, as far as it is a pod's.
	pods map[string]map[string]tally
	// untold are backends of which an endpoint does not tell what has begun; tells: there is one that does.
	untold map[string]bool
	tells  bool
	// latencies are those of each backend, as far as its cluster is its alone; timed are the backends that have them.
	latencies map[string]Histogram
	timed     map[string]bool
	// byCode: gRPC status codes of somebody's choice tell what failed.
	byCode bool
	// seen are the backends that a proxy has statistics of, and which were counted.
	seen map[string]bool
	// expected are the backends whose endpoints would be among the statistics if they had been called, and fresh those with a cluster
	// that a proxy had, and that was not looked at, before this look.
	expected, fresh map[string]bool
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
		latencies: map[string]Histogram{}, timed: map[string]bool{}, counted: map[string]*tally{}, strays: map[string]float64{},
		pods: map[string]map[string]tally{}, untold: map[string]bool{},
		seen: map[string]bool{}, expected: map[string]bool{}, fresh: map[string]bool{},
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
	in := map[string]bool{}
	for _, s := range page.series {
		if of.counts(s.key) {
			l.seen[s.owner.backend] = true
			in[s.key.cluster] = true
		}
	}
	l.expect(of, page, in)
	if page.calls[l.query.Cluster].started > 0 && !of.byEndpoint {
		l.withoutEndpoints = true
	}
}

// expect notes which backends would be among the statistics. Of a cluster that is used Envoy shows all endpoints. A cluster of its own is
// shown when it has had calls, as those of others are.
func (l *look) expect(of *ledger, page *page, counted map[string]bool) {
	for _, backend := range l.query.Backends {
		for _, cluster := range []string{l.query.Cluster, backend.Cluster} {
			if counted[cluster] {
				l.expected[backend.Name] = true
			}
			if _, has := page.calls[cluster]; has && !of.lookedAt(cluster) {
				l.fresh[backend.Name] = true
			}
		}
		if backend.Cluster != "" && !of.byEndpoint && len(counted) > 0 {
			l.expected[backend.Name] = true
		}
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
	page.owners = make(map[endpointKey]endpointOwner, len(page.endpoints)+len(l.owned))
	for cluster, backend := range l.owned {
		page.owners[endpointKey{cluster: cluster}] = endpointOwner{backend: backend}
	}
	for i := range page.series {
		s := &page.series[i]
		key := endpointKey{s.key.cluster, s.key.address}
		owner := page.owners[key]
		if owner.backend == "" {
			owner.backend = l.ownerOf(of, s.key)
			owner.pod = owner.backend != "" && s.key.address != "" && !l.owners.standsForOthers(s.key.address)
			page.owners[key] = owner
		}
		s.owner = owner
	}
}

// addUnderWay adds the attempts of an endpoint.
func (l *look) addUnderWay(backend string, attempts tally) {
	if counted := l.counted[backend]; counted != nil {
		l.tells = true
		counted.add(attempts)
	}
}

func (l *look) add(of *ledger, s series, increase float64) {
	if !of.counts(s.key) || !l.clusters[s.key.cluster] {
		return
	}
	counted := l.counted[s.owner.backend]
	if counted == nil {
		l.strays[s.key.address] += increase
		return
	}
	var more tally
	switch {
	case !s.timedOut:
		more.calls = increase
		if s.fails {
			more.errors = increase
		}
	case l.query.GivesUp:
		more.givenUp = increase
	}
	counted.add(more)
	if s.owner.pod {
		l.addPod(s.owner.backend, s.key.address, more)
	}
}

func (l *look) addPod(backend, address string, more tally) {
	if l.pods[backend] == nil {
		l.pods[backend] = map[string]tally{}
	}
	pod := l.pods[backend][address]
	pod.add(more)
	l.pods[backend][address] = pod
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
	case !l.seen[backend.Name] && l.expected[backend.Name] && !l.withoutEndpoints:
		// It has had no calls that ended.
	case !l.seen[backend.Name] && l.byCode:
		return unknown(UnknownEmpty, "no proxy counts its calls by gRPC status code, which Envoy does only where a backend has a cluster of its own")
	case !l.seen[backend.Name] && l.withoutEndpoints:
		return unknown(UnknownEmpty, "the proxies do not count by endpoint: in the EnvoyProxy set telemetry.metrics.enablePerEndpointStats: true")
	case !l.seen[backend.Name]:
		return unknown(UnknownEmpty, "no proxy has statistics of its endpoints")
	}
	return l.countsOf(backend.Name)
}

// countsOf are those of a backend of which something is known.
func (l *look) countsOf(backend string) Counts {
	counted := l.counted[backend]
	calls, errors, givenUp := counted.counts()
	out := Counts{Calls: uint64(calls), Errors: uint64(errors)}
	if l.tells && !l.untold[backend] {
		out.TellsBegun, out.TellsCancelled = true, true
		out.Begun, out.InFlight = uint64(counted.begun), uint64(counted.inFlight)
		out.Cancelled = uint64(counted.cancelled + givenUp)
	}
	if pods := l.pods[backend]; pods != nil {
		for address, of := range pods {
			of.calls, of.errors, _ = of.counts()
			pods[address] = of
		}
		out.Pods = podsOf(pods)
		fitPods(out.Pods, out)
	}
	out.Latencies, out.NoLatencies = l.latenciesOf(backend)
	return out
}

// fitPods takes away from pods what they have more than all together: an attempt that Envoy gave up, and that is not among the failed ones
// of its pod yet, was taken away from those of another.
func fitPods(pods []PodCalls, all Counts) {
	calls := uint64(0)
	for _, pod := range pods {
		calls += pod.Calls
	}
	for i := range pods {
		over := min(pods[i].Errors, max(calls, all.Calls)-all.Calls)
		pods[i].Calls -= over
		pods[i].Errors -= over
		calls -= over
	}
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
