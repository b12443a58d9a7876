package signals

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seriesOf is a series of a pod as it was scraped.
func seriesOf(metric, pod, code string) string {
	return fmt.Sprintf(`"__name__":%q,"namespace":"shop","pod":%q,"instance":%q,"grpc_code":%q`, metric, pod, pod+":8080", code)
}

func beginTest(t *testing.T) *promTest {
	t.Helper()
	return newPromTest(t, func(c *PrometheusConfig) { c.Begun = "begun of {{.Service}}" })
}

func TestPrometheusCountsCallsThatHaveBegun(t *testing.T) {
	p := beginTest(t)
	ok := func(pod string) string { return seriesOf("handled", pod, "OK") }
	failed := func(pod string) string { return seriesOf("handled", pod, "Internal") }
	started := func(pod string) string { return seriesOf("started", pod, "") }
	p.answers(vector(noon, ok("a"), "100", ok("b"), "50"), vector(noon, "", "0"))
	p.begins(vector(noon, started("a"), "110", started("b"), "50"))
	p.look()

	p.advance(10 * time.Second)
	p.answers(vector(p.server.now, ok("a"), "105", ok("b"), "52", failed("b"), "1"), vector(p.server.now, failed("b"), "1", "", "0"))
	p.begins(vector(p.server.now, started("a"), "125", started("b"), "53"))
	reading := p.look()
	wantCounts(t, reading, "primary", 8, 1)
	counts := reading.Backends["primary"]
	if !counts.TellsBegun || counts.Begun != 18 || counts.InFlight != 20 || counts.TellsCancelled || counts.Cancelled != 0 {
		t.Errorf("%+v", counts)
	}
	if diff := cmp.Diff([]PodCalls{{"shop/a", 5, 0}, {"shop/b", 3, 1}}, counts.Pods); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	t.Log("a pod that is new is a baseline, and what it has under way counts")
	p.advance(10 * time.Second)
	p.begins(vector(p.server.now, started("a"), "126", started("b"), "53", started("c"), "1000"))
	p.answers(vector(p.server.now, ok("a"), "106", ok("b"), "52", failed("b"), "1", ok("c"), "999"), vector(p.server.now, failed("b"), "1", "", "0"))
	counts = p.look().Backends["primary"]
	if !counts.TellsBegun || counts.Begun != 1 || counts.InFlight != 21 || counts.Calls != 1 {
		t.Errorf("%+v", counts)
	}
}

func TestPrometheusOfCallsThatAllHang(t *testing.T) {
	p := beginTest(t)
	p.numbers("0", "0")
	p.begins(vector(noon, seriesOf("started", "a", ""), "5", "", "0"))
	p.look()
	p.advance(10 * time.Second)
	p.numbers("0", "0")
	p.begins(vector(p.server.now, seriesOf("started", "a", ""), "25", "", "0"))
	if counts := p.look().Backends["primary"]; !counts.TellsBegun || counts.Begun != 20 || counts.InFlight != 25 || counts.Pods != nil {
		t.Errorf("%+v", counts)
	}
}

func TestPrometheusThatCannotTellWhatHasBegun(t *testing.T) {
	handled, started := seriesOf("handled", "a", "OK"), seriesOf("started", "a", "")
	for name, c := range map[string]struct{ calls, begun, note string }{
		"a sum of what has begun":    {vector(noon, handled, "5"), vector(noon, "", "9"), ""},
		"a sum of what has ended":    {vector(noon, "", "5"), vector(noon, started, "9"), ""},
		"a pod that does not say":    {vector(noon, handled, "5", seriesOf("handled", "b", "OK"), "7"), vector(noon, started, "9"), ""},
		"nothing":                    {vector(noon, handled, "5"), vector(noon), "begun: the result is empty"},
		"what no counter can be":     {vector(noon, handled, "5"), vector(noon, started, "-1"), "begun: the result is -1"},
		"a server without an answer": {vector(noon, handled, "5"), "", "begun: the server refuses"},
	} {
		t.Run(name, func(t *testing.T) {
			p := beginTest(t)
			p.answers(c.calls, vector(noon, "", "0"))
			if c.begun != "" {
				p.begins(c.begun)
			}
			p.look()
			reading := p.look()
			wantCounts(t, reading, "primary", 0, 0)
			if counts := reading.Backends["primary"]; counts.TellsBegun || counts.Begun != 0 || counts.InFlight != 0 {
				t.Errorf("%+v", counts)
			}
			if notes := strings.Join(reading.Notes, ";"); !strings.Contains(notes, c.note) {
				t.Errorf("notes %q", notes)
			}
			t.Log("until it can, and then of the same time as the calls")
			for i, tells := range []bool{false, true} {
				p.advance(10 * time.Second)
				p.answers(vector(p.server.now, handled, "5"), vector(p.server.now, "", "0"))
				p.begins(vector(p.server.now, started, "9"))
				if counts := p.look().Backends["primary"]; counts.Known() && counts.TellsBegun != tells && (tells || c.note != "") {
					t.Errorf("look %d: %+v", i, counts)
				}
			}
		})
	}
}

// Without a query nothing of it is known.
func TestPrometheusWithoutAQueryForWhatHasBegun(t *testing.T) {
	p := newPromTest(t)
	p.numbers("5", "0")
	p.look()
	if counts := p.look().Backends["primary"]; !counts.Known() || counts.TellsBegun || counts.TellsCancelled || counts.Pods != nil {
		t.Errorf("%+v", counts)
	}
	if _, err := NewPrometheus(PrometheusConfig{Address: "http://127.0.0.1", Calls: "a", Errors: "b", Begun: "{{.Ghost}}"}); err == nil || !strings.HasPrefix(err.Error(), "begun: ") {
		t.Errorf("%v", err)
	}
}
