package loadreport

import (
	"maps"
	"sync"
	"time"

	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/headgate/headgate/xds/cache"
)

const (
	// maxBackends that are counted of an ExposedService, over its life: a spec has eight and a canary, and those
	// that it had before stay. With the ExposedServices of the cache this bounds what clients can make a
	// replica remember.
	maxBackends = 64
	// askedFor is how long reports are needed after somebody has read them: readers come every second or two.
	askedFor = 15 * time.Second
	// sweepInterval is how often what the cache no longer has is forgotten.
	sweepInterval = time.Minute
)

// ledger is what was reported to this replica since its start.
type ledger struct {
	// known says whether there is such an ExposedService.
	known   func(cache.Owner) bool
	maxSpan time.Duration

	mu       sync.Mutex
	services map[cache.Owner]*service
	swept    time.Time
	// reporters are the connected clients. asked is when somebody last read what is reported on a namespace.
	reporters map[*reporter]struct{}
	asked     map[string]time.Time
}

// service is what was reported of an ExposedService.
type service struct {
	backends map[string]Totals
	// givenUp are the calls that ended without an outcome.
	givenUp map[string]uint64
	// reporters are the connected clients that have reported on it, with what they have under way.
	reporters map[*reporter]inFlight
}

// reporter is a client's stream.
type reporter struct {
	scope cache.Scope
	// heard is when it last reported, whatever it said, and reports is how often it has.
	heard   time.Time
	reports uint64
	// on are the ExposedServices that it has reported on.
	on map[cache.Owner]struct{}
	// wake is signalled when somebody begins to read what it may report on.
	wake chan struct{}
}

// ignored is why a part of a report is not counted: a label of the metric.
type ignored string

const (
	// ignoredForeign: no cluster of an ExposedService that the client may read.
	ignoredForeign ignored = "Foreign"
	// ignoredNameless: a locality that is no backend's.
	ignoredNameless ignored = "Nameless"
	// ignoredNonsense: a number that is no count of calls.
	ignoredNonsense ignored = "Nonsense"
	// ignoredLate: a report of too long a time.
	ignoredLate ignored = "Late"
	// ignoredBound: one backend more than is remembered.
	ignoredBound ignored = "TooManyBackends"
)

var allIgnored = []ignored{ignoredForeign, ignoredNameless, ignoredNonsense, ignoredLate, ignoredBound}

func newLedger(known func(cache.Owner) bool, maxSpan time.Duration) *ledger {
	return &ledger{
		known: known, maxSpan: maxSpan, services: map[cache.Owner]*service{},
		reporters: map[*reporter]struct{}{}, asked: map[string]time.Time{},
	}
}

// connect makes a reporter. It is heard with its first report.
func (l *ledger) connect(scope cache.Scope) *reporter {
	r := &reporter{scope: scope, on: map[cache.Owner]struct{}{}, wake: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reporters[r] = struct{}{}
	return r
}

// needs says whether somebody reads what the reporter may report on.
func (l *ledger) needs(r *reporter, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !r.scope.AllNamespaces {
		return l.isAsked(r.scope.Namespace, now)
	}
	for namespace := range l.asked {
		if l.isAsked(namespace, now) {
			return true
		}
	}
	return false
}

// isAsked: the mutex is held.
func (l *ledger) isAsked(namespace string, now time.Time) bool {
	at, asked := l.asked[namespace]
	return asked && now.Sub(at) < askedFor
}

// ask notes that somebody reads what is reported on a namespace.
func (l *ledger) ask(namespace string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.isAsked(namespace, now)
	l.asked[namespace] = now
	if was {
		return
	}
	for r := range l.reporters {
		if r.scope.Reads(namespace) {
			select {
			case r.wake <- struct{}{}:
			default:
			}
		}
	}
}

// close forgets the reporter, and nothing that it reported.
func (l *ledger) close(r *reporter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.reporters, r)
	for owner := range r.on {
		if s := l.services[owner]; s != nil {
			delete(s.reporters, r)
		}
	}
}

// add takes in a report and hands each part that is not counted to ignore.
func (l *ledger) add(r *reporter, stats []*endpoint.ClusterStats, now time.Time, ignore func(ignored)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	r.heard = now
	r.reports++
	told := map[*service]bool{}
	for _, cluster := range stats {
		owner, ok := ownerOf(cluster.GetClusterName())
		switch {
		case !ok || !r.scope.Reads(owner.Namespace) || l.services[owner] == nil && !l.known(owner):
			ignore(ignoredForeign)
		case cluster.GetLoadReportInterval().AsDuration() > l.maxSpan:
			ignore(ignoredLate)
		default:
			s := l.service(owner)
			r.on[owner] = struct{}{}
			s.add(r, cluster, ignore)
			told[s] = true
		}
	}
	// Several parts of a report may be about one place.
	for s := range told {
		s.reporters[r].settle(r, s.givenUp)
	}
}

func (l *ledger) service(owner cache.Owner) *service {
	s := l.services[owner]
	if s == nil {
		s = &service{backends: map[string]Totals{}, givenUp: map[string]uint64{}, reporters: map[*reporter]inFlight{}}
		l.services[owner] = s
	}
	return s
}

func (s *service) add(r *reporter, cluster *endpoint.ClusterStats, ignore func(ignored)) {
	under := s.reporters[r]
	if under == nil {
		under = inFlight{}
		s.reporters[r] = under
	}
	own := isOwn(cluster.GetClusterName())
	for _, locality := range cluster.GetUpstreamLocalityStats() {
		backend := locality.GetLocality().GetZone()
		counted := totalsOf(locality)
		total, known := s.backends[backend]
		switch {
		case backend == "":
			ignore(ignoredNameless)
		case !counted.sensible() || locality.GetTotalRequestsInProgress() > maxCalls:
			ignore(ignoredNonsense)
		case !known && len(s.backends) >= maxBackends:
			ignore(ignoredBound)
		default:
			s.backends[backend] = total.plus(counted)
			under.say(place{backend, own}, locality.GetTotalRequestsInProgress(), counted, r)
		}
	}
}

// sweep forgets ExposedServices that are gone.
func (l *ledger) sweep(now time.Time) {
	if now.Sub(l.swept) < sweepInterval {
		return
	}
	l.swept = now
	maps.DeleteFunc(l.asked, func(namespace string, _ time.Time) bool { return !l.isAsked(namespace, now) })
	for owner, s := range l.services {
		if l.known(owner) {
			continue
		}
		for r := range s.reporters {
			delete(r.on, owner)
		}
		delete(l.services, owner)
	}
}

// read is what was reported of an ExposedService, what its connected clients have said since then to have under way, and whether
// one of them was heard since then.
func (l *ledger) read(owner cache.Owner, since time.Time) (totals map[string]Totals, underWay map[string]uint64, heard bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.services[owner]
	if s == nil {
		return nil, nil, false
	}
	totals, underWay = maps.Clone(s.backends), make(map[string]uint64, len(s.backends))
	for r, under := range s.reporters {
		heard = heard || !r.heard.Before(since)
		under.addTo(underWay, since)
	}
	return totals, underWay, heard
}

// givenUp are the calls that ended without an outcome, by backend.
func (l *ledger) givenUp(owner cache.Owner) map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.services[owner]; s != nil {
		return maps.Clone(s.givenUp)
	}
	return nil
}
