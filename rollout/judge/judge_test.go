package judge_test

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headgate/headgate/rollout/judge"
)

func tickOf(canaryCalls, canaryErrors, stableCalls, stableErrors uint64) judge.Tick {
	return judge.Tick{
		Elapsed: 10 * time.Second,
		Canary:  judge.Counts{Calls: canaryCalls, Errors: canaryErrors},
		Stable:  judge.Counts{Calls: stableCalls, Errors: stableErrors},
	}
}

func onlyErrors() judge.Judge {
	j := judge.Default()
	j.Latency = nil
	return j
}

func TestAllErrorsRollBackInTwoTicksAndForGood(t *testing.T) {
	for name, j := range map[string]judge.Judge{"errors": onlyErrors(), "all tests": judge.Default()} {
		var s judge.State
		for i, want := range []judge.Decision{judge.Hold, judge.RollBack} {
			s = j.Update(s, tickOf(100, 100, 900, 1))
			if v := j.Decide(s); v.Decision != want {
				t.Fatalf("%s, tick %d: %v, want %s", name, i+1, v, want)
			}
		}
		for range 100 {
			s = j.Update(s, tickOf(100, 0, 900, 1))
		}
		if v := j.Decide(s); v.Decision != judge.RollBack {
			t.Errorf("%s: healthy ticks took a rollback back: %v", name, v)
		}
	}
}

func TestAdvancingAsksAfreshInEachStep(t *testing.T) {
	j := onlyErrors()
	var s judge.State
	for range 10 {
		s = j.Update(s, tickOf(100, 0, 900, 0))
	}
	v := j.Decide(s)
	if v.Decision != judge.Advance {
		t.Fatalf("after 1000 calls without an error: %v", v)
	}
	s = j.NextStep(s)
	if now := j.Decide(s); now.Decision != judge.Hold || now.Gates[0].Evidence != 0 || now.Tests[0] != v.Tests[0] {
		t.Errorf("at the start of the next step: %v", now)
	}
}

func TestErrorsAtTheBeginningOfAStepDoNotCloseItsGateForEver(t *testing.T) {
	j := onlyErrors()
	s := j.Update(judge.State{}, tickOf(1000, 300, 9000, 0))
	if v := j.Decide(s); v.Decision != judge.Hold || v.Gates[0].Evidence > -2 {
		t.Fatalf("the scene is not one of errors at the beginning: %v", v)
	}
	for calls := 0; j.Decide(s).Decision != judge.Advance; calls += 100 {
		if calls > 5000 {
			t.Fatalf("after %d healthy calls: %v", calls, j.Decide(s))
		}
		s = j.Update(s, tickOf(100, 0, 900, 0))
	}
}

func TestTicksThatOnlySpeakAgainstTheCanaryLeaveTheGatesAlone(t *testing.T) {
	j := onlyErrors()
	s := j.Update(judge.State{}, tickOf(100, 0, 900, 0))
	before := j.Decide(s)
	good := j.UpdateAgainst(s, tickOf(100, 0, 900, 0))
	bad := j.UpdateAgainst(s, tickOf(100, 30, 900, 0))
	for _, v := range []judge.Verdict{j.Decide(good), j.Decide(bad)} {
		if v.Gates[0] != before.Gates[0] {
			t.Errorf("the gate has heard of it: %v", v)
		}
	}
	if after := j.Decide(bad); after.Evidence <= before.Evidence || after.Canary.Calls != 200 {
		t.Errorf("nothing speaks against the canary: %v", after)
	}
}

func TestDoubtForbidsToAdvance(t *testing.T) {
	j := onlyErrors()
	j.Errors.AdvanceDifference = 0.5
	var s judge.State
	for range 3 {
		s = j.Update(s, tickOf(100, 0, 900, 0))
	}
	s = j.Update(s, tickOf(100, 5, 900, 0))
	v := j.Decide(s)
	if v.Gates[0].Evidence < v.GateThreshold || v.Evidence < math.Log(3) || v.Evidence > v.Threshold {
		t.Fatalf("the scene is not one of doubt: %v", v)
	}
	if v.Decision != judge.Hold {
		t.Errorf("got %v", v)
	}
}

func TestWithoutTestsNothingStandsInTheWay(t *testing.T) {
	j := judge.Judge{}
	if v := j.Decide(j.Update(judge.State{}, tickOf(1, 1, 1, 0))); v.Decision != judge.Advance {
		t.Errorf("got %v", v)
	}
}

func TestVerdictReadsAsASentence(t *testing.T) {
	j := judge.Default()
	v := judge.Verdict{
		Decision: judge.RollBack, Evidence: 7.12, Threshold: 4.61, GateThreshold: 3,
		Tests:  []judge.Finding{{Name: "errors", Evidence: 7.81}, {Name: "latency", Evidence: -0.31}},
		Gates:  []judge.Finding{{Name: "errors", Evidence: -9.7}, {Name: "latency", Evidence: 1.25}},
		Canary: judge.Totals{Calls: 1200, Errors: 61}, Stable: judge.Totals{Calls: 10800, Errors: 11},
	}
	want := "RollBack: canary failed 61 of 1200 calls (5.08 %), stable 11 of 10800 (0.102 %); evidence against the canary 7.1 of 4.6 nats " +
		"(errors 7.8, latency -0.3); for advancing errors -9.7 of 3.0, latency 1.2 of 3.0"
	if v.String() != want {
		t.Errorf("got  %s\nwant %s", v, want)
	}
	if got := j.Decide(judge.State{}).String(); got != "Hold: canary failed 0 of 0 calls (no data), stable 0 of 0 (no data); "+
		"evidence against the canary 0.0 of 4.6 nats (errors 0.0, latency 0.0); for advancing errors 0.0 of 3.0, latency 0.0 of 3.0" {
		t.Errorf("at the start: %s", got)
	}
}

// A tick without calls in one arm waits for the next and counts as one with it.
func TestTicksOfOneArmAreCarriedOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := judge.Default()
		j.Latency.Slow.RollBack = true
		bounds := []float64{0.01, 0.1, 1, math.Inf(1)}
		s := j.Learn(judge.State{}, buckets(t, bounds, 300))
		canary := arm(t, bounds)
		stable := arm(t, bounds)
		stable.Calls++
		canary.Calls++
		half := judge.Tick{Elapsed: time.Second, Canary: canary}
		rest := judge.Tick{Elapsed: time.Second, Stable: stable}
		if rapid.Bool().Draw(t, "stable first") {
			half, rest = rest, half
		}
		apart := j.Update(j.Update(s, half), rest)
		atOnce := j.Update(s, judge.Tick{Elapsed: 2 * time.Second, Canary: canary, Stable: stable})
		if apart.String() != atOnce.String() {
			t.Fatalf("apart %s\nat once %s", apart, atOnce)
		}
	})
}

func TestWhatWaitedTooLongIsForgotten(t *testing.T) {
	j := onlyErrors()
	s := j.Update(judge.State{}, tickOf(50, 50, 0, 0))
	s = j.Update(s, judge.Tick{Elapsed: 11 * time.Minute, Canary: judge.Counts{Calls: 1}, Stable: judge.Counts{Calls: 900}})
	if v := j.Decide(s); v.Evidence > 0 {
		t.Errorf("errors from before the gap still count: %v", v)
	}
}

func arm(t *rapid.T, bounds []float64) judge.Counts {
	return judge.Counts{
		Calls: rapid.Uint64Range(0, 500).Draw(t, "calls"), Errors: rapid.Uint64Range(0, 20).Draw(t, "errors"),
		Latencies: buckets(t, bounds, 1),
	}
}

func buckets(t *rapid.T, bounds []float64, least uint64) []judge.Bucket {
	var list []judge.Bucket
	for _, bound := range bounds {
		list = append(list, judge.Bucket{UpTo: judge.Seconds(bound), Count: least + rapid.Uint64Range(0, 300).Draw(t, "count")})
	}
	return list
}

// Any input whatever: the state stays within its size, is read back exactly, and holds no NaN and no infinity.
func TestJudgeOfAnyInput(t *testing.T) {
	number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 2), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)))
	count := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 100))
	rapid.Check(t, func(t *rapid.T) {
		j := judge.Judge{
			Alpha: number.Draw(t, "alpha"), Beta: number.Draw(t, "beta"), Planned: time.Duration(rapid.Int64().Draw(t, "planned")),
			Errors:       &judge.Errors{Ratio: number.Draw(t, "ratio"), Difference: number.Draw(t, "difference"), AdvanceDifference: number.Draw(t, "advance")},
			Latency:      &judge.Latency{Slowdown: number.Draw(t, "slowdown"), Slow: &judge.Slow{RollBack: true, Ratio: number.Draw(t, "slow ratio"), Difference: number.Draw(t, "slow difference")}},
			MaxErrorRate: number.Draw(t, "max"),
		}
		bucket := rapid.Custom(func(t *rapid.T) judge.Bucket {
			return judge.Bucket{UpTo: time.Duration(rapid.Int64().Draw(t, "up to")), Count: count.Draw(t, "count")}
		})
		counts := rapid.Custom(func(t *rapid.T) judge.Counts {
			return judge.Counts{Calls: count.Draw(t, "calls"), Errors: count.Draw(t, "errors"), Latencies: rapid.SliceOfN(bucket, 0, 60).Draw(t, "latencies")}
		})
		s := j.Learn(judge.State{}, rapid.SliceOfN(bucket, 0, 60).Draw(t, "window"))
		for range rapid.IntRange(1, 6).Draw(t, "ticks") {
			s = j.Update(s, judge.Tick{Elapsed: time.Duration(rapid.Int64().Draw(t, "elapsed")), Canary: counts.Draw(t, "canary"), Stable: counts.Draw(t, "stable")})
			v := j.Decide(s)
			for _, f := range append(slices.Concat(v.Tests, v.Gates), judge.Finding{Name: "all", Evidence: v.Evidence}) {
				if math.IsNaN(f.Evidence) || math.IsInf(f.Evidence, 0) {
					t.Fatalf("%s has evidence %v", f.Name, f.Evidence)
				}
			}
			text := s.String()
			back, err := judge.ParseState(text)
			if err != nil || back.String() != text || len(text) > judge.MostText {
				t.Fatalf("%q (%d bytes) reads as %q, %v", text, len(text), back, err)
			}
			quoted, err := json.Marshal(s)
			var again judge.State
			if err != nil || json.Unmarshal(quoted, &again) != nil || again.String() != text {
				t.Fatalf("%s reads as %q, %v", quoted, again, err)
			}
		}
	})
}

func TestStateThatIsNoneIsRefused(t *testing.T) {
	good := "c2;1,0,9,0;0;10,9223372036854775807;3,4;;1,0,5,0,1;;500000000,0,-1;;;;;"
	if _, err := judge.ParseState(good); err != nil {
		t.Fatalf("%q: %v", good, err)
	}
	for name, text := range map[string]string{
		"other version":          "c0;1,0,9,0;0;;;;;;;;;;",
		"too short":              "c2;1,0,9,0",
		"no totals":              "c2;1,0,9;0;;;;;;;;;;;",
		"no peak":                "c2;1,0,9,0;;;;;;;;;;;;",
		"no last bucket":         "c2;1,0,9,0;0;10,20;3,4;;;;;;;;;",
		"bounds that fall":       "c2;1,0,9,0;0;20,10,9223372036854775807;3,4,5;;;;;;;;;",
		"bounds without counts":  "c2;1,0,9,0;0;10,9223372036854775807;3;;;;;;;;;",
		"short waiting calls":    "c2;1,0,9,0;0;;;;1,0,5;;;;;;;",
		"latencies of no window": "c2;1,0,9,0;0;;;;;1,0,5;;;;;;",
		"half of the judged":     "c2;1,0,9,0;0;10,9223372036854775807;3,4;1,2,3;;;;;;;;",
		"judged of no window":    "c2;1,0,9,0;0;;;1,2;;;;;;;;",
		"overspent":              "c2;1,0,9,0;0;;;;;;1000000001,0,-1;;;;;",
		"no parts":               "c2;1,0,9,0;0;;;;;;500000000,0;;;;;",
		"evidence beyond all":    "c2;1,0,9,0;0;;;;;;500000000,0,999999999999;;;;;",
		"words":                  "c2;1,0,9,0;0;;;;;;500000000,0,x;;;;;",
	} {
		if s, err := judge.ParseState(text); err == nil || s.String() != "" {
			t.Errorf("%s: %q reads as %q, %v", name, text, s, err)
		}
	}
}

// The values of the study, section 2.1(c).
func TestIntervalHasTheKnownValues(t *testing.T) {
	for _, c := range []struct {
		failed, calls uint64
		high          float64
	}{{0, 100, 0.035}, {0, 1000, 0.0045}, {0, 10000, 0.00057}, {1, 1000, 0.0072}, {10, 10000, 0.0024}} {
		low, high := judge.Interval(judge.Totals{Calls: c.calls, Errors: c.failed}, 0.95)
		if math.Abs(high-c.high) > 0.02*c.high {
			t.Errorf("%d of %d: up to %.5f, want %.5f", c.failed, c.calls, high, c.high)
		}
		if rate := float64(c.failed) / float64(c.calls); low > rate || (c.failed == 0) != (low == 0) {
			t.Errorf("%d of %d: from %v", c.failed, c.calls, low)
		}
	}
	if low, high := judge.Interval(judge.Totals{}, 0.95); low != 0 || high != 1 {
		t.Errorf("without data: %v to %v", low, high)
	}
	if low, high := judge.Interval(judge.Totals{Calls: 50, Errors: 50}, 0.95); low < 0.2 || high != 1 {
		t.Errorf("nothing but errors: %v to %v", low, high)
	}
}

// Above is rounded up to a bucket's bound, the fastest that is not below it.
func TestSlowCallsAreThoseAboveTheBound(t *testing.T) {
	for above, want := range map[time.Duration]judge.Decision{
		50 * time.Millisecond:  judge.Hold,     // up to 100 ms is not slow
		100 * time.Millisecond: judge.Hold,     // neither
		5 * time.Millisecond:   judge.RollBack, // all of the canary's are above 10 ms
		time.Minute:            judge.Hold,     // nothing is above the last bound
	} {
		j := judge.Judge{Latency: &judge.Latency{Slowdown: 10, Slow: &judge.Slow{Above: above, Ratio: 1.2, Difference: 0.005, RollBack: true}}}
		fast := []judge.Bucket{{UpTo: 10 * time.Millisecond, Count: 900}, {UpTo: 100 * time.Millisecond}, {UpTo: judge.Infinity}}
		slower := []judge.Bucket{{UpTo: 10 * time.Millisecond}, {UpTo: 100 * time.Millisecond, Count: 100}, {UpTo: judge.Infinity}}
		s := j.Learn(judge.State{}, fast)
		for range 5 {
			s = j.Update(s, judge.Tick{Elapsed: time.Second, Canary: judge.Counts{Latencies: slower}, Stable: judge.Counts{Latencies: fast}})
		}
		if got := j.Decide(s).Tests[1].Evidence; (got > 4.6) != (want == judge.RollBack) {
			t.Errorf("slow above %v: evidence %.1f", above, got)
		}
	}
}
