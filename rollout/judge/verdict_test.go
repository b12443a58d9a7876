package judge

import (
	"math"
	"testing"
	"time"
)

// healthy is a minute of calls with few errors.
func healthy(j Judge, s State) State { return j.after(s, 60, tick(100, 0, 900, 1)) }

// A pause, a lost connection, a full queue: what one pod does within a block is one event.
func TestASingleBurstInOneBlockNeverRollsBackWhateverItsSize(t *testing.T) {
	bound := onlyErrors()
	bound.MaxErrorRate = 0.05
	for name, j := range map[string]Judge{"errors": onlyErrors(), "all tests": Default(), "a bound": bound} {
		for _, calls := range []uint64{100, 10_000, 1_000_000_000, math.MaxUint64 / 2} {
			s := healthy(j, State{})
			bad := tick(calls, calls, 900, 0)
			bad.Canary.Cancelled = calls
			s = j.after(s, 10, bad)
			if s = healthy(j, s); s.failed {
				t.Errorf("%s: %d errors a second for a block: %+v", name, calls, j.Decide(s))
			}
		}
	}
}

// What lies in two blocks that follow each other is one event: a pause of a pod is not over when a block is.
func TestABurstOverTwoBlocksIsOneEvent(t *testing.T) {
	j := onlyErrors()
	s := healthy(j, State{})
	before := j.Decide(s).Threshold / partsOfAVerdict
	s = j.after(s, 20, tick(100, 100, 900, 0))
	for range 10 {
		s = j.after(s, 10, tick(100, 0, 900, 0))
		if v := j.Decide(s); v.Evidence > before+0.01 {
			t.Fatalf("two bad blocks make %.2f, more than %.2f", v.Evidence, before)
		}
	}
}

func TestFourBadEventsRollBackOnceWhatCameAfterIsKnown(t *testing.T) {
	j := onlyErrors()
	s := healthy(j, State{})
	bad, good := tick(100, 100, 900, 0), tick(100, 0, 900, 0)
	s = j.after(s, 70, bad)
	if v := j.Decide(s); v.Decision != Suspect {
		t.Errorf("right after seven bad blocks: %s, evidence %.1f", v.Decision, v.Evidence)
	}
	s = j.after(s, int(around/time.Second)-1, good)
	if j.Decide(s).Decision == RollBack {
		t.Error("rolled back before what came after it was known")
	}
	s = j.Update(s, good)
	v := j.Decide(s)
	if v.Decision != RollBack || v.Evidence < v.Threshold {
		t.Fatalf("four bad events: %+v", v)
	}
	for name, s := range map[string]State{
		"healthy calls": j.after(s, 3600, good), "a new step": j.NextStep(s), "a second look": j.Recheck(s),
		"all of it": healthy(j, j.Recheck(j.NextStep(s))),
	} {
		if v := j.Decide(s); v.Decision != RollBack || v.Evidence < v.Threshold {
			t.Errorf("%s took a rollback back: %+v", name, v)
		}
	}
}

// From .1 % to 5 %: suspicions are looked at again, and the verdict is for good.
func TestASteadilyWorseCanaryIsRolledBack(t *testing.T) {
	for name, j := range map[string]Judge{"errors": onlyErrors(), "all tests": Default()} {
		for run := range uint64(20) {
			if _, at := j.untilDecided(State{}, 600, RollBack, random(31, run, 10, 90, 0.05, 0.001)); at == 0 || at > 300 {
				t.Errorf("%s, run %d: rolled back after %d s", name, run, at)
			}
		}
	}
}

func TestAHealthyCanaryIsNotRolledBack(t *testing.T) {
	runs := shrink(40)
	for _, rate := range []float64{0.0005, 0.01, 0.09} {
		wrong := 0
		for run := range uint64(runs) {
			next := random(32, run, 10, 90, rate, rate)
			if _, at := withoutLatency().untilDecided(State{}, 600, RollBack, next); at > 0 {
				wrong++
			}
		}
		if wrong > atMost(runs, 0.01) {
			t.Errorf("rate %v: %d of %d healthy canaries are rolled back", rate, wrong, runs)
		}
	}
}

func TestDoubtForbidsToAdvance(t *testing.T) {
	j := onlyErrors()
	j.Errors.Prove.Difference = 0.5
	s := healthy(j, State{})
	if v := j.Decide(s); v.Decision != Advance {
		t.Fatalf("a healthy canary: %+v", v)
	}
	s = j.Update(s, tick(10, 10, 90, 0))
	v := j.Decide(s)
	if !v.passes() || v.Alarm < math.Log(3) || v.Alarm > v.Threshold {
		t.Fatalf("the scene is not one of doubt: %+v", v)
	}
	if v.Decision != Hold || !v.Doubtful {
		t.Errorf("got %+v", v)
	}
}

func TestWithoutTestsNothingStandsInTheWay(t *testing.T) {
	j := Judge{Shares: []int32{allParts}}
	if v := j.Decide(j.Update(State{}, tick(1, 1, 1, 0))); v.Decision != Advance {
		t.Errorf("got %+v", v)
	}
}

func TestAVeryQuietRolloutIsHeld(t *testing.T) {
	j := Default()
	s := j.after(State{}, 1000, tick(0, 0, 0, 0).lasting(10*time.Second))
	if v := j.Decide(s); v.Decision != Hold || v.Evidence > 0 || v.Alarm > 0 {
		t.Errorf("without any call: %+v", v)
	}
	for range 3 {
		s = j.Update(s, tick(1, 1, 9, 0))
		s = j.after(s, 10, tick(0, 0, 0, 0).lasting(10*time.Second))
		if v := j.Decide(s); v.Decision != Hold {
			t.Errorf("after a few errors: %+v", v)
		}
		s = j.after(s, 10, tick(1, 0, 9, 0))
	}
}

// Rates of the whole rollout could say the opposite, because the share changes from step to step.
func TestExpectedErrorsAreThoseOfTheCanarysShare(t *testing.T) {
	j := onlyErrors()
	s := j.after(State{}, 10, tick(10, 0, 990, 100))
	s = j.after(s, 10, tick(500, 5, 500, 5))
	if v := j.Decide(s); math.Abs(v.Expected-(10*1+10*5)) > 0.1 || v.Canary.Errors != 50 || v.Stable.Calls != 14900 {
		t.Errorf("expected %.1f errors of %+v, beside %+v", v.Expected, v.Canary, v.Stable)
	}
}
