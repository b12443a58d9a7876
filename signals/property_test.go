package signals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
)

// world is a Gateway in which calls are made, proxies restart, and endpoints come and go. It knows
// the true number of calls.
type world struct {
	now     time.Time
	proxies map[string]*modelProxy
	// reading: pages are read one at a time, because calls are made meanwhile.
	reading sync.Mutex
	// trueCalls and trueErrors are those of all proxies since the first look at each.
	trueCalls, trueErrors uint64
	counted, failed       uint64
	// started are the attempts of all readings, and begun and cancelled those of all backends.
	started, begun, cancelled uint64
	// trueBegun and trueCancelled are the calls that began, and that were given up, since the first look at their proxies; initial were under
	// way then. Skewed ended, or began and ended, while a page was read.
	trueBegun, trueCancelled, initial, skewed uint64

	clock   *clocktesting.FakePassiveClock
	source  *Envoy
	address int
	// moved: the second address belongs to the backup now.
	moved bool
}

type modelProxy struct {
	address   netip.AddrPort
	since     time.Time
	clockBack time.Duration
	endpoints map[string]outcome
	// attempts are those to the endpoints.
	attempts map[string]attempts
	// hurried has a call begin and end while the next page is read; empty: none does.
	hurried string
	// started are the calls to all endpoints, also those that are gone; active are under way, and most is the most that have been.
	started, active, most int
	// frozen is the page that it keeps showing; empty: it shows what is.
	frozen string
	// hidden are endpoints that it does not show for now.
	hidden map[string]bool
	down   bool
	// unlisted: the caller does not know it.
	unlisted bool
	// read: it has been read. Calls before that are not to be counted, and until then it hides nothing.
	read bool
}

var modelAddresses = []string{"10.0.0.1:50051", "10.0.0.2:50051", "10.0.0.3:50051"}

// page reads the attempts after their outcomes, as Envoy does.
func (w *world) page(p *modelProxy) string {
	now := w.now
	shown, counted := map[string]outcome{}, map[string]attempts{}
	for address, of := range p.endpoints {
		if !p.hidden[address] {
			shown[address] = of
		}
	}
	if p.hurried != "" && p.read {
		w.call(p, p.hurried, 1, 0)
		w.skewed++
		p.hurried = ""
	}
	for address := range shown {
		counted[address] = p.attempts[address]
	}
	// The uptime is as of the last flush of the statistics, each 5 s.
	uptime := now.Sub(p.since).Truncate(5*time.Second) - p.clockBack
	return statistics(max(0, uptime.Seconds()), sharedCluster, shown, aCluster{p.started, strconv.Itoa(p.active)}) + attemptsOf(sharedCluster, counted)
}

// RoundTrip implements http.RoundTripper.
func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	for _, proxy := range w.proxies {
		if proxy.address.String() != request.URL.Host {
			continue
		}
		if proxy.down {
			return nil, errors.New("connection refused")
		}
		w.reading.Lock()
		defer w.reading.Unlock()
		text := proxy.frozen
		if text == "" {
			text = w.page(proxy)
		}
		return &http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, ContentLength: int64(len(text)),
			Body: io.NopCloser(strings.NewReader(text)), Request: request,
		}, nil
	}
	return nil, errors.New("no route to host")
}

func newWorld() *world {
	w := &world{now: noon, proxies: map[string]*modelProxy{}, clock: clocktesting.NewFakePassiveClock(noon)}
	w.source = NewEnvoy(EnvoyConfig{
		Scraper: NewScraper(ScraperConfig{Client: &http.Client{Transport: w}, Clock: w.clock}), Clock: w.clock, MaxGap: time.Minute,
	})
	return w
}

func (w *world) addProxy() {
	w.address++
	proxy := &modelProxy{
		address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(w.address)}), StatsPort),
		since:   w.now, endpoints: map[string]outcome{}, attempts: map[string]attempts{}, hidden: map[string]bool{},
	}
	for _, address := range modelAddresses {
		proxy.endpoints[address] = outcome{}
	}
	w.proxies[fmt.Sprintf("envoy-%d", w.address)] = proxy
}

func (w *world) look(t *rapid.T) {
	w.clock.SetTime(w.now)
	second := Endpoint{Addresses: []netip.AddrPort{netip.MustParseAddrPort(modelAddresses[1])}, Ready: true}
	query := Query{Cluster: sharedCluster, Backends: []Backend{
		{Name: "primary", Endpoints: endpointsAt(modelAddresses[0])}, {Name: "backup", Endpoints: endpointsAt(modelAddresses[2])},
	}}
	holder := 0
	if w.moved {
		holder = 1
	}
	query.Backends[holder].Endpoints = append(query.Backends[holder].Endpoints, second)
	for _, id := range slices.Sorted(maps.Keys(w.proxies)) {
		if !w.proxies[id].unlisted {
			query.Proxies = append(query.Proxies, Proxy{ID: id, Name: id, Address: w.proxies[id].address})
		}
	}
	reading, _ := w.source.Read(context.Background(), query)
	for name, counts := range reading.Backends {
		if counts.Errors > counts.Calls {
			t.Fatalf("%s: %+v", name, counts)
		}
		w.counted += counts.Calls
		w.failed += counts.Errors
		w.begun += counts.Begun
		w.cancelled += counts.Cancelled
		checkPods(t, counts)
	}
	for _, proxy := range query.Proxies {
		if p := w.proxies[proxy.ID]; !p.read && !p.down {
			p.read = true
			for _, of := range p.attempts {
				w.initial += uint64(of.active)
			}
		}
	}
	w.started += reading.Work.Started
	w.checkWork(t, reading)
	if w.counted > w.trueCalls || w.failed > w.trueErrors {
		t.Fatalf("counted %d calls and %d errors of %d and %d", w.counted, w.failed, w.trueCalls, w.trueErrors)
	}
	// What began and ended while a page was read seems to be given up, and is taken back from what is given up next.
	if w.begun > w.trueBegun || w.cancelled > w.trueCancelled+w.skewed || w.counted+w.cancelled > w.trueBegun+w.initial+w.skewed {
		t.Fatalf("%d begun of %d, %d given up of %d, and %d with an outcome; %d were under way before",
			w.begun, w.trueBegun, w.cancelled, w.trueCancelled, w.counted, w.initial)
	}
}

// checkPods: the pods have no more calls than their backend.
func checkPods(t *rapid.T, counts Counts) {
	calls, failures := uint64(0), uint64(0)
	for _, pod := range counts.Pods {
		calls += pod.Calls
		failures += pod.Errors
		if pod.Errors > pod.Calls {
			t.Fatalf("%+v", pod)
		}
	}
	if calls > counts.Calls || failures > counts.Errors || !slices.IsSortedFunc(counts.Pods, byID) {
		t.Fatalf("%+v", counts)
	}
}

// checkWork: no attempt is counted that was not started since its proxy was first read, and none twice.
func (w *world) checkWork(t *rapid.T, reading Reading) {
	active := 0
	for _, proxy := range w.proxies {
		active += proxy.most
	}
	work := reading.Work
	switch {
	case w.started > w.trueBegun:
		t.Fatalf("%d started of %d", w.started, w.trueBegun)
	case work.InFlight > uint64(active):
		t.Fatalf("%d under way, of at most %d", work.InFlight, active)
	case work.Known && (!work.Start.Before(work.End) || !work.End.Equal(reading.Taken)), !work.Known && work != (Work{}):
		t.Fatalf("%+v", work)
	}
}

func (w *world) call(proxy *modelProxy, address string, calls, failures int) {
	of, ok := proxy.endpoints[address]
	if !ok {
		return
	}
	of.success += float64(calls)
	of.failure += float64(failures)
	proxy.endpoints[address] = of
	w.begin(proxy, address, calls+failures)
	attempts := proxy.attempts[address]
	attempts.active -= calls + failures
	proxy.attempts[address] = attempts
	proxy.active = calls
	proxy.most = max(proxy.most, proxy.active)
	if !proxy.read {
		return
	}
	w.trueCalls += uint64(calls + failures)
	w.trueErrors += uint64(failures)
}

// begin begins calls, which are under way.
func (w *world) begin(proxy *modelProxy, address string, calls int) {
	if _, ok := proxy.endpoints[address]; !ok {
		return
	}
	attempts := proxy.attempts[address]
	attempts.begun += calls
	attempts.active += calls
	proxy.attempts[address] = attempts
	proxy.started += calls
	if proxy.read {
		w.trueBegun += uint64(calls)
	}
}

// end ends calls that are under way: some are answered, and the others given up.
func (w *world) end(proxy *modelProxy, address string, answered, givenUp int) {
	attempts, of := proxy.attempts[address], proxy.endpoints[address]
	answered = min(answered, attempts.active)
	givenUp = min(givenUp, attempts.active-answered)
	if answered+givenUp == 0 {
		return
	}
	attempts.active -= answered + givenUp
	of.success += float64(answered)
	proxy.attempts[address], proxy.endpoints[address] = attempts, of
	if proxy.read {
		w.trueCalls += uint64(answered)
		w.trueCancelled += uint64(givenUp)
	}
}

// TestNoCallIsCountedTwice: whatever happens between looks, and whichever of them fail, no more
// calls are counted than were made.
func TestNoCallIsCountedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.addProxy()
		pick := func(t *rapid.T) *modelProxy {
			return w.proxies[rapid.SampledFrom(slices.Sorted(maps.Keys(w.proxies))).Draw(t, "proxy")]
		}
		anAddress := rapid.SampledFrom(modelAddresses)
		t.Repeat(map[string]func(*rapid.T){
			"calls": func(t *rapid.T) {
				w.call(pick(t), anAddress.Draw(t, "address"), rapid.IntRange(0, 50).Draw(t, "calls"), rapid.IntRange(0, 50).Draw(t, "failures"))
			},
			"begin": func(t *rapid.T) {
				w.begin(pick(t), anAddress.Draw(t, "address"), rapid.IntRange(0, 50).Draw(t, "calls"))
			},
			"end": func(t *rapid.T) {
				w.end(pick(t), anAddress.Draw(t, "address"), rapid.IntRange(0, 50).Draw(t, "answered"), rapid.IntRange(0, 50).Draw(t, "given up"))
			},
			"in a hurry": func(t *rapid.T) { pick(t).hurried = anAddress.Draw(t, "address") },
			"time": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			},
			"look":       w.look,
			"look again": w.look,
			"new proxy":  func(*rapid.T) { w.addProxy() },
			"proxy down": func(t *rapid.T) { p := pick(t); p.down = !p.down },
			"unlisted":   func(t *rapid.T) { p := pick(t); p.unlisted = !p.unlisted },
			"moves":      func(*rapid.T) { w.moved = !w.moved },
			"clock back": func(t *rapid.T) {
				pick(t).clockBack += time.Duration(rapid.IntRange(1, 100).Draw(t, "s")) * time.Second
			},
			"hide a row": func(t *rapid.T) { p, a := pick(t), anAddress.Draw(t, "address"); p.hidden[a] = p.read && !p.hidden[a] },
			"endpoint to": func(t *rapid.T) {
				p, a := pick(t), anAddress.Draw(t, "address")
				p.endpoints[a], p.attempts[a] = outcome{}, attempts{}
			},
			"endpoint leaves": func(t *rapid.T) {
				p, a := pick(t), anAddress.Draw(t, "address")
				delete(p.endpoints, a)
				delete(p.attempts, a)
			},
			"freeze": func(t *rapid.T) {
				if p := pick(t); p.frozen == "" && p.read {
					// A page that is shown again and again is one that Envoy has not read anew.
					p.hurried = ""
					p.frozen = w.page(p)
				} else {
					p.frozen = ""
				}
			},
			"restart": func(t *rapid.T) {
				p := pick(t)
				p.since, p.clockBack = w.now, 0
				p.started, p.active = 0, 0
				clear(p.attempts)
				for address := range p.endpoints {
					p.endpoints[address] = outcome{}
				}
			},
		})
	})
}

// TestEveryCallIsCounted: when nothing takes a counter away between looks, all calls are counted,
// whatever fails in between.
func TestEveryCallIsCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 3).Draw(t, "proxies") {
			w.addProxy()
		}
		w.look(t)
		ids := slices.Sorted(maps.Keys(w.proxies))
		pick := func(t *rapid.T) *modelProxy { return w.proxies[rapid.SampledFrom(ids).Draw(t, "proxy")] }
		anAddress := rapid.SampledFrom(modelAddresses)
		lastGood := w.now
		all := func(t *rapid.T) {
			for _, p := range w.proxies {
				p.down, p.unlisted, p.hidden = false, false, map[string]bool{}
			}
			w.look(t)
			if w.counted != w.trueCalls || w.failed != w.trueErrors {
				t.Fatalf("counted %d calls and %d errors of %d and %d", w.counted, w.failed, w.trueCalls, w.trueErrors)
			}
			if w.begun != w.trueBegun || w.counted+w.cancelled > w.begun+w.initial {
				t.Fatalf("%d begun of %d; %d with an outcome and %d given up", w.begun, w.trueBegun, w.counted, w.cancelled)
			}
			lastGood = w.now
		}
		t.Repeat(map[string]func(*rapid.T){
			"calls": func(t *rapid.T) {
				w.call(pick(t), anAddress.Draw(t, "address"), rapid.IntRange(0, 50).Draw(t, "calls"), rapid.IntRange(0, 50).Draw(t, "failures"))
			},
			"begin": func(t *rapid.T) {
				w.begin(pick(t), anAddress.Draw(t, "address"), rapid.IntRange(0, 50).Draw(t, "calls"))
			},
			"end": func(t *rapid.T) {
				w.end(pick(t), anAddress.Draw(t, "address"), rapid.IntRange(0, 50).Draw(t, "answered"), rapid.IntRange(0, 50).Draw(t, "given up"))
			},
			"time": func(t *rapid.T) {
				// Counts of more than a minute are not used.
				if step := time.Duration(rapid.IntRange(0, 20).Draw(t, "s")) * time.Second; w.now.Add(step).Sub(lastGood) <= time.Minute {
					w.now = w.now.Add(step)
				}
			},
			"look":       w.look,
			"proxy down": func(t *rapid.T) { p := pick(t); p.down = !p.down },
			"unlisted":   func(t *rapid.T) { p := pick(t); p.unlisted = !p.unlisted },
			"moves":      func(*rapid.T) { w.moved = !w.moved },
			"hide a row": func(t *rapid.T) { p, a := pick(t), anAddress.Draw(t, "address"); p.hidden[a] = !p.hidden[a] },
			"all answer": all,
		})
		all(t)
		all(t)
		if w.cancelled != w.trueCancelled {
			t.Fatalf("%d given up of %d", w.cancelled, w.trueCancelled)
		}
	})
}
