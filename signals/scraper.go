package signals

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// ScraperConfig is what a Scraper needs. Zero limits get defaults.
type ScraperConfig struct {
	// Client asks the proxies. Required.
	Client *http.Client
	// Clock says when. Required.
	Clock clock.PassiveClock
	// Interval is for how long a page does for those who have not seen it yet. The default is 1 s.
	Interval time.Duration
	// Timeout bounds the answer of one proxy. The default is 2 s.
	Timeout time.Duration
	// MaxBytes bounds the answer of one proxy. The default is 64 MiB, some ten thousand clusters.
	MaxBytes int64
	// Scraped, if set, is told of each answer of a proxy, and of those that did not come: then the error says why.
	Scraped func(error)
}

// Scraper reads the statistics of proxies for all who count calls by them: each proxy once in an interval, one request at a time,
// however many ExposedServices its Gateway has. A proxy answers on its main thread, which takes new endpoints from the control plane as well.
// What it says is shared; a proxy that is silent costs those who ask for it, and they wait for it once.
type Scraper struct {
	config ScraperConfig

	mu      sync.Mutex
	proxies map[netip.AddrPort]*scraped
}

// scraped is a proxy.
type scraped struct {
	// asked is when somebody last asked for it.
	asked time.Time
	// page is the last; nil: there is none.
	page *envoyStats
	// silent: the last request had no answer in time, so that nobody waits long for the next.
	silent bool
	// flight is the request that is under way; nil: there is none.
	flight *flight
}

// flight is a request that is under way.
type flight struct {
	// done is closed when page and trouble are there, and soon if they are not when those have waited long enough who expect none.
	done, soon chan struct{}
	page       *envoyStats
	trouble    *trouble
	// waiting is how many wait for it; cancel ends it when nobody does any more.
	waiting int
	cancel  context.CancelFunc
}

const (
	// graceOfSilent is how long an answer of a proxy is waited for that gave none the last time.
	graceOfSilent = 100 * time.Millisecond
	// forgetProxy is how long a proxy is remembered that nobody asks for.
	forgetProxy = time.Minute
)

// NewScraper makes a Scraper.
func NewScraper(config ScraperConfig) *Scraper {
	config.Interval = cmp.Or(config.Interval, time.Second)
	config.Timeout = cmp.Or(config.Timeout, 2*time.Second)
	config.MaxBytes = cmp.Or(config.MaxBytes, 64<<20)
	config.Client = noRedirects(config.Client)
	return &Scraper{config: config, proxies: map[netip.AddrPort]*scraped{}}
}

// read returns a page of the proxy at an address that is newer than the last one of whoever asks, or says why there is none.
func (s *Scraper) read(ctx context.Context, address netip.AddrPort, last time.Time) (*envoyStats, *trouble) {
	s.mu.Lock()
	now := s.config.Clock.Now()
	proxy := s.proxies[address]
	if proxy == nil {
		proxy = &scraped{}
		s.proxies[address] = proxy
	}
	proxy.asked = now
	if page := proxy.page; page != nil && page.taken.After(last) && !page.taken.After(now) && now.Sub(page.taken) < s.config.Interval {
		s.mu.Unlock()
		return page, nil
	}
	if proxy.flight == nil {
		s.forget(now)
		s.start(address, proxy, now) //nolint:contextcheck // the request is for all who come while it is under way
	}
	under := proxy.flight
	under.waiting++
	var soon chan struct{}
	if proxy.silent {
		soon = under.soon
	}
	s.mu.Unlock()
	return s.wait(ctx, under, soon)
}

// wait waits for an answer.
func (s *Scraper) wait(ctx context.Context, under *flight, soon chan struct{}) (*envoyStats, *trouble) {
	select {
	case <-under.done:
		return under.page, under.trouble
	case <-soon:
		// It may still answer, for those who ask next.
		return nil, noAnswer
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if under.waiting--; under.waiting == 0 {
		under.cancel()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, noAnswer
	}
	return nil, &trouble{UnknownUnreachable, presentable(ctx.Err().Error())}
}

// start asks a proxy. The request is nobody's alone, so that it ends with nobody's context.
func (s *Scraper) start(address netip.AddrPort, proxy *scraped, now time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	under := &flight{done: make(chan struct{}), soon: make(chan struct{}), cancel: cancel}
	proxy.flight = under
	last := proxy.page
	grace := time.AfterFunc(graceOfSilent, func() { close(under.soon) })
	go func() {
		defer cancel()
		under.page, under.trouble = s.ask(ctx, address, now, last)
		grace.Stop()
		s.mu.Lock()
		proxy.flight = nil
		proxy.silent = under.trouble == noAnswer
		if under.page != nil {
			proxy.page = under.page
		}
		s.mu.Unlock()
		close(under.done)
	}()
}

func (s *Scraper) ask(ctx context.Context, address netip.AddrPort, now time.Time, last *envoyStats) (page *envoyStats, bad *trouble) {
	bad = fetch(ctx, s.config.Client, statsURL(address), s.config.Timeout, s.config.MaxBytes, func(from io.Reader) (err error) {
		if page, err = readStats(from, now, last); err != nil {
			return fmt.Errorf("the answer is not Envoy's statistics: %w", err)
		}
		return nil
	})
	switch {
	case bad != nil:
		page = nil
	case page.empty():
		page, bad = nil, &trouble{UnknownEmpty, "the answer has no statistics"}
	}
	if s.config.Scraped != nil {
		s.config.Scraped(bad.err())
	}
	return page, bad
}

// forget drops proxies that nobody has asked for in a while, with their pages.
func (s *Scraper) forget(now time.Time) {
	for address, proxy := range s.proxies {
		if proxy.flight == nil && now.Sub(proxy.asked).Abs() > forgetProxy {
			delete(s.proxies, address)
		}
	}
}
