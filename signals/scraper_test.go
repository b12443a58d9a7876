package signals

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// tenants are ExposedServices on one gate, each with a source and a cluster of its own.
type tenants struct {
	*gate

	sources []*Envoy
}

func tenantCluster(i int) string { return fmt.Sprintf("grpcroute/tenant-%d/greeter/rule/0", i) }

func newTenants(t *testing.T, n, proxies int, change ...func(*gateConfig)) *tenants {
	t.Helper()
	g := &tenants{gate: newGate(t, proxies, change...)}
	for range n {
		g.sources = append(g.sources, NewEnvoy(g.config))
	}
	return g
}

// readings are those of all, who look at the same time.
func (g *tenants) readings(after time.Duration) []Reading {
	g.clock.SetTime(g.clock.Now().Add(after))
	out := make([]Reading, len(g.sources))
	var wait sync.WaitGroup
	for i, source := range g.sources {
		query := g.query
		query.Cluster = tenantCluster(i)
		wait.Go(func() { out[i], _ = source.Read(context.Background(), query) })
	}
	wait.Wait()
	return out
}

// untilQuiet waits until no request is under way: the test's clock must not run ahead of them.
func (g *tenants) untilQuiet() {
	busy := func() bool {
		g.config.Scraper.mu.Lock()
		defer g.config.Scraper.mu.Unlock()
		for _, proxy := range g.config.Scraper.proxies {
			if proxy.flight != nil {
				return true
			}
		}
		return false
	}
	for busy() {
		time.Sleep(time.Millisecond)
	}
}

// pageOf is a page with the clusters of all tenants: each has had so many calls.
func (g *tenants) pageOf(uptime int, calls float64) string {
	out := fmt.Sprintf("envoy_server_uptime{} %d\n", uptime)
	for i := range g.sources {
		out += withoutTypes(statistics(-1, tenantCluster(i), map[string]outcome{
			"10.0.0.1:50051": {success: calls + float64(i)}, "10.0.0.2:50051": {}, "10.0.0.3:50051": {},
		}))
	}
	return out
}

func TestAProxyIsAskedOnceForAll(t *testing.T) {
	var mu sync.Mutex
	requests, atOnce, most := 0, 0, 0
	g := newTenants(t, 50, 3)
	uptime, calls := 100, 0.0
	for _, proxy := range g.proxies {
		proxy.says(func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			requests++
			atOnce++
			most = max(most, atOnce)
			page := g.pageOf(uptime, calls)
			mu.Unlock()
			_, _ = io.WriteString(w, page)
			mu.Lock()
			atOnce--
			mu.Unlock()
		})
	}
	for i := range 5 {
		readings := g.readings(time.Second)
		for n, reading := range readings {
			if i == 0 {
				wantUnknown(t, reading, "primary", UnknownFirstLook, "first look")
				continue
			}
			wantCounts(t, reading, "primary", uint64(3*10), 0)
			if counts := reading.Backends["primary"]; counts.End.Sub(counts.Start) != time.Second {
				t.Errorf("tenant %d: counted for %s", n, counts.End.Sub(counts.Start))
			}
		}
		mu.Lock()
		if requests != 3*(i+1) || most > 3 {
			t.Errorf("after look %d: %d requests, %d at once", i, requests, most)
		}
		uptime++
		calls += 10
		mu.Unlock()
	}
}

// Who comes within the interval is shown the same page, as of when it was taken.
func TestALaterOneIsShownThePageOfTheInterval(t *testing.T) {
	g := newTenants(t, 2, 1)
	early, late := g.sources[0], g.sources[1]
	look := func(source *Envoy, i int, after time.Duration) Reading {
		g.clock.SetTime(g.clock.Now().Add(after))
		query := g.query
		query.Cluster = tenantCluster(i)
		reading, _ := source.Read(context.Background(), query)
		return reading
	}
	g.proxies[0].shows(g.pageOf(100, 0))
	look(early, 0, 0)
	g.proxies[0].shows(g.pageOf(101, 5))
	if got := look(late, 1, 600*time.Millisecond); !got.Taken.Equal(noon) {
		t.Errorf("taken at %s", got.Taken)
	}
	wantCounts(t, look(early, 0, 400*time.Millisecond), "primary", 5, 0)
	g.proxies[0].shows(g.pageOf(102, 9))
	reading := look(late, 1, 600*time.Millisecond)
	wantCounts(t, reading, "primary", 5, 0)
	if counts := reading.Backends["primary"]; !counts.Start.Equal(noon) || !counts.End.Equal(noon.Add(time.Second)) {
		t.Errorf("counted from %s to %s", counts.Start, counts.End)
	}
}

// What one cluster's part of a page says is nobody else's trouble.
func TestOneClustersGarbageIsItsOwn(t *testing.T) {
	g := newTenants(t, 2, 1)
	g.proxies[0].shows(g.pageOf(100, 0))
	g.readings(0)
	bad := fmt.Sprintf("envoy_cluster_endpoint_rq_error{envoy_cluster_name=%q,envoy_endpoint_address=\"10.0.0.9:1\"} NaN\n", tenantCluster(0))
	g.proxies[0].shows(g.pageOf(101, 5) + bad)
	readings := g.readings(time.Second)
	wantUnknown(t, readings[0], "primary", UnknownGarbage, "NaN")
	wantCounts(t, readings[1], "primary", 5, 0)
}

// A proxy that hangs is waited for once by those who need it, has one request under way, and keeps nobody else waiting. When it answers
// again, nothing is lost.
func TestAProxyThatHangsIsWaitedForOnce(t *testing.T) {
	g := newTenants(t, 20, 2, func(c *gateConfig) { c.scraper.Timeout = 500 * time.Millisecond })
	for _, proxy := range g.proxies {
		proxy.shows(g.pageOf(100, 0))
	}
	g.readings(0)

	var mu sync.Mutex
	under, most := 0, 0
	g.proxies[1].says(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		under++
		most = max(most, under)
		mu.Unlock()
		<-r.Context().Done()
		mu.Lock()
		under--
		mu.Unlock()
	})
	for i := 1; i <= 5; i++ {
		g.proxies[0].shows(g.pageOf(100+i, float64(10*i)))
		for _, reading := range g.readings(time.Second) {
			wantCounts(t, reading, "primary", 10, 0)
			if reading.Answered != 1 || len(reading.Notes) != 1 {
				t.Errorf("%d answered, notes %q", reading.Answered, reading.Notes)
			}
		}
	}
	mu.Lock()
	if most > 1 {
		t.Errorf("%d requests at once to a proxy that hangs", most)
	}
	mu.Unlock()

	g.proxies[1].shows(g.pageOf(106, 60))
	for i := 6; ; i++ {
		g.untilQuiet()
		g.proxies[0].shows(g.pageOf(100+i, float64(10*i)))
		readings := g.readings(time.Second)
		if readings[0].Answered == 2 {
			for _, reading := range readings {
				wantCounts(t, reading, "primary", 10+60, 0)
			}
			return
		}
	}
}
