package loadreport

import (
	"testing"

	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"pgregory.net/rapid"
)

// under is a locality with calls under way.
func under(backend string, counted Totals, calls uint64) *endpoint.UpstreamLocalityStats {
	out := locality(backend, counted)
	out.TotalRequestsInProgress = calls
	return out
}

func TestCallsThatWereGivenUp(t *testing.T) {
	type localities = []*endpoint.UpstreamLocalityStats
	one := func(counted Totals, calls uint64) localities { return localities{under("primary", counted, calls)} }
	quiet := one(Totals{}, 0)
	for name, c := range map[string]struct {
		reports []localities // nil: the place is left out
		want    uint64
	}{
		"none":                  {[]localities{one(Totals{10, 8, 0}, 2), one(Totals{5, 6, 1}, 0), quiet, quiet}, 0},
		"a fifth":               {[]localities{quiet, one(Totals{100, 70, 5}, 5), one(Totals{0, 5, 0}, 0), quiet}, 20},
		"all":                   {[]localities{quiet, one(Totals{100, 0, 0}, 10), quiet, quiet}, 100},
		"what is new waits":     {[]localities{quiet, one(Totals{100, 0, 0}, 10), one(Totals{}, 0)}, 90},
		"before the first word": {[]localities{one(Totals{10, 50, 0}, 5), one(Totals{0, 5, 0}, 0), one(Totals{3, 0, 0}, 0), quiet}, 3},
		"priorities are parts":  {[]localities{quiet, {under("primary", Totals{9, 3, 0}, 2), under("primary", Totals{9, 9, 0}, 1)}, one(Totals{0, 3, 0}, 0), quiet}, 3},
		"outcomes that an Envoy left out are none":     {[]localities{quiet, one(Totals{1, 0, 0}, 1), nil, one(Totals{1, 1, 0}, 0), quiet, quiet}, 0},
		"and are none when it leaves out nothing else": {[]localities{quiet, one(Totals{3, 0, 0}, 3), nil, one(Totals{5, 6, 0}, 0), one(Totals{4, 0, 0}, 0), quiet}, 4},
		"no connection": {[]localities{quiet, one(Totals{0, 0, 9}, 0), quiet, one(Totals{4, 0, 0}, 0), quiet}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			l := onlyGreeter()
			r := l.connect(shop)
			for _, localities := range c.reports {
				l.add(r, []*endpoint.ClusterStats{report("shop/greeter", localities...)}, noon, func(ignored) {})
			}
			if got := l.givenUp(greeter)["primary"]; got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
			l.close(r)
			if got := l.givenUp(greeter)["primary"]; got != c.want {
				t.Errorf("%d after the client is gone, want %d", got, c.want)
			}
		})
	}
}

// Whatever a client leaves out of its reports, as Envoy does when nothing has begun, and whenever it comes back: no call
// counts as given up that was not.
func TestNoMoreCountAsGivenUpThanWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := onlyGreeter()
		r := l.connect(shop)
		active, truth := uint64(rapid.IntRange(0, 5).Draw(t, "before")), uint64(0)
		ends := func(most uint64, what string) uint64 {
			ended := rapid.Uint64Range(0, most).Draw(t, what)
			active -= ended
			return ended
		}
		for range rapid.IntRange(1, 40).Draw(t, "reports") {
			if rapid.IntRange(0, 9).Draw(t, "connects again") == 0 {
				l.close(r)
				r = l.connect(shop)
			}
			var counted Totals
			counted.Issued = rapid.Uint64Range(0, 4).Draw(t, "begun")
			active += counted.Issued
			counted.Succeeded = ends(active, "succeeded")
			counted.Failed = ends(active, "failed")
			truth += ends(active, "given up")
			stats := report("shop/greeter", under("primary", counted, active))
			if counted.Issued == 0 {
				stats = report("shop/greeter")
			}
			l.add(r, []*endpoint.ClusterStats{stats}, noon, func(ignored) {})
			if got := l.givenUp(greeter)["primary"]; got > truth {
				t.Fatalf("%d count as given up, and %d were", got, truth)
			}
		}
	})
}
