package loadreport

import (
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/xds/cache"
)

var (
	shop    = cache.Scope{Namespace: "shop"}
	greeter = cache.Owner{Namespace: "shop", Name: "greeter"}
	noon    = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
)

func locality(backend string, t Totals) *endpoint.UpstreamLocalityStats {
	return &endpoint.UpstreamLocalityStats{
		Locality:            &core.Locality{Zone: backend},
		TotalIssuedRequests: t.Issued, TotalSuccessfulRequests: t.Succeeded, TotalErrorRequests: t.Failed,
	}
}

func report(cluster string, localities ...*endpoint.UpstreamLocalityStats) *endpoint.ClusterStats {
	return &endpoint.ClusterStats{ClusterName: cluster, UpstreamLocalityStats: localities, LoadReportInterval: durationpb.New(time.Second)}
}

// onlyGreeter is a ledger in a world with one ExposedService.
func onlyGreeter() *ledger {
	return newLedger(func(owner cache.Owner) bool { return owner == greeter }, time.Minute)
}

func TestClustersBelongToExposedServices(t *testing.T) {
	for cluster, want := range map[string]string{
		"shop/greeter":        "shop/greeter",
		"shop/greeter/backup": "shop/greeter",
		"":                    "",
		"shop":                "",
		"shop/":               "",
		"/greeter":            "",
		"shop/greeter/":       "",
		"shop/greeter/a/b":    "",
		"shop//backup":        "",
		"//":                  "",
	} {
		owner, ok := ownerOf(cluster)
		if got := owner.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %s, %v; want %q", cluster, got, ok, want)
		}
	}
}

func TestWhatIsCountedOfAReport(t *testing.T) {
	ten := Totals{Issued: 10, Succeeded: 7, Failed: 3}
	late := report("shop/greeter", locality("primary", ten))
	late.LoadReportInterval = durationpb.New(time.Minute + 1)
	crowd := make([]*endpoint.UpstreamLocalityStats, 0, maxBackends+2)
	for i := range maxBackends + 2 {
		crowd = append(crowd, locality(fmt.Sprint(i), Totals{}))
	}
	for name, c := range map[string]struct {
		stats   []*endpoint.ClusterStats
		want    map[string]Totals
		ignored map[ignored]int
	}{
		"both clusters of a backend": {
			stats: []*endpoint.ClusterStats{
				report("shop/greeter", locality("primary", ten), locality("backup", ten)),
				report("shop/greeter/primary", locality("primary", ten)),
			},
			want: map[string]Totals{"primary": {20, 14, 6}, "backup": ten},
		},
		"another namespace":             {stats: []*endpoint.ClusterStats{report("bank/greeter", locality("primary", ten))}, ignored: map[ignored]int{ignoredForeign: 1}},
		"a cluster of the client's own": {stats: []*endpoint.ClusterStats{report("local_service", locality("", ten))}, ignored: map[ignored]int{ignoredForeign: 1}},
		"an ExposedService that is not": {stats: []*endpoint.ClusterStats{report("shop/ghost", locality("primary", ten))}, ignored: map[ignored]int{ignoredForeign: 1}},
		"a locality without a name":     {stats: []*endpoint.ClusterStats{report("shop/greeter", locality("", ten))}, ignored: map[ignored]int{ignoredNameless: 1}},
		"no locality":                   {stats: []*endpoint.ClusterStats{report("shop/greeter", nil)}, ignored: map[ignored]int{ignoredNameless: 1}},
		"a count that is none": {
			stats:   []*endpoint.ClusterStats{report("shop/greeter", locality("primary", Totals{Succeeded: math.MaxUint64}), locality("backup", ten))},
			want:    map[string]Totals{"backup": ten},
			ignored: map[ignored]int{ignoredNonsense: 1},
		},
		"of too long a time": {stats: []*endpoint.ClusterStats{late}, ignored: map[ignored]int{ignoredLate: 1}},
		"more backends than there can be": {
			stats: []*endpoint.ClusterStats{report("shop/greeter", crowd...)},
			want: func() map[string]Totals {
				want := map[string]Totals{}
				for i := range maxBackends {
					want[fmt.Sprint(i)] = Totals{}
				}
				return want
			}(),
			ignored: map[ignored]int{ignoredBound: 2},
		},
		"nothing": {stats: []*endpoint.ClusterStats{nil, {}}, ignored: map[ignored]int{ignoredForeign: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			l := onlyGreeter()
			left := map[ignored]int{}
			l.add(l.connect(shop), c.stats, noon, func(why ignored) { left[why]++ })
			got, _, _ := l.read(greeter, noon)
			if !maps.Equal(got, c.want) {
				t.Errorf("counted (-want +got):\n%s", cmp.Diff(c.want, got))
			}
			if !maps.Equal(left, c.ignored) {
				t.Errorf("ignored (-want +got):\n%s", cmp.Diff(c.ignored, left))
			}
		})
	}
}

func TestSilenceIsNotHeard(t *testing.T) {
	const silence = 5 * time.Second
	l := onlyGreeter()
	none := func(why ignored) { t.Errorf("ignored: %s", why) }
	heard := func(now time.Time) bool {
		_, _, heard := l.read(greeter, now.Add(-silence))
		return heard
	}
	first, other := l.connect(shop), l.connect(shop)
	if heard(noon) {
		t.Error("nobody has reported")
	}
	l.add(other, nil, noon, none)
	if heard(noon) {
		t.Error("who reports on nothing is no reporter of the greeter")
	}
	l.add(first, []*endpoint.ClusterStats{report("shop/greeter", locality("primary", Totals{Succeeded: 1}))}, noon, none)
	if !heard(noon) || !heard(noon.Add(silence)) || heard(noon.Add(silence+1)) {
		t.Error("a reporter is heard for as long as the bound")
	}
	l.add(first, nil, noon.Add(time.Minute), none)
	if !heard(noon.Add(time.Minute)) {
		t.Error("a report that says nothing is no silence")
	}
	l.close(first)
	totals, _, still := l.read(greeter, noon)
	if still || totals["primary"].Succeeded != 1 {
		t.Errorf("after the client is gone: heard %v, %v; what it reported stays", still, totals)
	}
}

func TestWhatTheCacheNoLongerHasIsForgotten(t *testing.T) {
	there := true
	l := newLedger(func(cache.Owner) bool { return there }, time.Minute)
	r := l.connect(shop)
	none := func(ignored) {}
	l.add(r, []*endpoint.ClusterStats{report("shop/greeter", locality("primary", Totals{Succeeded: 1}))}, noon, none)
	there = false
	l.add(r, nil, noon.Add(sweepInterval), none)
	if totals, _, _ := l.read(greeter, noon); totals != nil || len(r.on) != 0 || len(l.services) != 0 {
		t.Errorf("still there: %v", totals)
	}
	l.close(r)
}

// However the calls of some clients are split into reports, connections and replicas: the totals are their sum.
func TestTotalsAreTheSumOfWhatWasReported(t *testing.T) {
	backends := []string{"primary", "backup", "canary"}
	clusters := []string{"shop/greeter", "shop/greeter/primary"}
	rapid.Check(t, func(t *rapid.T) {
		replicas := []*ledger{onlyGreeter(), onlyGreeter()}
		type connection struct {
			to *ledger
			as *reporter
		}
		clients := make([]connection, rapid.IntRange(1, 3).Draw(t, "clients"))
		connect := func(i int) {
			to := rapid.SampledFrom(replicas).Draw(t, "replica")
			clients[i] = connection{to, to.connect(shop)}
		}
		for i := range clients {
			connect(i)
		}
		want := map[string]Totals{}
		now := noon
		for range rapid.IntRange(0, 40).Draw(t, "reports") {
			i := rapid.IntRange(0, len(clients)-1).Draw(t, "client")
			if rapid.Bool().Draw(t, "reconnect") {
				clients[i].to.close(clients[i].as)
				connect(i)
			}
			counted := Totals{Succeeded: rapid.Uint64Range(0, 1000).Draw(t, "succeeded"), Failed: rapid.Uint64Range(0, 1000).Draw(t, "failed")}
			counted.Issued = counted.Succeeded + counted.Failed + rapid.Uint64Range(0, 5).Draw(t, "in progress")
			backend := rapid.SampledFrom(backends).Draw(t, "backend")
			cluster := rapid.SampledFrom(clusters).Draw(t, "cluster")
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "seconds")) * time.Second)
			clients[i].to.add(clients[i].as, []*endpoint.ClusterStats{report(cluster, locality(backend, counted))}, now, func(why ignored) {
				t.Fatalf("ignored: %s", why)
			})
			want[backend] = want[backend].plus(counted)
		}
		got := map[string]Totals{}
		for _, replica := range replicas {
			totals, _, _ := replica.read(greeter, now)
			for backend, total := range totals {
				got[backend] = got[backend].plus(total)
			}
		}
		if !maps.Equal(want, got) {
			t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
		}
	})
}
