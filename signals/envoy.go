package signals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// EnvoyConfig is what an Envoy source needs. Zero limits get defaults.
type EnvoyConfig struct {
	// Codes are the gRPC status codes that count as errors; nil: those that are the service's fault. With codes calls are known only where
	// a cluster is one backend's alone: elsewhere Envoy does not tell codes apart.
	Codes Codes
	// Scraper reads the pages of the proxies. All sources of a process share one. Required.
	Scraper *Scraper
	// Clock says when. Required.
	Clock clock.PassiveClock
	// LookTimeout bounds a whole look. The default is 5 s.
	LookTimeout time.Duration
	// Parallel is how many proxies are asked at the same time. The default is 16.
	Parallel int
	// Bound is how long a reading may be used. The default is 15 s.
	Bound time.Duration
	// MaxGap is how long ago the last look at a proxy may be for its counts to be used. The default is Bound: what failed
	// before may be over.
	MaxGap time.Duration
	// FrozenAfter is how long a proxy's statistics may stand still. Its uptime moves with every flush
	// of its statistics, so this has to be longer than the interval of those (Envoy's default is 5 s). The default is 30 s.
	FrozenAfter time.Duration
}

func (c *EnvoyConfig) setDefaults() {
	c.LookTimeout = cmp.Or(c.LookTimeout, 5*time.Second)
	c.Parallel = cmp.Or(c.Parallel, 16)
	c.Bound = cmp.Or(c.Bound, 15*time.Second)
	c.MaxGap = cmp.Or(c.MaxGap, c.Bound)
	c.FrozenAfter = cmp.Or(c.FrozenAfter, 30*time.Second)
}

// Envoy counts calls by the statistics of a Gateway's proxies.
//
// Where backends share a cluster it counts by endpoint (envoy_cluster_endpoint_rq_success and _error,
// which EnvoyProxy's telemetry.metrics.enablePerEndpointStats switches on). These count attempts,
// not calls: an attempt that failed and was repeated elsewhere is an error of the endpoint where it failed. What ended with a
// status that HTTP would answer with 5xx is an error, in trailers as well; so is a timeout of
// Envoy's and a connection that could not be made. What the client gave up is neither: of the attempts of the endpoint (_total) it is
// what is not among those with an outcome and those under way (_active). An attempt that is made beside another one is given up when
// that is answered first.
//
// In a cluster that is one backend's alone, on a proxy without counters by endpoint, it counts by
// gRPC status codes (envoy_cluster_grpc_…), which count calls. What the client gave up is then worked out of the attempts of the cluster
// (envoy_cluster_upstream_rq_total and _active) without those that repeat a call (_retry). Only such a cluster has latencies of a backend, too.
//
// Work is that of whole clusters (envoy_cluster_upstream_rq_total and _active). Both leave out what waits for a connection.
type Envoy struct {
	health

	config EnvoyConfig

	mu      sync.Mutex
	looks   int
	last    time.Time
	proxies map[string]*ledger
	since   map[string]time.Time
}

var _ Source = (*Envoy)(nil)

// NewEnvoy makes the source for one ExposedService.
func NewEnvoy(config EnvoyConfig) *Envoy {
	config.setDefaults()
	return &Envoy{config: config, proxies: map[string]*ledger{}, since: map[string]time.Time{}}
}

// Name implements Source.
func (*Envoy) Name() string { return "Envoy" }

// Read implements Source.
func (e *Envoy) Read(ctx context.Context, query Query) (Reading, error) {
	e.mu.Lock()
	defer e.mu.Unlock()

	now := e.config.Clock.Now()
	if now.Before(e.last) {
		// What lies between the looks cannot be told, so everything starts anew.
		clear(e.proxies)
		clear(e.since)
	}
	e.last = now
	e.looks++

	answers := e.ask(ctx, query)
	now = oldest(answers, now)
	reading := Reading{Source: e.Name(), Taken: now, Bound: e.config.Bound, Asked: len(query.Proxies)}
	look := newLook(query, now)
	look.byCode = e.config.Codes != nil
	for i, proxy := range query.Proxies {
		trouble := answers[i].trouble
		if trouble == nil {
			trouble = e.take(look, proxy, answers[i].stats)
		}
		if trouble == nil {
			reading.Answered++
			continue
		}
		look.blame(trouble)
		reading.Notes = append(reading.Notes, "proxy "+proxy.Name+": "+trouble.message)
	}
	e.forget(now)

	reading.Backends = e.conclude(look)
	reading.Work = look.work.at(look.now)
	reading.Notes = append(reading.Notes, look.notes()...)
	return reading, e.report(&reading, look)
}

// report keeps the health, and says whether the source as a whole failed.
func (e *Envoy) report(reading *Reading, look *look) error {
	switch {
	case reading.Answered > 0:
		complaint := ""
		if reading.Answered < reading.Asked {
			complaint = fmt.Sprintf("%d of %d proxies: %s", reading.Asked-reading.Answered, reading.Asked, look.worst.message)
		}
		e.succeeded(reading.Taken, complaint)
		return nil
	case reading.Asked == 0:
		e.failed("the Gateway has no running proxy")
		return errors.New("the Gateway has no running proxy")
	}
	message := fmt.Sprintf("none of %d proxies: %s", reading.Asked, look.worst.message)
	e.failed(message)
	return errors.New(message)
}

// trouble is why a proxy, or server, says nothing.
type trouble struct {
	why     Unknown
	message string
}

// err is the same as an error; nil: there is no trouble.
func (t *trouble) err() error {
	if t == nil {
		return nil
	}
	return errors.New(t.message)
}

type answer struct {
	stats   *envoyStats
	trouble *trouble
}

// oldest is when the oldest of the pages was taken: calls that have ended by then are on all of them. Without any it is now.
func oldest(answers []answer, now time.Time) time.Time {
	for _, a := range answers {
		if a.trouble == nil && a.stats.taken.Before(now) {
			now = a.stats.taken
		}
	}
	return now
}

// ask asks all proxies for pages that are newer than the last ones. The answers are in the order of the proxies; the order of
// asking changes from look to look, so that slow ones do not always keep the same others waiting.
func (e *Envoy) ask(ctx context.Context, query Query) []answer {
	return askAll(ctx, e.config.LookTimeout, e.config.Parallel, len(query.Proxies), e.looks, func(ctx context.Context, i int) answer {
		var last time.Time
		if l := e.proxies[query.Proxies[i].ID]; l != nil {
			last = l.read
		}
		stats, trouble := e.config.Scraper.read(ctx, query.Proxies[i].Address, last)
		return answer{stats, trouble}
	}, answer{trouble: notAsked()})
}

// take counts what a page says of these clusters, and tells why it cannot be used.
func (e *Envoy) take(look *look, proxy Proxy, stats *envoyStats) *trouble {
	page, err := stats.of(look.clusters, look.owned, e.config.Codes)
	if err != nil {
		return &trouble{UnknownGarbage, quoted("the answer is not Envoy's statistics: " + err.Error())}
	}
	l, known := e.proxies[proxy.ID]
	if !known {
		l = newLedger()
	}
	if trouble := e.timeTrouble(l, known, page, stats.taken); trouble != nil {
		return trouble
	}
	e.proxies[proxy.ID] = l

	at := asOf{now: stats.taken, clusters: look.clusters, baseline: !known}
	if gap := at.now.Sub(l.read); known && gap > e.config.MaxGap {
		at.baseline = true
		look.gap = fmt.Sprintf("proxy %s was last read %s ago: calls are counted from now on", proxy.Name, gap.Round(time.Second))
	}
	l.byEndpoint = !look.byCode && (l.byEndpoint || page.hasEndpoints())
	look.own(l, page)
	look.learn(l, page, at.baseline)
	look.addLatencies(l.grow(page, at.baseline))
	look.addWork(proxy.Name, l.read, l.work(page, at))
	l.countUnderWay(page, at, func(of endpointKey, attempts tally) { look.addUnderWay(page.owners[of].backend, attempts) },
		func(of endpointKey) { look.untold[page.owners[of].backend] = true })
	l.count(page, at, func(of series, increase float64) { look.add(l, of, increase) })
	return nil
}

// timeTrouble says whether the page is from another time than now.
func (e *Envoy) timeTrouble(l *ledger, known bool, page *page, now time.Time) *trouble {
	if !page.times.newest.IsZero() && page.times.newest.Sub(now) > e.config.Bound {
		return &trouble{UnknownTime, fmt.Sprintf("its statistics are %s in the future", page.times.newest.Sub(now).Round(time.Second))}
	}
	if !page.times.oldest.IsZero() && now.Sub(page.times.oldest) > e.config.Bound {
		return &trouble{UnknownTime, fmt.Sprintf("its statistics are %s old", now.Sub(page.times.oldest).Round(time.Second))}
	}
	if !known {
		return nil
	}
	// A process that restarted since the last look is younger than that look is old.
	if l.backInTime(page) && page.uptime > now.Sub(l.read).Seconds()+uptimeSlack.Seconds() {
		message := fmt.Sprintf("its uptime fell from %.0f s to %.0f s", l.uptime, page.uptime)
		// The next look is measured against this one, so that a clock which was set back ends it.
		l.uptime = page.uptime
		return &trouble{UnknownTime, message}
	}
	if still := now.Sub(l.moved); page.uptime >= 0 && still >= e.config.FrozenAfter && l.same(page) {
		return &trouble{UnknownTime, fmt.Sprintf("its statistics have stood still for %s", still.Round(time.Second))}
	}
	return nil
}

// forget drops proxies that have not been read for long.
func (e *Envoy) forget(now time.Time) {
	for id, l := range e.proxies {
		if now.Sub(l.read) > retention {
			delete(e.proxies, id)
		}
	}
}

// conclude turns what was counted into what is known of each backend.
func (e *Envoy) conclude(look *look) map[string]Counts {
	out := make(map[string]Counts, len(look.query.Backends))
	last := e.lastCounted()
	for _, backend := range look.query.Backends {
		name := backend.Name
		counts := look.verdict(backend)
		since, begun := e.since[name]
		if !begun && !look.fresh[name] {
			// It was not asked about, and its calls since the last look are known all the same.
			since, begun = last, true
		}
		switch {
		case counts.Known() && !begun:
			// Others were counted before; the statistics of this backend were there and not looked at.
			counts = unknown(UnknownFirstLook, firstLook)
			e.since[name] = look.now
		case counts.Known():
			counts.Start, counts.End = since, look.now
			if look.from.After(since) {
				counts.Start = look.from
			}
			e.since[name] = look.now
		case counts.Unknown == UnknownFirstLook, counts.Unknown == UnknownGap, counts.Unknown == UnknownAmbiguous:
			e.since[name] = look.now
		}
		out[name] = counts
	}
	for name := range e.since {
		if _, asked := out[name]; !asked {
			delete(e.since, name)
		}
	}
	return out
}

// lastCounted is up to when the calls of some backend have been counted; zero: none have.
func (e *Envoy) lastCounted() time.Time {
	var last time.Time
	for _, since := range e.since {
		if since.After(last) {
			last = since
		}
	}
	return last
}

const firstLook = "this is the first look: calls are counted from now on"
