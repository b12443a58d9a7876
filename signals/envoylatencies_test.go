package signals

import (
	"slices"
	"testing"
	"time"
)

// ownClusterGate has a proxy that shows pages of a real Envoy, in which each side has a cluster of its own.
func ownClusterGate(t *testing.T, change ...func(*gateConfig)) *gate {
	t.Helper()
	g := newGate(t, 1, change...)
	g.query.Backends = []Backend{
		{Name: "primary", Cluster: sharedCluster + "/backend/0"}, {Name: "canary", Cluster: sharedCluster + "/backend/2"},
	}
	return g
}

// Between the two pages stable had 478 calls of less than 10 ms nearly all, and the canary 122 that it slept 30 ms in.
func TestEnvoyCountsLatenciesOfClustersThatAreOneBackendsAlone(t *testing.T) {
	g := ownClusterGate(t)
	g.proxies[0].shows(string(testdata(t, "own_latencies_1.txt")))
	g.look(0)
	g.proxies[0].shows(string(testdata(t, "own_latencies_2.txt")))
	reading := g.look(10 * time.Second)
	stable, canary := reading.Backends["primary"], reading.Backends["canary"]
	if stable.NoLatencies != "" || stable.Latencies.Calls() != 478 || canary.Latencies.Calls() != 122 {
		t.Errorf("stable %v (%s), canary %v", stable.Latencies, stable.NoLatencies, canary.Latencies)
	}
	if fast := upTo(stable.Latencies, 10*time.Millisecond); fast < 470 {
		t.Errorf("%v of stable's calls took at most 10 ms", fast)
	}
	if slow := upTo(canary.Latencies, 50*time.Millisecond) - upTo(canary.Latencies, 25*time.Millisecond); slow < 120 {
		t.Errorf("%v of the canary's calls took 25 to 50 ms", slow)
	}
	if both := Align(stable.Latencies, canary.Latencies); !slices.EqualFunc(both[0], stable.Latencies, func(a, b Bucket) bool { return a == b }) {
		t.Error("the two do not have the same buckets")
	}
}

func TestEnvoyThatStartsAgainHasNewLatencies(t *testing.T) {
	g := ownClusterGate(t)
	g.proxies[0].shows(string(testdata(t, "own_latencies_2.txt")))
	g.look(0)
	g.proxies[0].shows(string(testdata(t, "own_latencies_1.txt")))
	if got := g.look(45 * time.Second).Backends["canary"]; got.Known() {
		t.Fatalf("after a gap: %+v", got)
	}
	g = ownClusterGate(t, func(config *gateConfig) { config.MaxGap = time.Minute })
	g.proxies[0].shows(string(testdata(t, "own_latencies_2.txt")))
	g.look(0)
	g.proxies[0].shows(string(testdata(t, "own_latencies_1.txt")))
	if got := g.look(45 * time.Second).Backends["canary"].Latencies.Calls(); got != 145 {
		t.Errorf("%v latencies of a process that had 145", got)
	}
}

func TestInASharedClusterEnvoyHasNoLatencies(t *testing.T) {
	g := newGate(t, 1)
	g.proxies[0].shows(page3(1, outcome{}, outcome{}, outcome{}))
	g.look(0)
	g.proxies[0].shows(page3(6, outcome{success: 5}, outcome{}, outcome{}))
	reading := g.look(5 * time.Second)
	wantCounts(t, reading, "primary", 5, 0)
	if got := reading.Backends["primary"]; got.NoLatencies != latenciesShared {
		t.Errorf("%+v", got)
	}
}

// Between the two pages 28 of the canary's calls ended with Internal, and 16 with NotFound.
func TestEnvoyCountsTheCodesThatSomebodyChose(t *testing.T) {
	for name, c := range map[string]struct {
		codes  []string
		errors uint64
	}{"by default": {nil, 28}, "NotFound": {[]string{"NotFound"}, 16}, "both": {[]string{"NotFound", "Internal"}, 44}} {
		t.Run(name, func(t *testing.T) {
			g := ownClusterGate(t, func(config *gateConfig) { config.Codes = CodesOf(c.codes) })
			g.proxies[0].shows(string(testdata(t, "own_latencies_1.txt")))
			g.look(0)
			g.proxies[0].shows(string(testdata(t, "own_latencies_2.txt")))
			wantCounts(t, g.look(10*time.Second), "canary", 122, c.errors)
		})
	}
}

func TestWhereEnvoyKnowsNoCodesNothingIsKnownOfThem(t *testing.T) {
	g := newGate(t, 1, func(config *gateConfig) { config.Codes = CodesOf([]string{"NotFound"}) })
	g.proxies[0].shows(page3(1, outcome{}, outcome{}, outcome{}))
	g.look(0)
	g.proxies[0].shows(page3(6, outcome{success: 5}, outcome{}, outcome{}))
	wantUnknown(t, g.look(5*time.Second), "primary", UnknownEmpty, "by gRPC status code")
}
