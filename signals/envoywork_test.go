package signals

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// aCluster is what a page says of one: attempts started, and under way as it is written there; empty: nothing.
type aCluster struct {
	started int
	active  string
}

// lines are those of a cluster.
func (c aCluster) lines(name string) string {
	out := fmt.Sprintf("envoy_cluster_upstream_rq_total{envoy_cluster_name=%q} %d\n", name, c.started)
	if c.active != "" {
		out += fmt.Sprintf("envoy_cluster_upstream_rq_active{envoy_cluster_name=%q} %s\n", name, c.active)
	}
	return out
}

// workPage writes a page with nothing but the attempts of clusters.
func workPage(uptime int, clusters map[string]aCluster) string {
	var out strings.Builder
	fmt.Fprintf(&out, "envoy_server_uptime{} %d\n", uptime)
	for name, of := range clusters {
		out.WriteString(of.lines(name))
	}
	return out.String()
}

func TestWorkOfProxies(t *testing.T) {
	const (
		second = time.Second
		own    = ownCluster
		silent = ""
	)
	shared := func(uptime, started int, active string) string {
		return workPage(uptime, map[string]aCluster{sharedCluster: {started, active}})
	}
	both := func(uptime int, of, alone aCluster) string {
		return workPage(uptime, map[string]aCluster{sharedCluster: of, own: alone})
	}
	known := func(from, to time.Duration, started, inFlight uint64) Work {
		return Work{Started: started, InFlight: inFlight, Start: noon.Add(from), End: noon.Add(to), Known: true}
	}
	type look struct {
		after time.Duration
		pages []string // by proxy
		want  Work
		notes string // in the notes, if not empty
	}
	for name, looks := range map[string][]look{
		"the first look counts from here, and a gauge is that of the last": {
			{0, []string{shared(100, 1000, "7")}, Work{}, ""},
			{5 * second, []string{shared(105, 1030, "3")}, known(0, 5*second, 30, 3), ""},
			{5 * second, []string{shared(110, 1030, "0")}, known(5*second, 10*second, 0, 0), ""},
			{5 * second, []string{shared(115, 1031, "1")}, known(10*second, 15*second, 1, 1), ""},
		},
		"proxies and clusters add up": {
			{0, []string{both(100, aCluster{10, "1"}, aCluster{20, "2"}), both(50, aCluster{}, aCluster{})}, Work{}, ""},
			{5 * second, []string{both(105, aCluster{11, "3"}, aCluster{22, "4"}), both(55, aCluster{4, "5"}, aCluster{8, "6"})}, known(0, 5*second, 1+2+4+8, 18), ""},
		},
		"other clusters are others' work": {
			{0, []string{shared(100, 1, "1")}, Work{}, ""},
			{5 * second, []string{workPage(105, map[string]aCluster{sharedCluster: {3, "1"}, "grpcroute/shop/other/rule/0": {500, "50"}})}, known(0, 5*second, 2, 1), ""},
		},
		"a cluster without a gauge has nothing under way": {
			{0, []string{shared(100, 1, "")}, Work{}, ""},
			{5 * second, []string{shared(105, 3, "")}, known(0, 5*second, 2, 0), ""},
		},
		"a cluster that is not used yet": {
			{0, []string{workPage(100, nil)}, Work{}, ""},
			{5 * second, []string{workPage(105, nil)}, known(0, 5*second, 0, 0), ""},
			{5 * second, []string{shared(110, 4, "2")}, known(5*second, 10*second, 4, 2), ""},
		},
		"a cluster that vanishes and comes back as it was is not counted again": {
			{0, []string{shared(100, 40, "1")}, Work{}, ""},
			{5 * second, []string{workPage(105, nil)}, known(0, 5*second, 0, 0), ""},
			{5 * second, []string{shared(110, 42, "1")}, known(5*second, 10*second, 2, 1), ""},
		},
		"a process that starts again counts what it has": {
			{0, []string{shared(100, 1000, "9")}, Work{}, ""},
			{5 * second, []string{shared(2, 40, "8")}, known(0, 5*second, 40, 8), ""},
		},
		"a proxy that does not answer is left out, and then counts from when it was last read": {
			{0, []string{shared(100, 10, "1"), shared(100, 10, "1")}, Work{}, ""},
			{5 * second, []string{shared(105, 15, "2"), silent}, known(0, 5*second, 5, 2), "envoy-1"},
			{5 * second, []string{shared(110, 20, "2"), shared(110, 30, "4")}, known(0, 10*second, 5+20, 6), ""},
			{5 * second, []string{shared(115, 25, "2"), shared(115, 40, "4")}, known(10*second, 15*second, 5+10, 6), ""},
		},
		"without an answer nothing is known": {
			{0, []string{shared(100, 10, "1")}, Work{}, ""},
			{5 * second, []string{silent}, Work{}, "envoy-0"},
			{5 * second, []string{shared(110, 16, "2")}, known(0, 10*second, 6, 2), ""},
		},
		"a proxy that is new is a baseline": {
			{0, []string{shared(100, 10, "1")}, Work{}, ""},
			{5 * second, []string{shared(105, 13, "1"), shared(900, 5000, "500")}, known(0, 5*second, 3, 1), ""},
			{5 * second, []string{shared(110, 16, "1"), shared(905, 5001, "3")}, known(5*second, 10*second, 4, 4), ""},
		},
		"what was read too long ago is a baseline": {
			{0, []string{shared(100, 10, "1")}, Work{}, ""},
			{16 * second, []string{shared(116, 1000, "1")}, Work{}, ""},
			{5 * second, []string{shared(121, 1001, "1")}, known(16*second, 21*second, 1, 1), ""},
		},
		"when our own clock goes back counting starts anew": {
			{0, []string{shared(100, 10, "1")}, Work{}, ""},
			{-time.Hour, []string{shared(105, 20, "1")}, Work{}, ""},
			{5 * second, []string{shared(110, 21, "1")}, known(-time.Hour, -time.Hour+5*second, 1, 1), ""},
		},
		"in no time nothing can be told": {
			{0, []string{shared(100, 10, "1")}, Work{}, ""},
			{0, []string{shared(100, 20, "1")}, Work{}, ""},
			{5 * second, []string{shared(105, 21, "1")}, known(0, 5*second, 1, 1), ""},
		},
		"counters that cannot be": {
			{0, []string{shared(100, 10, "1")}, Work{}, ""},
			{5 * second, []string{shared(105, -1, "1")}, Work{}, "which no counter can be"},
			{5 * second, []string{shared(110, 12, "1")}, known(0, 10*second, 2, 1), ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := workGate(t)
			for i, look := range looks {
				reading := g.show(look.after, look.pages)
				if diff := cmp.Diff(look.want, reading.Work); diff != "" {
					t.Errorf("look %d (-want +got):\n%s", i, diff)
				}
				if notes := strings.Join(reading.Notes, ";"); !strings.Contains(notes, look.notes) || look.notes == "" && notes != "" {
					t.Errorf("look %d: notes %q, want %q", i, notes, look.notes)
				}
			}
		})
	}
}

// workGate has no proxies yet; the backends share a cluster, and one has one of its own as well.
func workGate(t *testing.T) *gate {
	t.Helper()
	g := newGate(t, 0)
	g.query.Backends[0].Cluster = ownCluster
	return g
}

// show looks at proxies that show pages; empty: that one does not answer.
func (g *gate) show(after time.Duration, pages []string) Reading {
	g.t.Helper()
	for i, page := range pages {
		if i == len(g.proxies) {
			g.proxies = append(g.proxies, g.newProxy(fmt.Sprintf("envoy-%d", i)))
			g.query.Proxies = append(g.query.Proxies, g.proxies[i].Proxy)
		}
		g.proxies[i].says(func(w http.ResponseWriter, _ *http.Request) {
			if page == "" {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, page)
		})
	}
	return g.look(after)
}

// A gauge that underflowed, as gauges of Envoy have, must not make a failover blind: calls are counted all the same.
func TestAGaugeThatCannotBeSpoilsNothingElse(t *testing.T) {
	for _, gauge := range []string{"-1", "NaN", "+Inf", "18446744073709551615"} {
		t.Run(gauge, func(t *testing.T) {
			g := newGate(t, 2)
			page := func(uptime float64, success float64, gauge string) string {
				return page3(uptime, outcome{success, 0}, outcome{}, outcome{}) +
					fmt.Sprintf("envoy_cluster_upstream_rq_active{envoy_cluster_name=%q} %s\n", sharedCluster, gauge)
			}
			good := page(100, 1, "3")
			g.show(0, []string{good, good})
			reading := g.show(5*time.Second, []string{page(105, 2, gauge), page(105, 2, "4")})
			wantCounts(t, reading, "primary", 2, 0)
			if want := (Work{InFlight: 4, Start: noon, End: noon.Add(5 * time.Second), Known: true}); reading.Work != want {
				t.Errorf("%+v, want that of the other proxy: %+v", reading.Work, want)
			}
			if len(reading.Notes) != 1 || !strings.Contains(reading.Notes[0], "proxy envoy-0: how many calls are under way is not known") {
				t.Errorf("notes %q", reading.Notes)
			}
			if reading := g.show(5*time.Second, []string{page(110, 2, gauge), page(110, 2, gauge)}); reading.Work.Known || reading.Answered != 2 {
				t.Errorf("%+v", reading)
			}
		})
	}
}

func TestWorkOfTheWholeClusterIsNotThatOfAnEndpoint(t *testing.T) {
	g := workGate(t)
	page := func(uptime, started int) string {
		return workPage(uptime, map[string]aCluster{sharedCluster: {started, "2"}}) + fmt.Sprintf(
			"envoy_cluster_upstream_rq_total{envoy_cluster_name=%[1]q,envoy_endpoint_address=\"10.0.0.1:50051\"} 900000\n"+
				"envoy_cluster_upstream_rq_active{envoy_cluster_name=%[1]q,envoy_endpoint_address=\"10.0.0.1:50051\"} 900\n"+
				"envoy_cluster_endpoint_rq_total{envoy_cluster_name=%[1]q,envoy_endpoint_address=\"10.0.0.1:50051\"} 900000\n"+
				"envoy_cluster_endpoint_rq_active{envoy_cluster_name=%[1]q,envoy_endpoint_address=\"10.0.0.1:50051\"} 900\n", sharedCluster)
	}
	g.show(0, []string{page(100, 10)})
	if work := g.show(5*time.Second, []string{page(105, 13)}).Work; work.Started != 3 || work.InFlight != 2 {
		t.Errorf("%+v", work)
	}
}

func TestAClusterThatWasNotAskedForIsABaseline(t *testing.T) {
	g := workGate(t)
	page := func(uptime, shared, own int) string {
		return workPage(uptime, map[string]aCluster{sharedCluster: {shared, "1"}, ownCluster: {own, "10"}})
	}
	is := func(what string, reading Reading, started, inFlight uint64, known bool) {
		t.Helper()
		if work := reading.Work; work.Started != started || work.InFlight != inFlight || work.Known != known {
			t.Errorf("%s: %+v", what, work)
		}
	}
	g.query.Backends[0].Cluster = ""
	g.show(0, []string{page(100, 1, 1000)})
	is("only the shared one is asked for", g.show(5*time.Second, []string{page(105, 3, 2000)}), 2, 1, true)
	g.query.Backends[0].Cluster = ownCluster
	is("another comes", g.show(5*time.Second, []string{page(110, 5, 3000)}), 2, 1, true)
	is("and counts from then on", g.show(5*time.Second, []string{page(115, 7, 3004)}), 6, 11, true)
	g.query.Cluster = ""
	is("one is not asked for any more", g.show(5*time.Second, []string{page(120, 100, 3005)}), 1, 10, true)
	g.query.Cluster, g.query.Backends[0].Cluster = sharedCluster, ""
	is("and comes back alone", g.show(5*time.Second, []string{page(125, 200, 4000)}), 0, 0, false)
	is("as a baseline", g.show(5*time.Second, []string{page(130, 201, 4000)}), 1, 1, true)
}

func TestWorkOfARealEnvoy(t *testing.T) {
	t.Run("of a shared cluster", func(t *testing.T) {
		g := newGate(t, 1)
		g.query.Cluster = "grpcroute/signals/greeter/rule/0"
		g.show(0, []string{string(testdata(t, "endpoints-before.txt"))})
		work := g.show(5*time.Second, []string{string(testdata(t, "endpoints-after.txt"))}).Work
		if work.Started != 1000 || work.InFlight != 0 || !work.Known {
			t.Errorf("%+v", work)
		}
	})
	t.Run("of clusters that are one backend's alone", func(t *testing.T) {
		g := newGate(t, 1)
		g.query.Cluster = ""
		g.query.Backends[0].Cluster = "grpcroute/signals/plainown/rule/0/backend/0"
		g.query.Backends[1].Cluster = "grpcroute/signals/plainown/rule/0/backend/1"
		g.show(0, []string{string(testdata(t, "clusters-before.txt"))})
		work := g.show(5*time.Second, []string{string(testdata(t, "unfiltered.txt"))}).Work
		if work.Started != (1538-994)+(1562-1006) || work.InFlight != 0 || !work.Known {
			t.Errorf("%+v", work)
		}
	})
}
