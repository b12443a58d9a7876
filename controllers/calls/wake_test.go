package calls

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/signals"
)

// decider is whoever is woken by a Counter: it decides by what it takes.
type decider struct {
	*Counter

	exs *v1alpha1.ExposedService
	// everyLook: it is woken at every look with calls.
	everyLook bool
	runs      int
	decided   []string
	// byTime: it also runs when time alone decides something, which is next.
	byTime bool
	next   time.Time
	// taken are all calls that it took.
	taken uint64
	// fails makes runs come to nothing.
	fails func() bool
}

func newDecider(t *testing.T) *decider {
	t.Helper()
	d := &decider{exs: counting("shop", "greeter"), fails: func() bool { return false }}
	d.Counter = newCounter(t, func(...types.NamespacedName) {})
	d.replace(d.exs, &scripted{})
	return d
}

func (d *decider) key() types.NamespacedName { return client.ObjectKeyFromObject(d.exs) }

// look has a look come to a reading, and whoever is woken decide at once.
func (d *decider) look(calls [2]signals.Counts) {
	reading := signals.Reading{Source: "Envoy", Bound: 15 * time.Second, Backends: map[string]signals.Counts{}}
	for i, b := range d.exs.Spec.Backends {
		reading.Backends[b.Name] = calls[i]
	}
	if now := d.config.Clock.Now(); d.byTime && !d.next.IsZero() && !now.Before(d.next) {
		d.run()
	}
	d.mu.Lock()
	have := d.counted[d.key()]
	d.mu.Unlock()
	for again := d.add(d.key(), have, reading); again; {
		again = d.run()
	}
}

func (d *decider) run() bool {
	d.runs++
	now := d.config.Clock.Now()
	taken := d.Take(d.key())
	if d.fails() {
		d.GiveBack(d.key(), taken)
		return false
	}
	seen := failover.Observation{Backends: map[string]failover.BackendObservation{}}
	for _, b := range d.exs.Spec.Backends {
		d.taken += taken.of(b.Name).counts.Calls
		of := failover.BackendObservation{Endpoints: failover.Endpoints{Counting: failover.Counted, Ready: 2, Total: 2, Time: now}}
		taken.Observe(b.Name, &of)
		seen.Backends[b.Name] = of
	}
	out := failover.Decide(&d.exs.Spec, d.exs.Status, seen, now)
	out.Apply(&d.exs.Status)
	d.next = out.Next
	for _, decision := range out.Decisions {
		d.decided = append(d.decided, fmt.Sprint(decision.Time.Sub(noon), " ", decision.Reason, " ", decision.From, "→", decision.To))
	}
	return !d.everyLook && d.Decided(d.exs, seen)
}

// TestADecisionComesAtTheSameCount: whoever is woken only when a count makes a difference decides at the same looks as whoever is woken at
// every look, from the same calls, each of them taken once.
func TestADecisionComesAtTheSameCount(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			always, woken := newDecider(t), newDecider(t)
			always.everyLook, always.byTime, woken.byTime = true, true, true
			made, rate, share, start := uint64(0), 0, 0.0, noon
			for second := range 400 {
				if second%40 == 0 {
					rate, share = []int{0, 3, 100, 1000}[random.IntN(4)], []float64{0, 0.01, 0.04, 0.06, 0.3, 1}[random.IntN(6)]
				}
				always.pass(time.Second)
				woken.pass(time.Second)
				now := woken.config.Clock.Now()
				counts := [2]signals.Counts{{Calls: uint64(rate), Start: start, End: now}, {Calls: uint64(rate / 5), Start: start, End: now}}
				counts[0].Errors = uint64(float64(rate) * share)
				start = now
				made += counts[0].Calls + counts[1].Calls
				always.look(counts)
				woken.look(counts)
				if !slices.Equal(always.decided, woken.decided) {
					t.Fatalf("woken at every look:\n%q\nwhen it matters:\n%q", always.decided, woken.decided)
				}
			}
			woken.run()
			if woken.taken != made {
				t.Errorf("%d calls were taken of %d", woken.taken, made)
			}
			if woken.runs > always.runs {
				t.Errorf("%d runs, %d of whoever is woken at every look", woken.runs, always.runs)
			}
		})
	}
}

// A run that comes to nothing gives back what it took: nothing is lost, and it is woken again.
func TestWhatIsGivenBackIsTakenOnce(t *testing.T) {
	d := newDecider(t)
	random := rand.New(rand.NewPCG(1, 2))
	d.fails = func() bool { return random.IntN(3) > 0 }
	made, start := uint64(0), noon
	for range 300 {
		d.pass(time.Second)
		now := d.config.Clock.Now()
		d.look([2]signals.Counts{{Calls: 100, Errors: 50, Start: start, End: now}, {Calls: 10, Start: start, End: now}})
		start = now
		made += 110
	}
	d.fails = func() bool { return false }
	d.run()
	if d.taken != made || len(d.decided) == 0 {
		t.Errorf("%d calls were taken of %d, and decided was %q", d.taken, made, d.decided)
	}
}

// Calls that say nothing are handed over once in a report interval, and no calls at all never.
func TestCallsThatSayNothingAreReportedNowAndThen(t *testing.T) {
	for calls, most := range map[uint64]int{0: 1, 1000: 62} {
		d := newDecider(t)
		start := noon
		for range 600 {
			d.pass(time.Second)
			now := d.config.Clock.Now()
			d.look([2]signals.Counts{{Calls: calls, Errors: calls / 100, Start: start, End: now}, {Start: start, End: now}})
			start = now
		}
		if d.runs > most || d.runs == 0 {
			t.Errorf("%d calls a look: %d runs in 600 looks", calls, d.runs)
		}
	}
}

func TestWhoDecidesIsWokenWhenCallsAreNoLongerKnown(t *testing.T) {
	d := newDecider(t)
	known := [2]signals.Counts{{Start: noon, End: noon.Add(time.Second)}, {Start: noon, End: noon.Add(time.Second)}}
	unknown := [2]signals.Counts{{Unknown: signals.UnknownUnreachable, Message: "no answer in time"}, {Start: noon, End: noon.Add(time.Second)}}
	// Another kind of trouble is told too: what to do about it differs.
	empty := [2]signals.Counts{{Unknown: signals.UnknownEmpty, Message: "the result is empty"}, {Start: noon, End: noon.Add(time.Second)}}
	for i, step := range []struct {
		counts [2]signals.Counts
		runs   int
	}{{known, 1}, {known, 1}, {unknown, 2}, {unknown, 3}, {unknown, 3}, {empty, 4}, {empty, 4}, {known, 5}} {
		d.look(step.counts)
		if d.runs != step.runs {
			t.Errorf("look %d: %d runs, want %d", i, d.runs, step.runs)
		}
	}
}

// Counts without calls wait until they are taken. If nothing is known any more when they are, the reason is told at the look after that.
func TestCountsThatWaitDoNotHideThatCallsAreNoLongerKnown(t *testing.T) {
	d := newDecider(t)
	d.mu.Lock()
	have := d.counted[d.key()]
	d.mu.Unlock()
	none := signals.Counts{Start: noon, End: noon.Add(time.Second)}
	lost := signals.Counts{Unknown: signals.UnknownUnreachable, Message: "connection refused"}
	for i, step := range []struct {
		counts signals.Counts
		woken  bool
		told   string
	}{
		{none, true, ""}, {none, false, ""}, {lost, true, ""}, {lost, true, "Unreachable: connection refused"}, {lost, false, ""},
	} {
		woken := d.add(d.key(), have, signals.Reading{Source: "Prometheus", Backends: map[string]signals.Counts{
			"primary": step.counts, v1alpha1.CanaryName: step.counts,
		}})
		if woken != step.woken {
			t.Errorf("look %d: woken: %v, want %v", i, woken, step.woken)
		}
		if !woken {
			continue
		}
		if seen := d.Compared(d.key(), "primary", d.Take(d.key()), false); seen.Why != step.told || seen.Known != (step.told == "") {
			t.Errorf("look %d: told %+v, want %q", i, seen, step.told)
		}
	}
}

// A look that comes while somebody decides is heard from where that decision ends.
func TestALookDuringARunIsHeardAfterIt(t *testing.T) {
	d := newDecider(t)
	failing := func(from int) [2]signals.Counts {
		return [2]signals.Counts{{
			Calls: 100, Errors: 100, Start: noon.Add(time.Duration(from) * time.Second), End: noon.Add(time.Duration(from+1) * time.Second),
		}, {Start: noon, End: noon.Add(time.Second)}}
	}
	d.look([2]signals.Counts{})
	d.pass(time.Second)
	d.Take(d.key())
	// The run has begun: both looks come before it ends, and together they are enough.
	d.mu.Lock()
	have := d.counted[d.key()]
	d.mu.Unlock()
	for i := range 3 {
		d.add(d.key(), have, signals.Reading{Source: "Envoy", Backends: map[string]signals.Counts{"primary": failing(i)[0]}})
	}
	d.pass(3 * time.Second)
	if !d.Decided(d.exs, failover.Observation{}) {
		t.Fatal("nobody decides by what was counted meanwhile")
	}
	d.run()
	if len(d.decided) == 0 {
		t.Error("nothing was decided")
	}
}

// While one query waits for the API server, the calls of others are taken: no lock is held by it.
func TestAQueryThatWaitsHoldsNobodyUp(t *testing.T) {
	d := newDecider(t)
	waiting, end, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		d.Watch(counting("shop", "slow"), func() signals.Query {
			close(waiting)
			<-end
			return signals.Query{}
		})
	}()
	<-waiting
	d.Take(d.key()) // A test that waits for ever has failed.
	d.Condition(d.exs, "primary")
	d.Forget(d.key())
	close(end)
	<-over
}

// TestCountsAreReportedWhileALookHangs: what was counted before is handed over before it is too old to count.
func TestCountsAreReportedWhileALookHangs(t *testing.T) {
	exs, woken := counting("shop", "greeter"), 0
	key := client.ObjectKeyFromObject(exs)
	c := newCounter(t, func(...types.NamespacedName) { woken++ })
	c.replace(exs, &scripted{})
	have := c.counted[key]
	have.foresight, have.looking, have.reported = failover.Foresee(&exs.Spec, exs.Status, failover.Observation{}), true, c.interval(key)
	have.pending.add("primary", Count{counts: signals.Counts{Calls: 1}, source: "Envoy"})
	c.lookAtAll(t.Context())
	if woken != 0 {
		t.Errorf("woken %d times at once", woken)
	}
	c.pass(reportInterval)
	c.lookAtAll(t.Context())
	if woken != 1 {
		t.Errorf("woken %d times after an interval", woken)
	}
}
