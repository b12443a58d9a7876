package loadreport

import (
	"maps"
	"math"
	"testing"
	"time"

	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	loadstats "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

// busy is a locality with so many calls under way.
func busy(backend string, calls uint64) *endpoint.UpstreamLocalityStats {
	out := locality(backend, Totals{Issued: 1})
	out.TotalRequestsInProgress = calls
	return out
}

func TestWhatIsUnderWayIsWhatEachClientSaidLast(t *testing.T) {
	const silence = 5 * time.Second
	l := onlyGreeter()
	now := noon
	first, other := l.connect(shop), l.connect(shop)
	reports := func(by *reporter, stats ...*endpoint.ClusterStats) {
		l.add(by, stats, now, func(ignored) {})
	}
	is := func(what string, want map[string]uint64) {
		t.Helper()
		if _, got, _ := l.read(greeter, now.Add(-silence)); !maps.Equal(got, want) {
			t.Errorf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
		}
	}
	is("nobody has reported", nil)
	reports(first, report("shop/greeter", busy("primary", 3), busy("backup", 1)), report("shop/greeter/primary", busy("primary", 10)))
	is("the clusters of a backend add up", map[string]uint64{"primary": 13, "backup": 1})
	reports(other, report("shop/greeter", busy("primary", 100)))
	is("clients add up", map[string]uint64{"primary": 113, "backup": 1})

	now = now.Add(time.Second)
	reports(first, report("shop/greeter", busy("primary", 2), busy("backup", 0)), report("shop/greeter/primary", busy("primary", 0)))
	reports(other, report("shop/greeter", busy("primary", 90), busy("primary", 5)))
	is("a report takes the place of the last, and priorities add up within one", map[string]uint64{"primary": 97, "backup": 0})
	reports(other, report("shop/greeter", busy("primary", 80), busy("primary", 6)))
	is("also when no time has passed", map[string]uint64{"primary": 88, "backup": 0})

	now = now.Add(silence)
	reports(first, report("shop/greeter"))
	is("what is left out is as it was", map[string]uint64{"primary": 88, "backup": 0})
	now = now.Add(1)
	reports(first, report("shop/greeter", busy("backup", 4)))
	is("and not for longer than a client may be silent", map[string]uint64{"backup": 4})

	reports(other, report("shop/greeter", busy("primary", 70)))
	l.close(first)
	is("who leaves takes along what was under way", map[string]uint64{"primary": 70})
	now = now.Add(silence + 1)
	is("and so does who falls silent", map[string]uint64{})

	reports(other, report("shop/greeter", busy("primary", 1), busy("backup", math.MaxUint64)))
	is("a number that is none is ignored", map[string]uint64{"primary": 1})
	if totals, _, _ := l.read(greeter, noon); totals["backup"].Issued != 3 {
		t.Errorf("with the rest of its locality: %+v", totals["backup"])
	}
}

// What a client makes up of clusters costs no memory.
func TestClustersThatAreMadeUpAreOneAndTheSame(t *testing.T) {
	l := onlyGreeter()
	r := l.connect(shop)
	for _, cluster := range []string{"a", "b", "c", "d"} {
		l.add(r, []*endpoint.ClusterStats{report("shop/greeter/"+cluster, busy("primary", 1))}, noon, func(ignored) {})
	}
	if got := len(l.services[greeter].reporters[r]); got != 1 {
		t.Errorf("%d places", got)
	}
}

// Whoever reports, leaves, comes back and falls silent: what is under way is the sum of the last words of those who are there.
func TestUnderWayIsTheSumOfTheLastWords(t *testing.T) {
	const silence = 5 * time.Second
	backends := []string{"primary", "backup"}
	clusters := []string{"shop/greeter", "shop/greeter/primary"}
	type word struct {
		calls uint64
		when  time.Time
	}
	type client struct {
		as   *reporter
		said map[[2]string]word
	}
	rapid.Check(t, func(t *rapid.T) {
		l := onlyGreeter()
		connect := func() *client { return &client{l.connect(shop), map[[2]string]word{}} }
		clients := []*client{connect(), connect(), connect()}
		now := noon
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			i := rapid.IntRange(0, len(clients)-1).Draw(t, "client")
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds")) * time.Second)
			if rapid.IntRange(0, 5).Draw(t, "leaves") == 0 {
				l.close(clients[i].as)
				clients[i] = connect()
			}
			var stats []*endpoint.ClusterStats
			for _, cluster := range clusters {
				of := report(cluster)
				for _, backend := range backends {
					if rapid.Bool().Draw(t, "left out") {
						continue
					}
					calls := rapid.Uint64Range(0, 9).Draw(t, "calls")
					of.UpstreamLocalityStats = append(of.GetUpstreamLocalityStats(), busy(backend, calls))
					clients[i].said[[2]string{cluster, backend}] = word{calls, now}
				}
				stats = append(stats, of)
			}
			l.add(clients[i].as, stats, now, func(why ignored) { t.Fatalf("ignored: %s", why) })

			want := map[string]uint64{}
			for _, c := range clients {
				for of, last := range c.said {
					if now.Sub(last.when) <= silence {
						want[of[1]] += last.calls
					}
				}
			}
			if _, got, _ := l.read(greeter, now.Add(-silence)); !maps.Equal(want, got) {
				t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
			}
		}
	})
}

func TestWhatIsUnderWayIsToldToOtherReplicas(t *testing.T) {
	reading := Reading{
		Replica: "10.0.0.1:18000", Run: "a run", Heard: true, Backends: map[string]Totals{"primary": {5, 3, 1}, "backup": {}},
		InFlight: map[string]uint64{"primary": 7, "backup": 0}, TellsInFlight: true,
		GivenUp: map[string]uint64{"primary": 2, "backup": 0}, TellsGivenUp: true,
	}
	travels := func(message *loadstats.LoadStatsRequest) Reading {
		t.Helper()
		wire, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var answer loadstats.LoadStatsRequest
		if err := proto.Unmarshal(wire, &answer); err != nil {
			t.Fatal(err)
		}
		return decode(reading.Replica, &answer)
	}
	if diff := cmp.Diff(reading, travels(encode(reading, "shop/greeter"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	older := encode(reading, "shop/greeter")
	older.Node.ClientFeatures = nil
	for _, of := range older.GetClusterStats()[0].GetUpstreamLocalityStats() {
		of.TotalRequestsInProgress, of.LoadMetricStats = 0, nil
	}
	got := travels(older)
	if got.TellsInFlight || got.TellsGivenUp || !got.Heard || got.Backends["primary"] != reading.Backends["primary"] {
		t.Errorf("from an older version: %+v", got)
	}
}
