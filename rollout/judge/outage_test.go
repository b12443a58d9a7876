package judge

import (
	"fmt"
	"testing"
	"time"
)

// common is an outage of both sides, from one second until before another. The canary's counts come late by some seconds.
func common(from, until, late int) func(i int) Tick {
	return func(i int) Tick {
		t := tick(10, 0, 90, 0)
		if i-late >= from && i-late < until {
			t.Canary.Errors = 5
		}
		if i >= from && i < until {
			t.Stable.Errors = 45
		}
		return t
	}
}

func TestACommonOutageTeachesNothing(t *testing.T) {
	j := withoutLatency()
	s, calm := State{}, tick(10, 0, 90, 0)
	s = j.after(s, 120, calm)
	proof, step, against := s.proofOf(kindErrors, allParts), s.fresh[kindErrors], s.verdict[kindErrors].lnE()
	next := common(0, 30, 0)
	for i := range 30 + int(around/time.Second)/2 {
		s = j.Update(s, next(i))
		v := j.Decide(s)
		if !v.Outage || v.Decision != Hold {
			t.Fatalf("second %d: %+v", i, v)
		}
		if got := s.verdict[kindErrors].lnE(); got > against {
			t.Fatalf("second %d: the verdict moves from %v to %v", i, against, got)
		}
		if fmt.Sprint(s.proofOf(kindErrors, allParts), s.fresh[kindErrors]) != fmt.Sprint(proof, step) {
			t.Fatalf("second %d: the proofs move from %v to %v", i, proof, s.proofOf(kindErrors, allParts))
		}
	}
	s = j.after(s, 60, calm)
	if v := j.Decide(s); v.Outage || v.Decision == RollBack || v.Evidence > 0.1 {
		t.Errorf("a minute after the outage: %+v", v)
	}
}

// Counts of one side may be late, or early: the outage begins at any second of a block.
func TestAnOutageWhoseCountsAreLateOnOneSideRollsNothingBack(t *testing.T) {
	for late := -10; late <= 10; late += 2 {
		for from := 120; from < 130; from += 3 {
			j := withoutLatency()
			s, next := State{}, common(from, from+30, late)
			for i := range 300 {
				s = j.Update(s, next(i))
				if v := j.Decide(s); v.Decision == RollBack || v.Evidence > 1 {
					t.Fatalf("the canary's counts come %d s late, second %d after %d: %s, evidence %.1f", late, i, from, v.Decision, v.Evidence)
				}
			}
		}
	}
}

func TestOutagesOneAfterTheOtherRollNothingBack(t *testing.T) {
	j := withoutLatency()
	s, next := State{}, common(0, 30, 10)
	for i := range 3600 {
		s = j.Update(s, next(i%120))
		if v := j.Decide(s); v.Decision == RollBack {
			t.Fatalf("after %d s: %+v", i, v)
		}
	}
}

// The version that mends stable must be able to take its place.
func TestACanaryThatOutagesOfStableSpareTakesItsPlace(t *testing.T) {
	for name, next := range map[string]Tick{
		"pods unknown": tick(10, 0, 90, 13), "all pods fail": tick(10, 0, 90, 15).withPods(5, 5, 5),
	} {
		j := withoutLatency()
		s, at := j.untilDecided(State{}, 1800, Advance, func(int) Tick { return next })
		if at == 0 || !s.spared() || s.Outage() {
			t.Errorf("%s: after %d s %+v", name, at, j.Decide(s))
		}
		if at > 0 && at < int(2*longEpisode/time.Second) {
			t.Errorf("%s: spared after %d s, of less than two outages", name, at)
		}
	}
}

// Who fails as often as stable in its outages is not spared, nor is one whose counts are late.
func TestACanaryThatFailsInOutagesIsNotSpared(t *testing.T) {
	for name, next := range map[string]func(i int) Tick{
		"one that lasts":     func(int) Tick { return tick(20, 3, 80, 12) },
		"many that are late": func(i int) Tick { return common(0, 30, 10)(i % 120) },
	} {
		j := withoutLatency()
		s := State{}
		for i := range 3600 {
			if s = j.Update(s, next(i)); s.spared() {
				t.Fatalf("%s: spared after %d s", name, i)
			}
		}
	}
}

func TestErrorsOfOnePodOfStableAreNoOutage(t *testing.T) {
	j := onlyErrors()
	for name, c := range map[string]struct {
		tick Tick
		want bool
	}{
		"half of the calls of one of four": {tick(10, 0, 120, 18).withPods(18, 0, 0, 0), false},
		"all of one of six":                {tick(10, 0, 120, 20).withPods(0, 20, 0, 0, 0, 0), false},
		"two of four":                      {tick(10, 0, 120, 30).withPods(15, 15, 0, 0), false},
		"three of four":                    {tick(10, 0, 120, 30).withPods(10, 10, 10, 0), true},
		"three of twelve":                  {tick(10, 0, 120, 30).withPods(10, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0), false},
		"two pods are too few to tell":     {tick(10, 0, 120, 30).withPods(30, 0), true},
		"pods unknown":                     {tick(10, 0, 120, 18), true},
		"few errors":                       {tick(10, 0, 9, 1), false},
		"a tenth":                          {tick(10, 0, 120, 12).withPods(4, 4, 4), false},
	} {
		if got := j.after(State{}, 5, c.tick).Outage(); got != c.want {
			t.Errorf("%s: an outage is %v, want %v", name, got, c.want)
		}
	}
}

// While stable fails, the alarm asks whether the canary fails more often.
func TestACanaryThatFailsMoreThanStableInItsOutageIsSuspected(t *testing.T) {
	j := onlyErrors()
	s := j.after(State{}, 60, tick(10, 0, 90, 0))
	if _, at := j.untilDecided(s, 60, Suspect, func(int) Tick { return tick(10, 10, 90, 18) }); at == 0 || at > 10 {
		t.Errorf("all of its calls fail, a fifth of stable's: suspected after %d s", at)
	}
	if v := j.Decide(j.after(s, 60, tick(10, 2, 90, 18))); v.Decision == Suspect {
		t.Errorf("it fails as stable does: %+v", v)
	}
}

// An outage that begins at the end of a block makes few errors in it, and those of the canary may come later. To be proved from
// that to fail far less often is to be proved for good.
func TestAnOutageWhoseCountsAreLateProvesNothing(t *testing.T) {
	for name, errors := range map[string]uint64{"a canary without errors": 0, "one beyond the margin": 1} {
		for late := 0; late <= 10; late += 2 {
			for from := 120; from < 130; from++ {
				j := onlyErrors()
				next := common(from, from+30, late)
				s := j.after(State{}, 110, tick(10, errors, 90, 0))
				before := s.proofOf(kindErrors, allParts).lnE()
				s = j.after(s, 10, tick(10, errors, 90, 0))
				usual, most := max(0, s.proofOf(kindErrors, allParts).lnE()-before), 0.0
				for i := 120; i < 240; i++ {
					now := next(i)
					now.Canary.Errors = max(now.Canary.Errors, errors)
					before = s.proofOf(kindErrors, allParts).lnE()
					s = j.Update(s, now)
					most = max(most, s.proofOf(kindErrors, allParts).lnE()-before)
				}
				if most > usual+1 {
					t.Errorf("%s, %d s late, from second %d on: a block brings %.1f nats, and usually %.1f", name, late, from-120, most, usual)
				}
			}
		}
	}
}

// What stable does for good is usual after a while.
func TestAStableThatChangesForGoodIsNoLongerSurprising(t *testing.T) {
	j := onlyErrors()
	s := j.NextStep(j.after(State{}, 3600, tick(10, 0, 90, 0)))
	seconds := 0
	for ; s.fresh[kindErrors].lnE() <= freshThreshold && seconds < 600; seconds++ {
		s = j.Update(s, tick(10, 0, 90, 5))
	}
	if seconds < 20 || seconds > 200 {
		t.Errorf("proofs go on after %d s", seconds)
	}
}
