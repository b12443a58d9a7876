package hedging

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// world is a service under calls that is looked at each second.
type world struct {
	rate float64 // calls per second
	// latency is how long a call takes that starts at a time.
	latency func(at time.Duration, random *rand.Rand) time.Duration
	length  time.Duration
	// lag is how long a delay that was decided takes to be that of calls.
	lag time.Duration
}

// played is what became of the calls.
type played struct {
	calls, hedged int
	// delays are those that were decided, as "2s after 31s".
	delays []string
}

func (p played) amplification() float64 { return 1 + float64(p.hedged)/float64(p.calls) }

type attempt struct{ start, end time.Duration }

func (w world) play(random *rand.Rand) played {
	var out played
	var attempts []attempt
	var status *v1alpha1.HedgingStatus
	estimate := &Estimate{}
	delay, pending, due := Never, Never, time.Duration(math.MaxInt64)
	look, last := time.Second+time.Duration(random.Int64N(int64(time.Second))), time.Duration(0)
	for at := time.Duration(0); at < w.length; at += time.Duration(random.ExpFloat64() / w.rate * float64(time.Second)) {
		for ; look <= at; last, look = look, look+time.Second {
			l := Look{Start: noon.Add(last), End: noon.Add(look)}
			rest := attempts[:0]
			for _, a := range attempts {
				if a.start > last && a.start <= look {
					l.Started++
				}
				if a.start <= look && a.end > look {
					l.InFlight++
				}
				if a.end > look || a.start > look {
					rest = append(rest, a)
				}
			}
			attempts = rest
			estimate.Add(l)
			decided := Decide(status, estimate, noon.Add(look))
			if decided != status {
				out.delays = append(out.delays, fmt.Sprintf("%s after %s", Delay(decided), look.Round(time.Second)))
				pending, due = Delay(decided), look+w.lag
			}
			status = decided
		}
		if at >= due {
			delay, due = pending, time.Duration(math.MaxInt64)
		}
		takes := w.latency(at, random)
		out.calls++
		attempts = append(attempts, attempt{at, at + takes})
		for next := delay; delay != Never && next < takes; next += delay {
			out.hedged++
			attempts = append(attempts, attempt{at + next, at + takes})
		}
	}
	return out
}

// slowBetween takes long in a part of the time, and else 5 ms.
func slowBetween(from, to, slow time.Duration) func(time.Duration, *rand.Rand) time.Duration {
	return func(at time.Duration, _ *rand.Rand) time.Duration {
		if at >= from && at < to {
			return slow
		}
		return 5 * time.Millisecond
	}
}

// What a slowness of ten seconds adds to the calls of those ten seconds, at most.
func TestSlowBackendsAreCalledLittleMore(t *testing.T) {
	for _, slow := range []int{100, 400, 800, 950, 1000, 1500, 3000} {
		for _, rate := range []float64{20, 200, 2000} {
			worst, sum := 1.0, 0.0
			for seed := range uint64(20) {
				w := world{
					rate: rate, latency: slowBetween(20*time.Second, 30*time.Second, time.Duration(slow)*time.Millisecond), length: 30 * time.Second,
					lag: 300 * time.Millisecond,
				}
				got := w.play(rand.New(rand.NewPCG(seed, 1)))
				got.calls = int(10 * rate) // those of the slowness
				worst, sum = max(worst, got.amplification()), sum+got.amplification()
			}
			mean := sum / 20
			t.Logf("%5d ms for 10 s at %5.0f/s: %.2f attempts per call on average, at most %.2f", slow, rate, mean, worst)
			// A call of three seconds gets three second attempts before the delay has followed.
			times := max(1, math.Floor(float64(slow)/900))
			if mean > 1+0.2*times || worst > 1+0.3*times {
				t.Errorf("%d ms at %.0f/s: %.2f attempts per call, at most %.2f", slow, rate, mean, worst)
			}
		}
	}
}

// Calls that always take their time.
func TestTheDelaySuitsHowLongCallsTake(t *testing.T) {
	lognormal := func(mean time.Duration) func(time.Duration, *rand.Rand) time.Duration {
		sigma := math.Sqrt(math.Ln2) // a standard deviation as large as the mean
		return func(_ time.Duration, random *rand.Rand) time.Duration {
			return time.Duration(float64(mean) * math.Exp(sigma*random.NormFloat64()-sigma*sigma/2))
		}
	}
	for mean, want := range map[time.Duration]string{
		5 * time.Millisecond: "900ms", 200 * time.Millisecond: "900ms", 500 * time.Millisecond: "2s", 1200 * time.Millisecond: "5s", 10 * time.Second: "0s",
	} {
		t.Run(mean.String(), func(t *testing.T) {
			got := world{rate: 50, latency: lognormal(mean), length: 5 * time.Minute}.play(rand.New(rand.NewPCG(7, 7)))
			t.Logf("%.3f attempts per call, %v", got.amplification(), got.delays)
			if len(got.delays) == 0 || got.amplification() > 1.1 {
				t.Errorf("%.3f attempts per call, %v", got.amplification(), got.delays)
			}
			if last := got.delays[len(got.delays)-1]; !strings.HasPrefix(last, want+" ") {
				t.Errorf("the delay is %s, want %s", last, want)
			}
		})
	}
}

// A freeze keeps the calls of a second in flight for as long as the delay, which stays what it is.
func TestAFreezeChangesNoDelay(t *testing.T) {
	for seed := range uint64(50) {
		w := world{rate: 300, length: 40 * time.Second, latency: func(at time.Duration, _ *rand.Rand) time.Duration {
			if at >= 20*time.Second && at < 21*time.Second {
				return 905 * time.Millisecond
			}
			return 5 * time.Millisecond
		}}
		if got := w.play(rand.New(rand.NewPCG(seed, 3))); len(got.delays) != 1 {
			t.Errorf("seed %d: %v", seed, got.delays)
		}
	}
}

// After a slowness the delay is short again.
func TestTheDelayComesBack(t *testing.T) {
	got := world{rate: 100, latency: slowBetween(20*time.Second, 30*time.Second, time.Second), length: 100 * time.Second}.play(rand.New(rand.NewPCG(1, 1)))
	if n := len(got.delays); n < 3 || !strings.HasPrefix(got.delays[n-1], "900ms ") {
		t.Errorf("%v", got.delays)
	}
}

func TestWhatIsUnknownChangesNothing(t *testing.T) {
	before := status(900*time.Millisecond, time.Millisecond, noon)
	for name, of := range map[string]*Estimate{
		"no estimate": nil, "no look": {},
		"few calls": {looks: []Look{{Started: 3, InFlight: 3, Start: noon, End: noon.Add(3 * time.Second)}}},
	} {
		if got := Decide(before, of, noon.Add(3*time.Second)); got != before {
			t.Errorf("%s: %+v", name, got)
		}
		if got := Decide(nil, of, noon.Add(3*time.Second)); got != nil {
			t.Errorf("%s, nothing decided: %+v", name, got)
		}
	}
}

// Whatever the looks say: the delay is one of the few, and a longer one for longer calls.
func TestDelays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		estimate := &Estimate{}
		var status *v1alpha1.HedgingStatus
		at := noon
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			start := at
			at = at.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
			estimate.Add(Look{
				Started: uint64(rapid.IntRange(0, 1000).Draw(t, "started")), InFlight: uint64(rapid.IntRange(0, 5000).Draw(t, "in flight")),
				Start: start, End: at,
			})
			decided := Decide(status, estimate, at)
			if status != nil && decided == nil {
				t.Fatal("a decision was forgotten")
			}
			if again := Decide(decided, estimate, at); decided != nil && longer(Delay(decided), Delay(again)) {
				t.Fatalf("%+v, and at once %+v", decided, again)
			}
			if len(estimate.looks) > 60 {
				t.Fatalf("%d looks are remembered", len(estimate.looks))
			}
			status = decided
		}
	})
	for a, b := time.Duration(0), time.Millisecond; b < 10*time.Second; a, b = b, b+time.Millisecond {
		if longer(delayFor(a), delayFor(b)) {
			t.Fatalf("%s: %s, %s: %s", a, delayFor(a), b, delayFor(b))
		}
	}
}
