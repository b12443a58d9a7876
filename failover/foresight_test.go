package failover

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
)

// weather is what happens in one second: the share of each backend's calls that fails, in percent, how many of two endpoints are ready,
// how many calls there are, how many of them an endpoint can carry (0: all), and whether the source can be read.
type weather struct {
	errors, ready  [2]int
	calls, carries int
	blind          bool
}

// failed is how many of so many calls to a backend fail.
func (w weather) failed(i int, calls uint64) uint64 {
	failed := calls * uint64(w.errors[i]) / 100
	if most := uint64(w.carries * w.ready[i]); w.carries > 0 && calls > most {
		return max(failed, calls-most)
	}
	return failed
}

// plays is a history in which somebody decides, and somebody else counts calls and wakes them.
type plays struct {
	spec    v1alpha1.ExposedServiceSpec
	status  v1alpha1.ExposedServiceStatus
	now     time.Time
	next    time.Time
	counted time.Time
	ready   [2]int
	pending [][2]Calls
	heard   *Foresight
	// late is how many counts wait for somebody to decide at most, when nobody is woken.
	late int
	// blind is for how many seconds nothing has been counted.
	blind int
	// runs counts how often somebody decided.
	runs    int
	decided []string
}

func newPlays(late int) *plays {
	p := &plays{now: midnight, counted: midnight, ready: [2]int{2, 2}, late: late}
	p.spec.Backends = []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}}
	p.spec.Failover = &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "5"}, Recovery: &v1alpha1.Recovery{}}
	p.decide()
	return p
}

// decide runs whoever decides, with all that was counted.
func (p *plays) decide() {
	p.runs++
	seen := Observation{Backends: map[string]BackendObservation{}}
	for i, b := range p.spec.Backends {
		o := BackendObservation{Endpoints: Endpoints{Counting: Counted, Ready: int32(p.ready[i]), Total: 2, Time: p.now}}
		for _, counted := range p.pending {
			if o.Calls.Known {
				o.Earlier = append(o.Earlier, o.Calls)
			}
			o.Calls = counted[i]
		}
		seen.Backends[b.Name] = o
	}
	p.pending, p.blind = nil, 0
	out := Decide(&p.spec, p.status, seen, p.now)
	out.Apply(&p.status)
	p.next = out.Next
	for _, d := range out.Decisions {
		p.decided = append(p.decided, fmt.Sprint(d.Time.Sub(midnight), " ", d.Reason, " ", d.From, "→", d.To, ": ", d.Message))
	}
	p.heard = Foresee(&p.spec, p.status, seen)
}

// second lets one second pass: timers that are due, a change of the endpoints, a count of the calls, and the timers of that moment.
func (p *plays) second(w weather) {
	p.pass(w)
	if !p.next.IsZero() && !p.next.After(p.now) {
		p.decide()
	}
}

func (p *plays) pass(w weather) {
	end := p.now.Add(time.Second)
	for !p.next.IsZero() && p.next.Before(end) {
		p.now = p.next
		p.decide()
	}
	p.now = end
	if p.ready != w.ready {
		p.ready = w.ready
		p.decide()
	}
	if w.blind {
		// What was counted before is handed over before it is too old to count.
		if p.blind++; len(p.pending) > 0 && p.blind >= p.late {
			p.decide()
		}
		return
	}
	var counted [2]Calls
	words := map[string]Calls{}
	for i, b := range p.spec.Backends {
		calls := uint64(float64(w.calls) * float64(weightOf(p.status, b.Name)) / allParts)
		counted[i] = Calls{
			Known: true, Calls: calls, Errors: w.failed(i, calls), Start: p.counted, End: p.now, StaleAfter: 15 * time.Second, Source: "Envoy",
		}
		words[b.Name] = counted[i]
	}
	p.counted = p.now
	p.pending = append(p.pending, counted)
	if p.late == 0 || p.heard.Hear(words, p.now) || len(p.pending) >= p.late {
		p.decide()
	}
}

// TestWhoIsWokenDecidesAsEarly: whoever is asked only when a count makes a difference, and otherwise takes ten of them at once, takes
// the same decisions at the same times as whoever is asked at every count.
func TestWhoIsWokenDecidesAsEarly(t *testing.T) {
	saved := 0
	rapid.Check(t, func(t *rapid.T) {
		always, woken := newPlays(0), newPlays(10)
		w := weather{ready: [2]int{2, 2}}
		for range rapid.IntRange(2, 5).Draw(t, "spells") {
			w.calls = rapid.SampledFrom([]int{0, 1, 10, 100, 1000}).Draw(t, "calls")
			w.carries = rapid.SampledFrom([]int{0, 0, 40, 350}).Draw(t, "calls that an endpoint carries")
			w.blind = chance(t, "blind", 10)
			for i := range w.ready {
				w.errors[i] = rapid.SampledFrom([]int{0, 0, 1, 4, 6, 20, 100}).Draw(t, "errors")
				w.ready[i] = rapid.SampledFrom([]int{2, 2, 2, 1, 0}).Draw(t, "ready")
			}
			for range rapid.IntRange(1, 40).Draw(t, "seconds") {
				always.second(w)
				woken.second(w)
				if a, b := fmt.Sprint(always.decided), fmt.Sprint(woken.decided); a != b {
					t.Fatalf("asked at every count:\n%s\nwoken:\n%s", a, b)
				}
			}
		}
		if woken.runs > always.runs {
			t.Errorf("%d runs of whoever is woken, %d of whoever is asked at every count", woken.runs, always.runs)
		}
		saved += always.runs - woken.runs
	})
	if saved == 0 {
		t.Error("nobody was woken less")
	}
}

// TestACalmSecondWakesNobody: where nothing fails, and where next to nothing does, there is one run in ten seconds.
func TestACalmSecondWakesNobody(t *testing.T) {
	for _, errors := range []int{0, 1} {
		p := newPlays(10)
		before := p.runs
		for range 600 {
			p.second(weather{ready: [2]int{2, 2}, calls: 1000, errors: [2]int{errors, 0}})
		}
		if runs := p.runs - before; runs > 60 {
			t.Errorf("%d %% of the calls fail: %d runs in 600 s", errors, runs)
		}
	}
}
