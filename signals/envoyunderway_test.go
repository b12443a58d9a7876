package signals

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// attempts are those of an endpoint: begun, and under way.
type attempts struct{ begun, active int }

// attemptsOf is a page's text about the attempts of endpoints.
func attemptsOf(cluster string, endpoints map[string]attempts) string {
	var out strings.Builder
	for _, address := range slices.Sorted(maps.Keys(endpoints)) {
		of := endpoints[address]
		labels := fmt.Sprintf("{envoy_cluster_name=%q,envoy_endpoint_address=%q}", cluster, address)
		fmt.Fprintf(&out, "envoy_cluster_endpoint_rq_total%s %d\nenvoy_cluster_endpoint_rq_active%s %d\n", labels, of.begun, labels, of.active)
	}
	return out.String()
}

// told is what is known of calls beside their outcomes.
type told struct {
	Begun, InFlight, Cancelled uint64
	Tells                      bool
}

func toldOf(counts Counts) told {
	return told{counts.Begun, counts.InFlight, counts.Cancelled, counts.TellsBegun && counts.TellsCancelled}
}

func wantTold(t *testing.T, reading Reading, backend string, want told) {
	t.Helper()
	counts := reading.Backends[backend]
	if got := toldOf(counts); got != want || counts.TellsBegun != counts.TellsCancelled {
		t.Errorf("%s: %+v, want %+v", backend, got, want)
	}
}

// hangPage is a page about the endpoint of each of two backends.
func hangPage(uptime int, primary outcome, of attempts, backup outcome, ofBackup attempts) string {
	return statistics(float64(uptime), sharedCluster, map[string]outcome{"10.0.0.1:50051": primary, "10.0.0.3:50051": backup}) +
		attemptsOf(sharedCluster, map[string]attempts{"10.0.0.1:50051": of, "10.0.0.3:50051": ofBackup})
}

func TestCallsThatHangUntilTheirCallerGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		// answered and failed of 100 calls to the backup; the others hang.
		answered, failed float64
		cancelled        uint64
	}{"none": {99, 1, 0}, "a fifth": {77, 3, 20}, "all": {0, 0, 100}} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, 1)
			g.proxies[0].shows(hangPage(100, outcome{10, 0}, attempts{12, 2}, outcome{5, 1}, attempts{9, 0}))
			g.look(0)
			g.proxies[0].shows(hangPage(105, outcome{912, 0}, attempts{912, 0}, outcome{5 + c.answered, 1 + c.failed}, attempts{109 + 4, 4}))
			reading := g.look(5 * time.Second)
			wantTold(t, reading, "primary", told{Begun: 900, Tells: true})
			wantTold(t, reading, "backup", told{Begun: 104, InFlight: 4, Tells: true})
			g.proxies[0].shows(hangPage(110, outcome{915, 0}, attempts{916, 1}, outcome{9 + c.answered, 1 + c.failed}, attempts{109 + 4, 0}))
			reading = g.look(5 * time.Second)
			wantTold(t, reading, "primary", told{Begun: 4, InFlight: 1, Tells: true})
			wantCounts(t, reading, "backup", 4, 0)
			wantTold(t, reading, "backup", told{Cancelled: c.cancelled, Tells: true})
			wantTold(t, g.look(5*time.Second), "backup", told{Tells: true})
		})
	}
}

// Envoy goes on while its counters are read.
func TestAPageIsNoMoment(t *testing.T) {
	g := newGate(t, 1)
	page := func(uptime int, done float64, of attempts) string {
		return hangPage(uptime, outcome{success: done}, of, outcome{}, attempts{})
	}
	g.proxies[0].shows(page(100, 0, attempts{}))
	g.look(0)
	for i, c := range []struct {
		done float64
		of   attempts
	}{{9, attempts{10, 0}}, {20, attempts{20, 0}}, {29, attempts{30, 0}}, {40, attempts{40, 1}}, {50, attempts{51, 1}}, {60, attempts{60, 0}}} {
		g.proxies[0].shows(page(105+5*i, c.done, c.of))
		if counts := g.look(5 * time.Second).Backends["primary"]; counts.Cancelled != 0 || !counts.TellsCancelled {
			t.Errorf("look %d: %+v", i, counts)
		}
	}
}

// An attempt that finds no connection fails without having begun.
func TestAttemptsWithoutAConnectionHideNoneThatHang(t *testing.T) {
	g := newGate(t, 1)
	page := func(uptime int, of outcome, begun int) string {
		return hangPage(uptime, outcome{}, attempts{}, of, attempts{begun, 0})
	}
	cancelled := uint64(0)
	for i, text := range []string{page(100, outcome{}, 0), page(105, outcome{10, 50}, 10), page(110, outcome{20, 50}, 20), page(115, outcome{28, 50}, 30), page(120, outcome{36, 50}, 40), page(125, outcome{36, 50}, 40)} {
		g.proxies[0].shows(text)
		counts := g.look(5 * time.Second).Backends["backup"]
		cancelled += counts.Cancelled
		if i > 0 && counts.Begun > 10 {
			t.Errorf("look %d: %+v", i, counts)
		}
	}
	if cancelled != 4 {
		t.Errorf("%d given up, want 4", cancelled)
	}
}

func TestAttemptsOfEndpointsThatStartAgain(t *testing.T) {
	g := newGate(t, 1)
	page := func(uptime int, of outcome, counted attempts) string {
		return hangPage(uptime, outcome{}, attempts{}, of, counted)
	}
	g.proxies[0].shows(page(100, outcome{100, 0}, attempts{130, 5}))
	g.look(0)
	t.Log("more calls were answered than before, and fewer began: all of them have started again")
	g.proxies[0].shows(page(105, outcome{102, 10}, attempts{120, 6}))
	g.look(5 * time.Second)
	reading := g.look(5 * time.Second)
	wantTold(t, reading, "backup", told{InFlight: 6, Cancelled: 2, Tells: true})
	t.Log("it leaves, and comes back as it was")
	g.proxies[0].shows(statistics(110, sharedCluster, map[string]outcome{"10.0.0.1:50051": {}}) + attemptsOf(sharedCluster, map[string]attempts{"10.0.0.1:50051": {}}))
	wantTold(t, g.look(5*time.Second), "backup", told{Tells: true})
	g.proxies[0].shows(page(115, outcome{108, 10}, attempts{120, 0}))
	reading = g.look(5 * time.Second)
	wantCounts(t, reading, "backup", 6, 0)
	wantTold(t, reading, "backup", told{Tells: true})
	t.Log("it comes back new")
	g.proxies[0].shows(page(120, outcome{1, 0}, attempts{4, 1}))
	wantTold(t, g.look(5*time.Second), "backup", told{Begun: 4, InFlight: 1, Tells: true})
	wantTold(t, g.look(5*time.Second), "backup", told{InFlight: 1, Cancelled: 2, Tells: true})
}

func TestWhoDoesNotTellWhatHasBegun(t *testing.T) {
	good := func(uptime, begun, hang int) string {
		return hangPage(uptime, outcome{}, attempts{}, outcome{success: float64(begun - hang)}, attempts{begun, 0})
	}
	for name, spoil := range map[string]func(string) string{
		"no gauge":   func(page string) string { return strings.ReplaceAll(page, "_endpoint_rq_active", "_endpoint_rq_other") },
		"no counter": func(page string) string { return strings.ReplaceAll(page, "_endpoint_rq_total", "_endpoint_rq_other") },
		"a gauge that underflowed": func(page string) string {
			return strings.ReplaceAll(page, `_endpoint_rq_active{envoy_cluster_name="grpcroute/shop/greeter/rule/0",envoy_endpoint_address="10.0.0.3:50051"} 0`,
				`_endpoint_rq_active{envoy_cluster_name="grpcroute/shop/greeter/rule/0",envoy_endpoint_address="10.0.0.3:50051"} 18446744073709551615`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, 1)
			g.proxies[0].shows(good(100, 10, 0))
			g.look(0)
			g.proxies[0].shows(spoil(good(105, 20, 2)))
			reading := g.look(5 * time.Second)
			wantCounts(t, reading, "backup", 8, 0)
			wantTold(t, reading, "backup", told{})
			t.Log("what it did meanwhile is not told later either")
			g.proxies[0].shows(good(110, 500, 400))
			wantTold(t, g.look(5*time.Second), "backup", told{})
			g.proxies[0].shows(good(115, 501, 401))
			wantTold(t, g.look(5*time.Second), "backup", told{Begun: 1, Tells: true})
			wantTold(t, g.look(5*time.Second), "backup", told{Cancelled: 1, Tells: true})
		})
	}
}

// What Envoy gives up for another attempt has no outcome either.
func TestAttemptsThatEnvoyGaveUpAreCancelled(t *testing.T) {
	g := newGate(t, 1)
	g.query.GivesUp = true
	page := func(uptime int, of outcome, begun, gaveUp int) string {
		return hangPage(uptime, of, attempts{begun, 0}, outcome{}, attempts{}) + timeouts(gaveUp)
	}
	g.proxies[0].shows(page(100, outcome{}, 0, 0))
	g.look(0)
	g.proxies[0].shows(page(105, outcome{10, 7}, 19, 5))
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 12, 2)
	wantTold(t, reading, "primary", told{Begun: 19, Cancelled: 5, Tells: true})
	if diff := cmp.Diff([]PodCalls{{"10.0.0.1:50051", 12, 2}}, reading.Backends["primary"].Pods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantTold(t, g.look(5*time.Second), "primary", told{Cancelled: 2, Tells: true})

	t.Log("one that is not yet among the failed ones of its endpoint is taken from those of another")
	g.proxies[0].shows(page3(110, outcome{10, 7}, outcome{0, 6}, outcome{}) + timeouts(8))
	reading = g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 3, 3)
	if diff := cmp.Diff([]PodCalls{{"10.0.0.1:50051", 0, 0}, {"10.0.0.2:50051", 3, 3}}, reading.Backends["primary"].Pods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHangingCallsOfAClusterOfItsOwn(t *testing.T) {
	page := func(uptime, began, repeated, active int, codes map[string]int) string {
		return byCode(uptime, codes) + fmt.Sprintf("envoy_cluster_upstream_rq_total{envoy_cluster_name=%[1]q} %[2]d\n"+
			"envoy_cluster_upstream_rq_retry{envoy_cluster_name=%[1]q} %[3]d\nenvoy_cluster_upstream_rq_active{envoy_cluster_name=%[1]q} %[4]d\n",
			ownCluster, began, repeated, active)
	}
	g := newGate(t, 1)
	g.query.Cluster = ""
	g.query.Backends = []Backend{{Name: "primary", Cluster: ownCluster}}
	g.proxies[0].shows(page(100, 10, 0, 0, map[string]int{"Get_0": 10}))
	g.look(0)
	t.Log("100 calls, of which 20 hang, 2 are under way and 3 were repeated; one more is to be")
	g.proxies[0].shows(page(105, 113, 4, 2, map[string]int{"Get_0": 80, "Get_14": 8}))
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 78, 8)
	wantTold(t, reading, "primary", told{Begun: 99, InFlight: 2, Tells: true})
	g.proxies[0].shows(page(110, 114, 4, 0, map[string]int{"Get_0": 83, "Get_14": 8}))
	wantTold(t, g.look(5*time.Second), "primary", told{Begun: 1, Cancelled: 19, Tells: true})
	t.Log("a code that is missing for a moment counts nothing again")
	g.proxies[0].shows(page(115, 115, 4, 0, map[string]int{"Get_14": 9}))
	wantTold(t, g.look(5*time.Second), "primary", told{})
	g.proxies[0].shows(page(120, 118, 4, 0, map[string]int{"Get_0": 84, "Get_14": 9}))
	wantTold(t, g.look(5*time.Second), "primary", told{Begun: 3, Tells: true})
	if pods := reading.Backends["primary"].Pods; pods != nil {
		t.Errorf("%v", pods)
	}
}

func TestCallsByEndpoint(t *testing.T) {
	g := newGate(t, 2)
	g.query.Backends[0].Endpoints = append(g.query.Backends[0].Endpoints, endpointsAt("10.96.0.1:0")...)
	page := func(uptime float64, of ...outcome) string {
		return statistics(uptime, sharedCluster, map[string]outcome{"10.0.0.1:50051": of[0], "10.0.0.2:50051": of[1], "10.96.0.1:50051": of[2], "10.0.0.3:50051": {}})
	}
	none := page(100, outcome{}, outcome{}, outcome{})
	g.show(0, []string{none, none})
	reading := g.show(5*time.Second, []string{page(105, outcome{5, 1}, outcome{}, outcome{2, 0}), page(105, outcome{1, 0}, outcome{}, outcome{1, 0})})
	wantCounts(t, reading, "primary", 10, 1)
	want := []PodCalls{{"10.0.0.1:50051", 7, 1}, {"10.0.0.2:50051", 0, 0}}
	if diff := cmp.Diff(want, reading.Backends["primary"].Pods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
