package judge

import (
	"math"
	"testing"
	"time"
)

func TestAllErrorsAreSuspectInTwoTicksOfASecondAndNeverInOne(t *testing.T) {
	withBound := Default()
	withBound.MaxErrorRate = 0.05
	for name, j := range map[string]Judge{"errors": onlyErrors(), "all tests": Default(), "all tests and a bound": withBound} {
		for before, s := range map[string]State{"at the start": {}, "after an hour": j.after(State{}, 360, tick(100, 0, 900, 1).lasting(10*time.Second))} {
			for i, want := range []Decision{Hold, Suspect} {
				s = j.Update(s, tick(10, 10, 90, 0))
				if v := j.Decide(s); v.Decision != want && !(i == 0 && v.Decision == Advance && !v.Doubtful) {
					t.Errorf("%s, %s, tick %d: %+v, want %s", name, before, i+1, v, want)
				}
			}
		}
	}
}

func TestOneTickNeverMakesASuspicionWhateverItsSize(t *testing.T) {
	for name, j := range map[string]Judge{"errors": onlyErrors(), "all tests": Default()} {
		for _, calls := range []uint64{1, 10, 1000, 1_000_000_000, math.MaxUint64} {
			for _, elapsed := range []time.Duration{0, time.Second, time.Minute, time.Hour} {
				bad := tick(calls, calls, 9, 0).lasting(elapsed)
				bad.Canary.Cancelled = calls
				if v := j.Decide(j.Update(State{}, bad)); v.Decision != Hold || v.Alarm >= v.Threshold {
					t.Errorf("%s: %d calls in %s: %s, %.1f of %.1f", name, calls, elapsed, v.Decision, v.Alarm, v.Threshold)
				}
			}
		}
	}
}

func TestASuspicionLastsUntilTheRecheck(t *testing.T) {
	j := onlyErrors()
	s := j.after(State{}, 60, tick(10, 0, 90, 0))
	s = j.after(s, 10, tick(10, 10, 90, 0))
	s = j.after(s, 30, tick(10, 0, 90, 0))
	before := j.Decide(s)
	if before.Decision != Suspect || before.Alarm < before.Threshold {
		t.Fatalf("healthy ticks took the suspicion back: %+v", before)
	}
	if before.Evidence <= 0 {
		t.Fatalf("the scene is not one of evidence for good: %+v", before)
	}
	s = j.Recheck(s)
	after := j.Decide(s)
	if after.Decision != Hold || after.Alarm > 0 {
		t.Errorf("the suspicion is not forgotten: %+v", after)
	}
	if after.Evidence != before.Evidence || after.Canary != before.Canary {
		t.Errorf("what speaks against it for good is: %+v, was %+v", after, before)
	}
	for _, g := range after.Gates {
		if g.Evidence != 0 || g.Fresh != 0 {
			t.Errorf("what spoke for it stays: %+v", g)
		}
	}
}

// Counts of the two sides need not come in the same tick.
func TestATickOfOneSideWaitsForTheOther(t *testing.T) {
	j := onlyErrors()
	apart := j.Update(j.Update(State{}, tick(10, 3, 0, 0)), tick(0, 0, 90, 1))
	atOnce := j.Update(State{}, tick(10, 3, 90, 1).lasting(2*time.Second))
	if apart.alarm[kindErrors].lnE() != atOnce.alarm[kindErrors].lnE() {
		t.Errorf("%v apart, %v at once", apart.alarm[kindErrors], atOnce.alarm[kindErrors])
	}
}

func TestWhatWaitedTooLongIsForgotten(t *testing.T) {
	j := onlyErrors()
	s := j.Update(State{}, tick(50, 50, 0, 0))
	s = j.Update(s, tick(1, 0, 900, 0).lasting(11*time.Minute))
	if v := j.Decide(s); v.Alarm > 0 {
		t.Errorf("errors from before the gap still count: %+v", v)
	}
}

// Only cancelled calls say nothing about errors: what was known of them stays.
func TestTicksOfCancelledCallsAloneLeaveTheAlarmOfErrors(t *testing.T) {
	j := withoutLatency()
	s := j.Update(State{}, tick(10, 10, 90, 0))
	before := s.alarm[kindErrors].lnE()
	if before < 1 {
		t.Fatalf("the scene is not one of errors: %.1f nats", before)
	}
	hung := tick(0, 0, 0, 0)
	hung.Canary.Cancelled, hung.Stable.Cancelled = 10, 1
	if after := j.Update(s, hung).alarm[kindErrors].lnE(); after < before-1e-3 {
		t.Errorf("%.2f nats against the errors before, %.2f after a tick without outcomes", before, after)
	}
}

// Cold pods have tests of their own: failing some of the first calls is usual, failing most is not.
func TestColdPodsAreSuspectOnlyIfTheyFailMostCalls(t *testing.T) {
	j := onlyErrors()
	cold := func(errors uint64) Tick {
		t := tick(10, errors, 90, 0)
		t.Cold, t.Fresh = true, false
		return t
	}
	if v := j.Decide(j.after(State{}, 60, cold(2))); v.Decision != Hold || v.Alarm > 1 {
		t.Errorf("a fifth of the first calls fails: %+v", v)
	}
	s := j.after(State{}, 2, cold(10))
	if v := j.Decide(s); v.Decision != Suspect {
		t.Errorf("all of the first calls fail: %+v", v)
	}
	if now := j.Update(j.Recheck(s), tick(10, 0, 90, 0)); now.coldAlarm[kindErrors].begun() || now.lately(j) > 0 {
		t.Errorf("warm pods are judged by what cold ones did: %v", now.coldAlarm)
	}
}

func TestABoundIsWatchedWithoutCallsOfStable(t *testing.T) {
	j := onlyErrors()
	j.MaxErrorRate = 0.05
	if _, at := j.untilDecided(State{}, 10, Suspect, func(int) Tick { return tick(100, 50, 0, 0) }); at == 0 || at > 4 {
		t.Errorf("half of all calls fail, and stable has none: suspected in tick %d", at)
	}
	if v := j.Decide(j.after(State{}, 1000, tick(100, 5, 0, 0))); v.Decision == Suspect {
		t.Errorf("at the bound: %+v", v)
	}
}
