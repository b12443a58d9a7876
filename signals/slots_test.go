package signals

import (
	"strconv"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// A promotion exchanges the roles of two slots, and no endpoint moves: what was the canary's is the first backend's from the next look on. No
// call is counted twice then, and what was counted before the promotion is nobody's news.

// exchange lets the first two backends of a query change places, as a promotion does.
func exchange(query *Query) {
	stable, canary := &query.Backends[0], &query.Backends[1]
	stable.Endpoints, canary.Endpoints = canary.Endpoints, stable.Endpoints
	stable.Cluster, canary.Cluster = canary.Cluster, stable.Cluster
	stable.Locality, canary.Locality = canary.Locality, stable.Locality
	stable.PodTemplateHash, canary.PodTemplateHash = canary.PodTemplateHash, stable.PodTemplateHash
}

func TestAPromotionCountsNoCallOfEnvoysTwice(t *testing.T) {
	for name, ofOwn := range map[string]bool{"in one cluster": false, "in clusters of their own": true} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, 1)
			blue, green := sharedCluster, sharedCluster
			g.query.Backends = []Backend{
				{Name: "primary", Endpoints: endpointsAt("10.0.0.1:50051")}, {Name: "canary", Endpoints: endpointsAt("10.0.0.2:50051")},
			}
			if ofOwn {
				blue, green = sharedCluster+"/backend/0", sharedCluster+"/backend/3"
				g.query.Backends[0].Cluster, g.query.Backends[1].Cluster = blue, green
			}
			shows := func(uptime float64, old, next outcome) {
				if !ofOwn {
					g.proxies[0].shows(statistics(uptime, sharedCluster, map[string]outcome{"10.0.0.1:50051": old, "10.0.0.2:50051": next}))
					return
				}
				g.proxies[0].shows(statistics(uptime, blue, map[string]outcome{"10.0.0.1:50051": old}) +
					statistics(-1, green, map[string]outcome{"10.0.0.2:50051": next}))
			}
			shows(1, outcome{success: 1000, failure: 500}, outcome{success: 100, failure: 7})
			g.look(0)
			shows(2, outcome{success: 1010, failure: 501}, outcome{success: 130, failure: 7})
			before := g.look(time.Second)
			wantCounts(t, before, "primary", 11, 1)
			wantCounts(t, before, "canary", 30, 0)

			exchange(&g.query)
			shows(3, outcome{success: 1010, failure: 503}, outcome{success: 172, failure: 8})
			after := g.look(time.Second)
			wantCounts(t, after, "primary", 43, 1)
			wantCounts(t, after, "canary", 2, 2)
			if start := after.Backends["primary"].Start; !start.Equal(noon.Add(time.Second)) {
				t.Errorf("counted from %s", start)
			}

			// The version before is gone, and what its endpoints leave behind is nobody's.
			g.query.Backends = g.query.Backends[:1]
			shows(4, outcome{success: 1010, failure: 503}, outcome{success: 180, failure: 8})
			wantCounts(t, g.look(time.Second), "primary", 8, 0)
		})
	}
}

func TestAPromotionCountsNoReportedCallTwice(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	reader := &replicaLoads{}
	source := NewLoadReports(LoadReportsConfig{Reader: reader, Clock: clock})
	query := Query{Namespace: "shop", Name: "greeter", Backends: []Backend{
		{Name: "primary", Locality: "primary"}, {Name: "canary", Locality: "Green"}, {Name: "backup"},
	}}
	look := func(blue, green Load) Reading {
		t.Helper()
		reader.replicas = []ReplicaLoads{heard("a", map[string]Load{"primary": blue, "Green": green, "backup": {Succeeded: 1}})}
		clock.SetTime(clock.Now().Add(time.Second))
		reading, err := source.Read(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		return reading
	}
	look(Load{Succeeded: 1000, Failed: 500, Issued: 1500}, Load{Succeeded: 100, Failed: 7, Issued: 107})
	before := look(Load{Succeeded: 1010, Failed: 501, Issued: 1511}, Load{Succeeded: 130, Failed: 7, Issued: 140, InFlight: 3})
	wantCounts(t, before, "primary", 11, 1)
	wantCounts(t, before, "canary", 30, 0)
	wantCounts(t, before, "backup", 0, 0)

	exchange(&query)
	after := look(Load{Succeeded: 1010, Failed: 503, Issued: 1513}, Load{Succeeded: 172, Failed: 8, Issued: 182, InFlight: 2})
	wantCounts(t, after, "primary", 43, 1)
	wantCounts(t, after, "canary", 2, 2)
	if got := after.Backends["primary"]; got.Begun != 42 || got.InFlight != 2 {
		t.Errorf("%d have begun, %d are under way", got.Begun, got.InFlight)
	}
	if work := after.Work; !work.Known || work.Started != 44 || work.InFlight != 2 {
		t.Errorf("the work is %+v", work)
	}
}

// A sum of the calls of other pods is another sum: by what it differs from the last one is no number of calls.
func TestAPromotionIsAFirstLookAtAnotherSum(t *testing.T) {
	p := newPromTest(t, func(config *PrometheusConfig) {
		config.Sides, config.Calls, config.Errors = true, "calls {{.PodTemplateHash}}", "errors {{.PodTemplateHash}}"
	})
	p.query.Backends = []Backend{
		{Name: "primary", Side: "stable", PodTemplateHash: "old"}, {Name: "canary", Side: "canary", PodTemplateHash: "new"},
	}
	shows := func(hash string, calls, failures int) {
		p.server.mu.Lock()
		defer p.server.mu.Unlock()
		p.server.results["calls "+hash] = vector(p.server.now, "", strconv.Itoa(calls))
		p.server.results["errors "+hash] = vector(p.server.now, "", strconv.Itoa(failures))
	}
	shows("old", 100, 1)
	shows("new", 9000, 900)
	p.look()
	p.advance(time.Second)
	shows("old", 120, 2)
	shows("new", 9030, 900)
	before := p.look()
	wantCounts(t, before, "primary", 20, 1)
	wantCounts(t, before, "canary", 30, 0)

	exchange(&p.query)
	p.advance(time.Second)
	shows("old", 120, 2)
	shows("new", 9070, 901)
	after := p.look()
	wantUnknown(t, after, "primary", UnknownFirstLook, "first look")
	wantUnknown(t, after, "canary", UnknownFirstLook, "first look")
	p.advance(time.Second)
	shows("old", 120, 2)
	shows("new", 9075, 901)
	wantCounts(t, p.look(), "primary", 5, 0)
}
