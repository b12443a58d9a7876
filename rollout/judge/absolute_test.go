package judge

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

var above5Percent = Absolute{Bound: 0.05, Alpha: 0.01, Horizon: time.Hour}

// feed runs the test over ticks of calls at an error rate until stop says so, and returns the number of ticks, or 0 for never.
func feed(a Absolute, s AbsoluteState, run uint64, ticks int, tick time.Duration, perSecond float64, rate func(tick int) float64, stop func(AbsoluteState) bool) (AbsoluteState, int) {
	r := traffic.Rand(21, run)
	for i := range ticks {
		mean := perSecond * tick.Seconds()
		failed := traffic.Poisson(r, mean*rate(i))
		calls := failed + traffic.Poisson(r, mean*(1-rate(i)))
		s = a.Update(s, calls, failed, tick)
		if stop(s) {
			return s, i + 1
		}
	}
	return s, 0
}

func constant(p float64) func(int) float64 { return func(int) float64 { return p } }

// alarms counts in how many runs of one hour the error rate is said to be above the bound.
func alarms(runs int, tick time.Duration, perSecond float64, rate func(int) float64) int {
	found := 0
	for run := range runs {
		if _, at := feed(above5Percent, AbsoluteState{}, uint64(run), int(time.Hour/tick), tick, perSecond, rate, above5Percent.Exceeded); at > 0 {
			found++
		}
	}
	return found
}

func TestTwentyPercentErrorsAreFoundWithinThreeTicks(t *testing.T) {
	for _, healthyFor := range []int{0, 10, 600} {
		late := 0
		for run := range uint64(200) {
			s, _ := feed(above5Percent, AbsoluteState{}, run, healthyFor, time.Second, 100, constant(0.005), never)
			if _, at := feed(above5Percent, s, 1000+run, 60, time.Second, 100, constant(0.2), above5Percent.Exceeded); at == 0 || at > 3 {
				late++
			}
		}
		if late > 10 {
			t.Errorf("after %d healthy ticks: %d of 200 runs took more than three ticks", healthyFor, late)
		}
	}
}

func never(AbsoluteState) bool { return false }

func TestAnOutageIsFoundInTwoTicksAndNeverInOne(t *testing.T) {
	s, _ := feed(above5Percent, AbsoluteState{}, 1, 600, time.Second, 100, constant(0.01), never)
	once := above5Percent.Update(s, 100, 100, time.Second)
	if above5Percent.Exceeded(once) {
		t.Fatal("one tick of errors is an alarm: a single bad scrape would move all traffic")
	}
	if twice := above5Percent.Update(once, 100, 100, time.Second); !above5Percent.Exceeded(twice) {
		t.Fatal("two ticks of nothing but errors are no alarm")
	}
	calm := above5Percent.Update(once, 100, 1, time.Second)
	if e, _ := above5Percent.Evidence(calm); e > 0 {
		t.Fatalf("evidence of %.1f nats is left of a burst after one healthy tick", e)
	}
}

func TestAFewErrorsAtNightAlarmNothing(t *testing.T) {
	var s AbsoluteState
	s = above5Percent.Update(s, 10, 1, 2*time.Minute)
	s = above5Percent.Update(s, 3, 1, time.Minute)
	s = above5Percent.Update(s, 1, 1, time.Minute)
	if e, need := above5Percent.Evidence(s); e > need/2 {
		t.Fatalf("three errors in fourteen calls gave evidence %.1f of %.1f", e, need)
	}
	if found := alarms(300, 10*time.Second, 0.05, constant(0.03)); found > 3 {
		t.Errorf("3 %% errors at three calls a minute: %d alarms in 300 hours", found)
	}
}

// At most Alpha for each hour and start; with 3 standard deviations of the binomial.
func TestFalseAlarmsStayWithinAlpha(t *testing.T) {
	runs := shrink(60)
	most := atMost(runs, 0.01)
	incident := func(i int) float64 { return []float64{0.05, 0.001}[i/300%2] }
	for name, c := range map[string]struct {
		perSecond float64
		rate      func(int) float64
	}{
		"at the bound, 100 calls/s":             {100, constant(0.05)},
		"at the bound, 1 call/s":                {1, constant(0.05)},
		"4 percent, 100 calls/s":                {100, constant(0.04)},
		"now at the bound and now far below it": {100, incident},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if found := alarms(runs, time.Second, c.perSecond, c.rate); found > most {
				t.Errorf("%d alarms in %d hours, more than %d", found, runs, most)
			}
		})
	}
}

func TestWithoutErrorsNoTimeIsLongEnoughForAnAlarm(t *testing.T) {
	for _, bound := range []float64{0.001, 0.05, 0.5, 0.99} {
		a := Absolute{Bound: bound}
		for _, tick := range []time.Duration{time.Second, time.Hour, 1000 * time.Hour} {
			var s AbsoluteState
			for range 5000 {
				s = a.Update(s, 1, 0, tick)
			}
			if e, _ := a.Evidence(s); e > 0 {
				t.Errorf("bound %v, a call each %v, none failed: evidence %.2f", bound, tick, e)
			}
		}
	}
}

func TestABackendThatRecoveredIsFoundBelow(t *testing.T) {
	var s AbsoluteState
	calls := 0
	for !above5Percent.Below(s) && calls < 10_000 {
		s = above5Percent.Update(s, 10, 0, time.Second)
		calls += 10
	}
	if calls > 160 {
		t.Errorf("it took %d calls without an error", calls)
	}
	wrong := 0
	runs := shrink(60)
	for run := range runs {
		if _, at := feed(above5Percent, AbsoluteState{}, uint64(run), 3600, time.Second, 10, constant(0.05), above5Percent.Below); at > 0 {
			wrong++
		}
	}
	if most := atMost(runs, 0.01); wrong > most {
		t.Errorf("at the bound: found below in %d of %d runs, more than %d", wrong, runs, most)
	}
}

func TestEvidenceFadesAfterALongOutage(t *testing.T) {
	s, _ := feed(above5Percent, AbsoluteState{}, 1, 3600, time.Second, 100, constant(0.8), never)
	if !above5Percent.Exceeded(s) {
		t.Fatal("an hour of 80 % errors is no alarm")
	}
	_, at := feed(above5Percent, s, 2, 60, time.Second, 100, constant(0.01), func(s AbsoluteState) bool { return !above5Percent.Exceeded(s) })
	if at == 0 || at > 10 {
		t.Errorf("after an hour's outage the alarm lasts %d ticks", at)
	}
}

func TestAnotherBoundStartsOver(t *testing.T) {
	s, _ := feed(above5Percent, AbsoluteState{}, 1, 60, time.Second, 100, constant(0.8), never)
	other := Absolute{Bound: 0.5, Alpha: 0.01, Horizon: time.Hour}
	if other.Exceeded(s) {
		t.Error("evidence against one bound counts against another")
	}
	if got, want := other.Update(s, 7, 3, time.Second), other.Update(AbsoluteState{}, 7, 3, time.Second); got != want {
		t.Errorf("state of another bound is carried on: %v", got)
	}
}

func TestAbsoluteOfAnyInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Absolute{
			Bound:   rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 1)).Draw(t, "bound"),
			Alpha:   rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 1)).Draw(t, "alpha"),
			Horizon: time.Duration(rapid.Int64().Draw(t, "horizon")),
		}
		var s AbsoluteState
		for range rapid.IntRange(1, 20).Draw(t, "ticks") {
			calls := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 200)).Draw(t, "calls")
			failed := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 20)).Draw(t, "errors")
			s = a.Update(s, calls, failed, time.Duration(rapid.Int64().Draw(t, "elapsed")))
			for _, evidence := range []func(AbsoluteState) (float64, float64){a.Evidence, a.BelowEvidence} {
				if have, need := evidence(s); !(have >= 0 && have <= 2*need+0.01) || !(need > 0) || math.IsInf(need, 0) {
					t.Fatalf("evidence %v of %v", have, need)
				}
			}
			back, err := ParseAbsoluteState(s.String())
			if err != nil || back != s || len(s.String()) > 300 {
				t.Fatalf("%q (%d bytes) reads as %v, %v", s, len(s.String()), back, err)
			}
			text, err := json.Marshal(s)
			var again AbsoluteState
			if err != nil || json.Unmarshal(text, &again) != nil || again != s {
				t.Fatalf("%s reads as %v, %v", text, again, err)
			}
		}
	})
}

func TestAbsoluteStateThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{"x", "a0;1;;", "a1;1;;;", "a1;x;;", "a1;1;1,2,3,4,5,6,7,8,9,10,11,12,13;", "a1;1;;y", "a1;1;9999999999;"} {
		if s, err := ParseAbsoluteState(text); err == nil || s != (AbsoluteState{}) {
			t.Errorf("%q reads as %v, %v", text, s, err)
		}
	}
}

// Absolute, by the tree of all outcomes of some ticks, at the bound: M is at most what was spent, at every depth.
func TestAbsoluteGainsNoMoreThanItSpends(t *testing.T) {
	for _, bound := range []float64{0.05, 0.3} {
		a := Absolute{Bound: bound, Alpha: 0.01, Horizon: time.Minute}.withDefaults()
		var above, under float64
		var walk func(s AbsoluteState, depth int, p float64)
		walk = func(s AbsoluteState, depth int, p float64) {
			if depth == 0 {
				above += p * math.Exp(logSum(s.Above[:]))
				under += p * math.Exp(logSum(s.Under[:]))
				return
			}
			for errors := range uint64(4) {
				walk(a.Update(s, 3, errors, time.Second), depth-1, p*binomial(3, errors, bound))
			}
		}
		const ticks = 6
		walk(AbsoluteState{}, ticks, 1)
		spent := ticks * a.mass(3, time.Second)
		if above > spent*(1+1e-9) || above < spent/2 {
			t.Errorf("bound %v: a mean of %v of evidence above, from %v spent", bound, above, spent)
		}
		if spent = headStart + spent/2; under > spent*(1+1e-9) || under < spent/2 {
			t.Errorf("bound %v: a mean of %v of evidence below, from %v spent", bound, under, spent)
		}
	}
}
