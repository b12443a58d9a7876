package signals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

const sharedCluster = "grpcroute/shop/greeter/rule/0"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// gate is a Gateway whose proxies answer what a test says.
type gate struct {
	*Envoy
	t       *testing.T
	clock   *clocktesting.FakePassiveClock
	proxies []*fakeProxy
	// config is what further sources are made with.
	config EnvoyConfig
	query  Query
}

// fakeProxy is a proxy on a real socket.
type fakeProxy struct {
	Proxy
	mu     sync.Mutex
	answer http.HandlerFunc
}

func (p *fakeProxy) says(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *fakeProxy) shows(text string) {
	p.says(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// gateConfig is what a gate is made with.
type gateConfig struct {
	EnvoyConfig

	scraper ScraperConfig
}

func newGate(t *testing.T, proxies int, change ...func(*gateConfig)) *gate {
	t.Helper()
	g := &gate{t: t, clock: clocktesting.NewFakePassiveClock(noon)}
	config := gateConfig{
		EnvoyConfig: EnvoyConfig{Clock: g.clock, LookTimeout: 10 * time.Second},
		scraper:     ScraperConfig{Client: &http.Client{Transport: &http.Transport{}}, Clock: g.clock, Timeout: 5 * time.Second},
	}
	for _, c := range change {
		c(&config)
	}
	t.Cleanup(config.scraper.Client.CloseIdleConnections)
	config.Scraper = NewScraper(config.scraper)
	g.config = config.EnvoyConfig
	g.Envoy = NewEnvoy(config.EnvoyConfig)
	g.query = Query{Namespace: "shop", Name: "greeter", Cluster: sharedCluster, Backends: []Backend{
		{Name: "primary", Service: "primary", Endpoints: endpointsAt("10.0.0.1:50051", "10.0.0.2:50051")},
		{Name: "backup", Service: "backup", Endpoints: endpointsAt("10.0.0.3:50051")},
	}}
	for i := range proxies {
		g.proxies = append(g.proxies, g.newProxy(fmt.Sprintf("envoy-%d", i)))
		g.query.Proxies = append(g.query.Proxies, g.proxies[i].Proxy)
	}
	return g
}

func (g *gate) newProxy(name string) *fakeProxy {
	proxy := &fakeProxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.mu.Lock()
		answer := proxy.answer
		proxy.mu.Unlock()
		answer(w, r)
	}))
	g.t.Cleanup(server.Close)
	proxy.Proxy = Proxy{ID: "uid-" + name, Name: name, Address: netip.MustParseAddrPort(server.Listener.Addr().String())}
	return proxy
}

func endpointsAt(addresses ...string) []Endpoint {
	var out []Endpoint
	for _, address := range addresses {
		out = append(out, Endpoint{Addresses: []netip.AddrPort{netip.MustParseAddrPort(address)}, Ready: true, Serving: true})
	}
	return out
}

// look moves the clock and looks.
func (g *gate) look(after time.Duration) Reading {
	g.t.Helper()
	g.clock.SetTime(g.clock.Now().Add(after))
	reading, err := g.Read(context.Background(), g.query)
	if (err != nil) != (reading.Answered == 0) {
		g.t.Errorf("%d answered, error %v", reading.Answered, err)
	}
	if len(reading.Backends) != len(g.query.Backends) {
		g.t.Errorf("%d backends in the reading, %d in the query", len(reading.Backends), len(g.query.Backends))
	}
	for name, counts := range reading.Backends {
		if counts.Known() == (counts.Message != "") {
			g.t.Errorf("%s: unknown %q, message %q", name, counts.Unknown, counts.Message)
		}
		if counts.Errors > counts.Calls || counts.End.Before(counts.Start) {
			g.t.Errorf("%s: %+v", name, counts)
		}
	}
	return reading
}

// outcome is what an endpoint's counters say.
type outcome struct{ success, failure float64 }

// statistics writes a page as Envoy does. The cluster is used, and without more of it nothing else is said of the whole.
func statistics(uptime float64, cluster string, endpoints map[string]outcome, whole ...aCluster) string {
	var out strings.Builder
	if len(whole) == 0 {
		whole = []aCluster{{started: 1}}
	}
	out.WriteString("# TYPE envoy_cluster_upstream_rq_total counter\n")
	for _, of := range whole {
		out.WriteString(of.lines(cluster))
	}
	if uptime >= 0 {
		fmt.Fprintf(&out, "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{} %.0f\n", uptime)
	}
	for _, metric := range []string{"error", "success"} {
		fmt.Fprintf(&out, "# TYPE envoy_cluster_endpoint_rq_%s counter\n", metric)
		for _, address := range slices.Sorted(maps.Keys(endpoints)) {
			value := endpoints[address].success
			if metric == "error" {
				value = endpoints[address].failure
			}
			fmt.Fprintf(&out, "envoy_cluster_endpoint_rq_%s{envoy_cluster_name=%q,envoy_endpoint_address=%q} %.0f\n", metric, cluster, address, value)
		}
	}
	return out.String()
}

func page3(uptime float64, first, second, third outcome) string {
	return statistics(uptime, sharedCluster, map[string]outcome{
		"10.0.0.1:50051": first, "10.0.0.2:50051": second, "10.0.0.3:50051": third, "192.0.2.1:1": {},
	})
}

func wantCounts(t *testing.T, reading Reading, backend string, calls, failures uint64) {
	t.Helper()
	counts := reading.Backends[backend]
	if !counts.Known() || counts.Calls != calls || counts.Errors != failures {
		t.Errorf("%s: %d calls, %d errors (%s %s), want %d and %d", backend, counts.Calls, counts.Errors, counts.Unknown, counts.Message, calls, failures)
	}
}

func wantUnknown(t *testing.T, reading Reading, backend string, why Unknown, words string) {
	t.Helper()
	counts := reading.Backends[backend]
	if counts.Unknown != why || !strings.Contains(counts.Message, words) {
		t.Errorf("%s: %+v, want %s with %q", backend, counts, why, words)
	}
	if counts.Calls != 0 || counts.Errors != 0 {
		t.Errorf("%s is unknown and has counts: %+v", backend, counts)
	}
}

func TestCallsOfARealEnvoyByEndpoint(t *testing.T) {
	// Captured around 1,000 calls to two primaries, of which the client saw 85 fail.
	g := newGate(t, 1)
	g.query.Cluster = "grpcroute/signals/greeter/rule/0"
	g.query.Backends = []Backend{
		{Name: "primary", Endpoints: endpointsAt("10.244.0.83:50051", "10.244.0.84:50051")},
		{Name: "backup", Endpoints: endpointsAt("10.244.0.85:50051", "10.96.154.186:50051")},
	}
	g.proxies[0].shows(string(testdata(t, "endpoints-before.txt")))
	first := g.look(0)
	wantUnknown(t, first, "primary", UnknownFirstLook, "first look")
	g.proxies[0].shows(string(testdata(t, "endpoints-after.txt")))
	second := g.look(5 * time.Second)
	wantCounts(t, second, "primary", 1000, 85)
	wantCounts(t, second, "backup", 0, 0)
	if counts := second.Backends["primary"]; !counts.Start.Equal(noon) || !counts.End.Equal(noon.Add(5*time.Second)) {
		t.Errorf("counted from %s to %s", counts.Start, counts.End)
	}
	wantCounts(t, g.look(5*time.Second), "primary", 0, 0)
}

// timeouts is a page's text about attempts to the first endpoint that Envoy gave up.
func timeouts(count int) string {
	return fmt.Sprintf("# TYPE envoy_cluster_endpoint_rq_timeout counter\nenvoy_cluster_endpoint_rq_timeout{envoy_cluster_name=%q,envoy_endpoint_address=%q} %d\n",
		sharedCluster, "10.0.0.1:50051", count)
}

// What Envoy gives up because somebody told it to is no call that failed. Where nobody did, a timeout is that of the whole call.
func TestAttemptsThatEnvoyGaveUp(t *testing.T) {
	for _, c := range []struct {
		givesUp       bool
		calls, errors uint64
	}{{false, 30, 20}, {true, 18, 8}} {
		g := newGate(t, 1)
		g.query.GivesUp = c.givesUp
		g.proxies[0].shows(page3(1, outcome{success: 5, failure: 3}, outcome{}, outcome{}) + timeouts(2))
		g.look(0)
		g.proxies[0].shows(page3(2, outcome{success: 15, failure: 23}, outcome{}, outcome{}) + timeouts(14))
		wantCounts(t, g.look(time.Second), "primary", c.calls, c.errors)
		// One counter was read before the other.
		g.proxies[0].shows(page3(3, outcome{success: 16, failure: 23}, outcome{}, outcome{}) + timeouts(15))
		wantCounts(t, g.look(time.Second), "primary", 1, 0)
	}
}

func TestCallsOfARealEnvoyByCluster(t *testing.T) {
	// Captured around 1,000 calls and 100 streams: 520 and 49 to the primary, 54 and 1 of them failed
	// with INTERNAL; 505 and 51 to the backup, 24 and 2 of them NOT_FOUND, which is the caller's doing.
	g := newGate(t, 1)
	g.query.Cluster = ""
	g.query.Backends = []Backend{
		{Name: "primary", Cluster: "grpcroute/signals/plainown/rule/0/backend/0"},
		{Name: "backup", Cluster: "grpcroute/signals/plainown/rule/0/backend/1"},
	}
	g.proxies[0].shows(string(testdata(t, "clusters-before.txt")))
	g.look(0)
	g.proxies[0].shows(string(testdata(t, "clusters-after.txt")))
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 495+49, 54+1)
	wantCounts(t, reading, "backup", 505+51, 0)
}

func TestProxiesAreAskedForNoMoreThanNeeded(t *testing.T) {
	g := newGate(t, 1)
	asked := make(chan *url.URL, 1)
	g.proxies[0].says(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL
		_, _ = io.WriteString(w, page3(1, outcome{}, outcome{}, outcome{}))
	})
	g.look(0)
	u := <-asked
	if u.Path != "/stats/prometheus" || !u.Query().Has("usedonly") {
		t.Errorf("asked for %s", u)
	}
	filter := regexp.MustCompile(u.Query().Get("filter"))
	for name, want := range map[string]bool{
		"server.uptime": true,
		"cluster.grpcroute/shop/greeter/rule/0.endpoint.10.0.0.1:50051.rq_success": true,
		"cluster.grpcroute/shop/greeter/rule/0.endpoint.[::1]:50051.rq_error":      true,
		"cluster.grpcroute/shop/greeter/rule/0.endpoint.[::1]:50051.rq_timeout":    true,
		"cluster.grpcroute/shop/greeter/rule/0.endpoint.[::1]:50051.rq_total":      true,
		"cluster.grpcroute/shop/greeter/rule/0.endpoint.[::1]:50051.rq_active":     true,
		"cluster.grpcroute/shop/greeter/rule/0.endpoint.[::1]:50051.cx_active":     false,
		"cluster.grpcroute/shop/greeter/rule/0.upstream_rq_retry":                  false,
		"cluster.grpcroute/shop/greeter/rule/0/backend/0.upstream_rq_retry":        true,
		"cluster.grpcroute/shop/greeter/rule/0.upstream_rq_total":                  true,
		"cluster.grpcroute/shop/greeter/rule/0.upstream_rq_active":                 true,
		"cluster.grpcroute/shop/greeter/rule/0/backend/0.upstream_rq_active":       true,
		"cluster.grpcroute/shop/greeter/rule/0.upstream_rq_pending_active":         false,
		"cluster.grpcroute/shop/greeter/rule/0.upstream_rq_time":                   false,
		"cluster.grpcroute/shop/greeter/rule/0.grpc.0":                             false,
		"cluster.grpcroute/shop/greeter/rule/0.upstream_cx_total":                  false,
		"cluster.grpcroute/shop/greeter/rule/0/backend/0.upstream_rq_time":         true,
		"cluster.grpcroute/shop/greeter/rule/0/backend/0.grpc.0":                   true,
		"cluster.grpcroute/shop/greeter/rule/0/backend/0.grpc.shop.Get.14":         true,
		"cluster.grpcroute/shop/greeter/rule/0/backend/0.grpc.shop.Get.success":    false,
		"cluster.httproute/shop/web/rule/0.upstream_rq_total":                      false,
		"cluster_manager.cluster_added":                                            false,
	} {
		if got := filter.MatchString(name); got != want {
			t.Errorf("%s is asked for: %v", name, got)
		}
	}
}

func TestTroubleMakesCountsUnknownAndLosesNone(t *testing.T) {
	start := page3(100, outcome{10, 1}, outcome{20, 0}, outcome{0, 0})
	later := page3(105, outcome{15, 3}, outcome{20, 0}, outcome{1, 0})
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		trouble http.HandlerFunc
		why     Unknown
		words   string
		quick   bool
	}{
		"500": {
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", http.StatusInternalServerError) },
			UnknownUnreachable, "500", false,
		},
		"slow": {hang, UnknownUnreachable, "in time", true},
		"half a body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, later[:200])
		}, UnknownUnreachable, "unexpected EOF", false},
		"half a chunked body": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, later[:strings.LastIndexByte(later[:len(later)-1], '\n')+1])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, UnknownUnreachable, "unexpected EOF", false},
		"a body of unknown length": {func(w http.ResponseWriter, _ *http.Request) {
			connection, buffer, _ := http.NewResponseController(w).Hijack()
			_, _ = buffer.WriteString("HTTP/1.0 200 OK\r\n\r\n" + later)
			_ = buffer.Flush()
			_ = connection.Close()
		}, UnknownUnreachable, "how long", false},
		"a reset connection": {
			func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
			UnknownUnreachable, "EOF", false,
		},
		"garbage": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\x00\x01 <html>") },
			UnknownGarbage, "not Envoy's statistics", false,
		},
		"nothing":   {func(http.ResponseWriter, *http.Request) {}, UnknownEmpty, "no statistics", false},
		"too large": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("# x\n", 1<<20)) }, UnknownGarbage, "bytes", false},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, UnknownUnreachable, "302", false},
		"statistics from the future": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, "envoy_server_uptime{} 105 %d\n", noon.Add(time.Hour).UnixMilli())
		}, UnknownTime, "in the future", false},
		"old statistics": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, "envoy_server_uptime{} 105 %d\n", noon.Add(-time.Hour).UnixMilli())
		}, UnknownTime, "old", false},
		"a clock that went back": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, page3(60, outcome{15, 3}, outcome{20, 0}, outcome{1, 0}))
		}, UnknownTime, "uptime fell", false},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, 1, func(c *gateConfig) {
				c.scraper.MaxBytes = 64 << 10
				if test.quick {
					c.scraper.Timeout = 30 * time.Millisecond
				}
			})
			g.proxies[0].shows(start)
			g.look(0)

			g.proxies[0].says(test.trouble)
			reading := g.look(5 * time.Second)
			for _, backend := range []string{"primary", "backup"} {
				wantUnknown(t, reading, backend, test.why, test.words)
			}
			if reading.Share() != 0 || len(reading.Notes) != 1 {
				t.Errorf("share %v, notes %q", reading.Share(), reading.Notes)
			}
			if health := g.Health(); health.Failures != 1 || health.LastError == "" || !health.LastSuccess.Equal(noon) {
				t.Errorf("health %+v", health)
			}

			g.proxies[0].shows(later)
			reading = g.look(5 * time.Second)
			wantCounts(t, reading, "primary", 7, 2)
			wantCounts(t, reading, "backup", 1, 0)
			if start := reading.Backends["primary"].Start; !start.Equal(noon) {
				t.Errorf("counted from %s", start)
			}
			if health := g.Health(); health.Failures != 0 || health.LastError != "" {
				t.Errorf("health %+v", health)
			}
		})
	}
}

func TestADeadProxyMakesItsOwnPartUnknown(t *testing.T) {
	g := newGate(t, 2)
	for _, proxy := range g.proxies {
		proxy.shows(page3(100, outcome{}, outcome{}, outcome{}))
	}
	g.look(0)
	g.proxies[0].shows(page3(105, outcome{10, 1}, outcome{}, outcome{}))
	g.proxies[1].says(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 11, 1)
	if reading.Share() != 0.5 || !strings.Contains(strings.Join(reading.Notes, ";"), "envoy-1") {
		t.Errorf("share %v, notes %q", reading.Share(), reading.Notes)
	}
	if health := g.Health(); health.Failures != 0 || !strings.Contains(health.LastError, "1 of 2") {
		t.Errorf("health %+v", health)
	}

	// What it counted meanwhile is not lost, and the intervals do not overlap.
	g.proxies[1].shows(page3(110, outcome{100, 0}, outcome{}, outcome{}))
	next := g.look(5 * time.Second)
	wantCounts(t, next, "primary", 100, 0)
	if !next.Backends["primary"].Start.Equal(reading.Backends["primary"].End) {
		t.Errorf("counted from %s, before until %s", next.Backends["primary"].Start, reading.Backends["primary"].End)
	}
}

func TestManySlowProxiesDoNotHoldUpALook(t *testing.T) {
	g := newGate(t, 9, func(c *gateConfig) {
		c.scraper.Timeout, c.LookTimeout, c.Parallel = time.Minute, 50*time.Millisecond, 2
	})
	for _, proxy := range g.proxies {
		proxy.says(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}
	began := time.Now()
	reading := g.look(0)
	if reading.Answered != 0 || len(reading.Notes) != 9 || time.Since(began) > 10*time.Second {
		t.Errorf("%d answered after %s: %q", reading.Answered, time.Since(began), reading.Notes)
	}
}

func TestCountersThatStartAgain(t *testing.T) {
	g := newGate(t, 1)
	g.proxies[0].shows(page3(100, outcome{100, 10}, outcome{50, 0}, outcome{5, 0}))
	g.look(0)

	t.Log("the process restarted")
	g.proxies[0].shows(page3(2, outcome{7, 2}, outcome{1, 0}, outcome{0, 0}))
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 10, 2)
	wantCounts(t, reading, "backup", 0, 0)

	t.Log("an endpoint left")
	g.proxies[0].shows(statistics(7, sharedCluster, map[string]outcome{"10.0.0.1:50051": {8, 2}}))
	wantCounts(t, g.look(5*time.Second), "primary", 1, 0)

	t.Log("it is back as it was")
	g.proxies[0].shows(page3(12, outcome{8, 2}, outcome{1, 0}, outcome{0, 0}))
	wantCounts(t, g.look(5*time.Second), "primary", 0, 0)

	t.Log("an endpoint moved to another priority, which starts its counters again")
	g.proxies[0].shows(page3(17, outcome{3, 1}, outcome{1, 0}, outcome{0, 0}))
	wantCounts(t, g.look(5*time.Second), "primary", 4, 1)

	t.Log("an endpoint is new")
	g.query.Backends[0].Endpoints = append(g.query.Backends[0].Endpoints, endpointsAt("10.0.0.4:50051")...)
	g.proxies[0].shows(statistics(22, sharedCluster, map[string]outcome{"10.0.0.1:50051": {3, 1}, "10.0.0.4:50051": {5, 5}, "10.0.0.3:50051": {}}))
	wantCounts(t, g.look(5*time.Second), "primary", 10, 5)
}

func TestProxiesComeAndGo(t *testing.T) {
	g := newGate(t, 2)
	g.proxies[0].shows(page3(100, outcome{}, outcome{}, outcome{}))
	g.proxies[1].shows(page3(100, outcome{1000, 0}, outcome{}, outcome{}))
	both := g.query.Proxies
	g.query.Proxies = both[:1]
	g.look(0)

	t.Log("a new proxy is counted from its first look on")
	g.query.Proxies = both
	wantCounts(t, g.look(5*time.Second), "primary", 0, 0)
	g.proxies[1].shows(page3(105, outcome{1003, 0}, outcome{}, outcome{}))
	wantCounts(t, g.look(5*time.Second), "primary", 3, 0)

	t.Log("one that is not listed for a moment is not counted twice")
	g.query.Proxies = both[:1]
	g.look(5 * time.Second)
	g.query.Proxies = both
	g.proxies[1].shows(page3(110, outcome{1004, 0}, outcome{}, outcome{}))
	wantCounts(t, g.look(5*time.Second), "primary", 1, 0)

	t.Log("no proxy")
	g.query.Proxies = nil
	wantUnknown(t, g.look(5*time.Second), "primary", UnknownNoProxies, "no running proxy")
}

func TestCallsBelongToWhoHasTheAddressNow(t *testing.T) {
	g := newGate(t, 1)
	g.proxies[0].shows(page3(100, outcome{}, outcome{}, outcome{}))
	g.look(0)

	t.Log("an endpoint that has left its slice counts for the backend that it was of")
	g.query.Backends[0].Endpoints = endpointsAt("10.0.0.1:50051")
	g.proxies[0].shows(page3(105, outcome{}, outcome{2, 0}, outcome{}))
	wantCounts(t, g.look(5*time.Second), "primary", 2, 0)

	t.Log("and for another, when that has the address")
	g.query.Backends[1].Endpoints = endpointsAt("10.0.0.2:50051", "10.0.0.3:50051")
	g.proxies[0].shows(page3(110, outcome{}, outcome{5, 0}, outcome{}))
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 0, 0)
	wantCounts(t, reading, "backup", 3, 0)

	t.Log("calls to an address that is nobody's are said and not counted")
	g.proxies[0].shows(statistics(115, sharedCluster, map[string]outcome{"10.0.0.1:50051": {}, "10.0.0.2:50051": {5, 0}, "10.0.0.9:50051": {4, 0}}))
	reading = g.look(5 * time.Second)
	wantCounts(t, reading, "backup", 0, 0)
	if len(reading.Notes) != 1 || !strings.Contains(reading.Notes[0], "4 calls to 10.0.0.9:50051") {
		t.Errorf("notes %q", reading.Notes)
	}

	t.Log("an address of two backends makes both unknown")
	g.query.Backends[0].Endpoints = g.query.Backends[1].Endpoints
	reading = g.look(5 * time.Second)
	wantUnknown(t, reading, "primary", UnknownAmbiguous, "10.0.0.2")
	wantUnknown(t, reading, "backup", UnknownAmbiguous, "belongs to primary and to backup")
}

func TestTime(t *testing.T) {
	quiet := func(uptime float64) string { return page3(uptime, outcome{1, 0}, outcome{}, outcome{}) }
	t.Run("statistics that stand still are not those of now", func(t *testing.T) {
		g := newGate(t, 1)
		g.proxies[0].shows(quiet(100))
		g.look(0)
		wantCounts(t, g.look(10*time.Second), "primary", 0, 0)
		wantUnknown(t, g.look(25*time.Second), "primary", UnknownTime, "stood still for 35s")
		t.Log("and what they say of that time is not used when they go on")
		g.proxies[0].shows(page3(140, outcome{5, 0}, outcome{}, outcome{}))
		wantUnknown(t, g.look(5*time.Second), "primary", UnknownGap, "last read 30s ago")
		g.proxies[0].shows(page3(145, outcome{7, 0}, outcome{}, outcome{}))
		wantCounts(t, g.look(5*time.Second), "primary", 2, 0)
	})
	t.Run("nobody calls and time goes on", func(t *testing.T) {
		g := newGate(t, 1)
		for i := range 20 {
			g.proxies[0].shows(quiet(float64(100 + 5*i)))
			reading := g.look(5 * time.Second)
			if i > 0 {
				wantCounts(t, reading, "primary", 0, 0)
			}
		}
	})
	t.Run("after a long pause counting starts anew", func(t *testing.T) {
		g := newGate(t, 1)
		g.proxies[0].shows(quiet(100))
		g.look(0)
		g.proxies[0].shows(page3(3700, outcome{5000, 5000}, outcome{}, outcome{}))
		wantUnknown(t, g.look(time.Hour), "primary", UnknownGap, "1h0m0s ago")
		g.proxies[0].shows(page3(3705, outcome{5001, 5000}, outcome{}, outcome{}))
		wantCounts(t, g.look(5*time.Second), "primary", 1, 0)
	})
	t.Run("when our own clock goes back counting starts anew", func(t *testing.T) {
		g := newGate(t, 1)
		g.proxies[0].shows(quiet(100))
		g.look(0)
		g.proxies[0].shows(page3(105, outcome{50, 0}, outcome{}, outcome{}))
		wantUnknown(t, g.look(-time.Hour), "primary", UnknownFirstLook, "first look")
		wantCounts(t, g.look(5*time.Second), "primary", 0, 0)
	})
	t.Run("a clock that was set back on the node ends with the next look", func(t *testing.T) {
		g := newGate(t, 1)
		g.proxies[0].shows(quiet(4000))
		g.look(0)
		g.proxies[0].shows(quiet(400))
		wantUnknown(t, g.look(5*time.Second), "primary", UnknownTime, "uptime fell from 4000 s to 400 s")
		g.proxies[0].shows(page3(405, outcome{3, 0}, outcome{}, outcome{}))
		wantCounts(t, g.look(5*time.Second), "primary", 2, 0)
	})
	t.Run("readings grow old", func(t *testing.T) {
		g := newGate(t, 1)
		g.proxies[0].shows(quiet(100))
		reading := g.look(0)
		for after, stale := range map[time.Duration]bool{0: false, 15 * time.Second: false, 16 * time.Second: true, -time.Minute: true} {
			if reading.Stale(noon.Add(after)) != stale {
				t.Errorf("stale after %s: %v", after, !stale)
			}
		}
	})
}

func TestWhatProxiesHaveNoStatisticsOf(t *testing.T) {
	t.Run("no endpoint of a backend, beside those of another", func(t *testing.T) {
		g := newGate(t, 1)
		one := map[string]outcome{"10.0.0.1:50051": {}}
		g.proxies[0].shows(statistics(100, sharedCluster, one))
		g.look(0)
		g.proxies[0].shows(statistics(105, sharedCluster, one))
		reading := g.look(5 * time.Second)
		wantCounts(t, reading, "primary", 0, 0)
		wantCounts(t, reading, "backup", 0, 0)
	})
	t.Run("no cluster", func(t *testing.T) {
		g := newGate(t, 1)
		g.proxies[0].shows(statistics(100, "grpcroute/shop/other/rule/0", nil))
		g.look(0)
		g.proxies[0].shows(statistics(105, "grpcroute/shop/other/rule/0", nil))
		wantUnknown(t, g.look(5*time.Second), "backup", UnknownEmpty, "no proxy has statistics of its endpoints")
	})
	t.Run("no endpoints at all", func(t *testing.T) {
		g := newGate(t, 1)
		g.proxies[0].shows(statistics(100, sharedCluster, nil))
		g.look(0)
		g.proxies[0].shows(statistics(105, sharedCluster, nil))
		wantUnknown(t, g.look(5*time.Second), "primary", UnknownEmpty, "enablePerEndpointStats")
	})
	t.Run("no endpoints at all, where a route names weights and backends may have clusters of their own", func(t *testing.T) {
		g := newGate(t, 1)
		for i := range g.query.Backends {
			g.query.Backends[i].Cluster = fmt.Sprintf("%s/backend/%d", sharedCluster, i)
		}
		g.proxies[0].shows(statistics(100, sharedCluster, nil))
		g.look(0)
		g.proxies[0].shows(statistics(105, sharedCluster, nil))
		wantUnknown(t, g.look(5*time.Second), "primary", UnknownEmpty, "enablePerEndpointStats")
	})
}

// withoutTypes leaves away the lines that may stand only once in a page.
func withoutTypes(page string) string {
	var out strings.Builder
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}

const ownCluster = "grpcroute/shop/greeter/rule/0/backend/0"

func byCode(uptime int, codes map[string]int) string {
	out := fmt.Sprintf("envoy_server_uptime{} %d\n", uptime)
	for name, value := range codes {
		out += fmt.Sprintf("envoy_cluster_grpc_%s{envoy_grpc_bridge_service=\"shop\",envoy_cluster_name=%q} %d\n", name, ownCluster, value)
	}
	return out
}

func TestCallsOfAClusterOfItsOwn(t *testing.T) {
	g := newGate(t, 1)
	g.query.Cluster = ""
	g.query.Backends = []Backend{{Name: "primary", Cluster: ownCluster}}
	g.proxies[0].shows(byCode(100, nil))
	g.look(0)
	g.proxies[0].shows(byCode(105, nil))
	wantUnknown(t, g.look(5*time.Second), "primary", UnknownEmpty, "no proxy has statistics")

	t.Log("the first calls count, though the proxy had no such counter before")
	g.proxies[0].shows(byCode(110, map[string]int{"Get_0": 10, "Get_14": 2, "Put_5": 3, "Get_success": 10, "Get_total": 12}))
	wantCounts(t, g.look(5*time.Second), "primary", 15, 2)

	t.Log("counters by endpoint take over, and no call is counted twice")
	both := func(uptime int) string {
		return byCode(uptime, map[string]int{"Get_0": 20, "Get_14": 2, "Put_5": 3}) +
			withoutTypes(statistics(-1, ownCluster, map[string]outcome{"10.9.9.9:1": {10, 0}}))
	}
	g.proxies[0].shows(both(115))
	wantCounts(t, g.look(5*time.Second), "primary", 10, 0)
	wantCounts(t, g.look(5*time.Second), "primary", 0, 0)
	g.proxies[0].shows(byCode(125, map[string]int{"Get_0": 20, "Get_14": 2, "Put_5": 3}))
	wantUnknown(t, g.look(5*time.Second), "primary", UnknownEmpty, "")

	shared := func(uptime, calls int) string {
		return both(uptime) + withoutTypes(statistics(-1, sharedCluster, map[string]outcome{"10.9.9.8:1": {float64(calls), 0}}))
	}
	t.Log("a cluster that was there, and not asked about before, is a baseline")
	g.proxies[0].shows(shared(130, 90))
	g.look(5 * time.Second)
	g.query.Backends = append(g.query.Backends, Backend{Name: "backup", Cluster: sharedCluster})
	g.proxies[0].shows(shared(135, 100))
	wantUnknown(t, g.look(5*time.Second), "backup", UnknownFirstLook, "first look")
	g.proxies[0].shows(shared(140, 101))
	wantCounts(t, g.look(5*time.Second), "backup", 1, 0)
}

// The first calls of a canary are few, and those that fail among them must not be lost.
func TestABackendThatJoinsCountsFromTheLastLook(t *testing.T) {
	canary := Backend{Name: "canary", Endpoints: endpointsAt("10.0.0.3:50051")}
	first := func(g *gate) { g.query.Backends = g.query.Backends[:1] }
	t.Run("in a cluster that it shares", func(t *testing.T) {
		g := newGate(t, 1)
		first(g)
		one := map[string]outcome{"10.0.0.1:50051": {5, 0}}
		g.proxies[0].shows(statistics(100, sharedCluster, one))
		g.look(0)
		g.look(5 * time.Second)
		before := g.clock.Now()
		g.query.Backends = append(g.query.Backends, canary)
		g.proxies[0].shows(page3(105, outcome{6, 0}, outcome{}, outcome{2, 1}))
		reading := g.look(5 * time.Second)
		wantCounts(t, reading, "primary", 1, 0)
		wantCounts(t, reading, "canary", 3, 1)
		if from := reading.Backends["canary"].Start; !from.Equal(before) || !from.Equal(reading.Backends["primary"].Start) {
			t.Errorf("counted from %s, and primary from %s", from, reading.Backends["primary"].Start)
		}
	})
	t.Run("and is known to have none before its first", func(t *testing.T) {
		g := newGate(t, 1)
		first(g)
		one := map[string]outcome{"10.0.0.1:50051": {5, 0}}
		g.proxies[0].shows(statistics(100, sharedCluster, one))
		g.look(0)
		g.query.Backends = append(g.query.Backends, canary)
		wantCounts(t, g.look(5*time.Second), "canary", 0, 0)
	})
	t.Run("in a cluster of its own, which is new to the proxy", func(t *testing.T) {
		g := newGate(t, 1)
		first(g)
		g.proxies[0].shows(statistics(100, sharedCluster, map[string]outcome{"10.0.0.1:50051": {5, 0}}))
		g.look(0)
		own := canary
		own.Cluster = ownCluster
		g.query.Backends = append(g.query.Backends, own)
		g.proxies[0].shows(statistics(105, sharedCluster, map[string]outcome{"10.0.0.1:50051": {6, 0}}) +
			withoutTypes(statistics(-1, ownCluster, map[string]outcome{"10.0.0.3:50051": {1, 2}})))
		reading := g.look(5 * time.Second)
		wantCounts(t, reading, "primary", 1, 0)
		wantCounts(t, reading, "canary", 3, 2)
	})
	t.Run("when a proxy had not answered before as well", func(t *testing.T) {
		g := newGate(t, 2)
		first(g)
		page := page3(100, outcome{5, 0}, outcome{}, outcome{})
		g.show(0, []string{page, page})
		g.show(5*time.Second, []string{page, ""})
		g.query.Backends = append(g.query.Backends, canary)
		later := page3(110, outcome{6, 0}, outcome{}, outcome{1, 0})
		reading := g.show(5*time.Second, []string{later, later})
		wantCounts(t, reading, "canary", 2, 0)
		if !reading.Backends["canary"].Start.Equal(reading.Backends["primary"].Start) {
			t.Errorf("%+v", reading.Backends)
		}
	})
}

func TestALookEndsWithItsContext(t *testing.T) {
	g := newGate(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	g.proxies[0].says(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	reading, err := g.Read(ctx, g.query)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	wantUnknown(t, reading, "primary", UnknownUnreachable, "canceled")
}

func TestABackendThatHadNoEndpointsCountsFromTheLastLook(t *testing.T) {
	g := newGate(t, 1)
	one := map[string]outcome{"10.0.0.1:50051": {}}
	for i := range 4 {
		g.proxies[0].shows(statistics(float64(100+5*i), sharedCluster, one))
		g.look(5 * time.Second)
	}
	before := g.clock.Now()
	g.proxies[0].shows(page3(120, outcome{}, outcome{}, outcome{4, 1}))
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "backup", 5, 1)
	if start := reading.Backends["backup"].Start; !start.Equal(before) {
		t.Errorf("counted from %s, the last look was at %s", start, before)
	}
}
