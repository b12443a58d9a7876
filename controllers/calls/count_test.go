package calls

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headgate/headgate/signals"
)

func TestCountsThatFollowEachOther(t *testing.T) {
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	count := func(counts signals.Counts) Count { return Count{counts: counts, source: "a source"} }
	first := signals.Counts{
		Calls: 10, Errors: 1, Start: at(0), End: at(1), Cancelled: 2, TellsCancelled: true, Begun: 20, InFlight: 8, TellsBegun: true,
		Pods: []signals.PodCalls{{ID: "a", Calls: 7, Errors: 1}, {ID: "b", Calls: 3}},
	}
	second := signals.Counts{
		Calls: 5, Errors: 2, Start: at(1), End: at(2), Cancelled: 3, TellsCancelled: true, Begun: 4, InFlight: 4, TellsBegun: true,
		Pods: []signals.PodCalls{{ID: "a", Calls: 1}, {ID: "c", Calls: 4, Errors: 2}},
	}
	both := signals.Counts{
		Calls: 15, Errors: 3, Start: at(0), End: at(2), Cancelled: 5, TellsCancelled: true, Begun: 24, InFlight: 4, TellsBegun: true,
		Pods: []signals.PodCalls{{ID: "a", Calls: 8, Errors: 1}, {ID: "b", Calls: 3}, {ID: "c", Calls: 4, Errors: 2}},
	}
	untold := func(counts signals.Counts) signals.Counts {
		counts.Cancelled, counts.TellsCancelled, counts.Begun, counts.InFlight, counts.TellsBegun = 0, false, 0, 0, false
		return counts
	}
	for name, c := range map[string]struct{ first, second, want signals.Counts }{
		"both tell":            {first, second, both},
		"the first does not":   {untold(first), second, untold(both)},
		"the second does not":  {first, untold(second), untold(both)},
		"neither knows of all": {untold(first), untold(second), untold(both)},
	} {
		if diff := cmp.Diff(c.want, count(c.first).and(count(c.second)).counts, cmp.Comparer(time.Time.Equal)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(first, (Count{}).and(count(first)).counts); diff != "" {
		t.Errorf("nothing before (-want +got):\n%s", diff)
	}
}

// Calls that all hang are no silence: whoever decides has to know.
func TestCallsThatAllHangWakeWhoDecides(t *testing.T) {
	d := newDecider(t)
	start := noon
	for range 30 {
		d.pass(time.Second)
		now := d.config.Clock.Now()
		d.look([2]signals.Counts{{Cancelled: 5, TellsCancelled: true, Start: start, End: now}, {Start: start, End: now}})
		start = now
	}
	if d.runs < 2 {
		t.Errorf("%d runs", d.runs)
	}
}
