package judge

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// side are calls of one side that are under way, by the second in which they end.
type side struct {
	perSecond func(second int) float64
	// takes is how many seconds a call takes, never more than deadline; 0: there is no deadline.
	takes    func(r *rand.Rand) float64
	deadline float64
	ends     map[int]*Counts
	inFlight uint64
	// gaveUp and unending are the calls that will never get an answer: given up by their callers, and still waited for.
	gaveUp, unending uint64
}

func constantly(perSecond float64) func(int) float64 { return func(int) float64 { return perSecond } }

func takes(mean float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return mean * r.ExpFloat64() }
}

// hanging is a share of calls that never get an answer.
func hanging(share float64, others func(*rand.Rand) float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 {
		if r.Float64() < share {
			return math.Inf(1)
		}
		return others(r)
	}
}

// second gives the counts of a second.
func (s *side) second(r *rand.Rand, now int) Counts {
	if s.ends == nil {
		s.ends = map[int]*Counts{}
	}
	at := func(second int) *Counts {
		if s.ends[second] == nil {
			s.ends[second] = &Counts{}
		}
		return s.ends[second]
	}
	begun := traffic.Poisson(r, s.perSecond(now))
	s.inFlight += begun
	for range begun {
		began, took := float64(now)+r.Float64(), s.takes(r)
		switch {
		case s.deadline > 0 && took > s.deadline:
			at(int(began+s.deadline)).Cancelled++
		case math.IsInf(took, 1):
			s.unending++
		default:
			at(int(began+took)).Calls++
		}
	}
	c := *at(now)
	delete(s.ends, now)
	s.gaveUp += c.Cancelled
	s.inFlight -= c.Calls + c.Cancelled
	c.Begun, c.InFlight, c.TellsBegun, c.TellsCancelled = begun, s.inFlight, true, true
	return c
}

// run feeds seconds, after stable alone has run for a while, until stop says so, and says after how many seconds; 0: never.
func run(j Judge, seed uint64, seconds int, canary, stable *side, stop func(s State) bool) (State, int) {
	r := traffic.Rand(37, seed)
	const before = 120
	for now := range before {
		stable.second(r, now)
	}
	s := State{}
	for i := range seconds {
		s = j.Update(s, Tick{Elapsed: time.Second, Fresh: true, Canary: canary.second(r, before+i), Stable: stable.second(r, before+i)})
		if stop(s) {
			return s, i + 1
		}
	}
	return s, 0
}

func (j Judge) decides(want Decision) func(State) bool {
	return func(s State) bool { return j.Decide(s).Decision == want }
}

func alarmed(s State) bool { return s.suspected || s.failed }

func TestWhenAllCallsHangTheCanaryIsSuspectedWithinTenSeconds(t *testing.T) {
	j := Default()
	for _, deadline := range []float64{0, 30} {
		for seed := range uint64(20) {
			canary := &side{perSecond: constantly(10), takes: hanging(1, nil), deadline: deadline}
			stable := &side{perSecond: constantly(90), takes: takes(0.1)}
			if _, at := run(j, seed, 60, canary, stable, j.decides(Suspect)); at == 0 || at > 10 {
				t.Errorf("deadline %v s, run %d: suspected after %d s", deadline, seed, at)
			}
		}
	}
}

// A few calls may have looked as if they hung, and got an answer after all.
func TestAFifthOfCallsThatHangsIsFoundAndCountedOnce(t *testing.T) {
	j := Default()
	for name, deadline := range map[string]float64{"no deadline": 0, "a deadline of 10 s": 10, "a deadline of 1 s": 1} {
		for seed := range uint64(10) {
			canary := &side{perSecond: constantly(10), takes: hanging(0.2, takes(0.1)), deadline: deadline}
			stable := &side{perSecond: constantly(90), takes: takes(0.1)}
			_, at := run(j, seed, 300, canary, stable, func(s State) bool {
				known, truth := s.canary.Cancelled, canary.gaveUp
				if known > truth+canary.inFlight+fewCalls || known < truth {
					t.Fatalf("%s, run %d: %d cancelled calls are counted, there are %d and %d under way", name, seed, known, truth, canary.inFlight)
				}
				return j.Decide(s).Decision == RollBack
			})
			if at == 0 || at > 180 {
				t.Errorf("%s, run %d: rolled back after %d s", name, seed, at)
			}
		}
	}
}

// The sum of cancelled calls is the truth again once the last ones have been given up.
func TestUnansweredCallsAreNotCountedAgainWhenTheyAreCancelled(t *testing.T) {
	for seed := range uint64(20) {
		canary := &side{perSecond: func(now int) float64 { return map[bool]float64{true: 10}[now < 240] }, takes: hanging(0.2, takes(0.1)), deadline: 20}
		stable := &side{perSecond: constantly(90), takes: takes(0.1)}
		s, _ := run(Default(), seed, 200, canary, stable, func(State) bool { return false })
		if known, truth := s.canary.Cancelled, canary.gaveUp; known != truth || truth < 100 || s.unanswered.counted != 0 {
			t.Errorf("run %d: %d cancelled calls are counted, there were %d", seed, known, truth)
		}
	}
}

func TestSlowCallsOfBothSidesAreNoAlarm(t *testing.T) {
	ramp := func(most float64) func(int) float64 {
		return func(now int) float64 { return min(most, most*float64(now-119)/60) }
	}
	for name, c := range map[string]struct {
		canary func(int) float64
		takes  func(*rand.Rand) float64
	}{
		"10 s":                       {constantly(10), func(r *rand.Rand) float64 { return 9 + 2*r.Float64() }},
		"10 s, ramp up":              {ramp(10), func(r *rand.Rand) float64 { return 9 + 2*r.Float64() }},
		"10 s on average":            {constantly(10), takes(10)},
		"10 s on average, ramp up":   {ramp(10), takes(10)},
		"100 ms, ramp up":            {ramp(50), takes(0.1)},
		"a tenth 30 s, others 50 ms": {constantly(10), func(r *rand.Rand) float64 { return []float64{30, 0.05}[min(1, r.IntN(10))] }},
	} {
		for seed := range uint64(8) {
			stable := &side{perSecond: constantly(90), takes: c.takes}
			if s, at := run(Default(), seed, 600, &side{perSecond: c.canary, takes: c.takes}, stable, alarmed); at > 0 {
				t.Errorf("%s, run %d: an alarm after %d s: %+v", name, seed, at, Default().Decide(s))
			}
		}
	}
}

func TestStreamsAreNoAlarm(t *testing.T) {
	for name, takes := range map[string]func(*rand.Rand) float64{
		"all calls":            takes(2 * 3600),
		"a tenth of the calls": func(r *rand.Rand) float64 { return []float64{7200, 0.05}[min(1, r.IntN(10))] },
	} {
		for seed := range uint64(5) {
			canary, stable := &side{perSecond: constantly(3), takes: takes}, &side{perSecond: constantly(27), takes: takes}
			if s, at := run(Default(), seed, 1800, canary, stable, alarmed); at > 0 {
				t.Errorf("%s, run %d: an alarm after %d s: %+v", name, seed, at, Default().Decide(s))
			}
		}
	}
}

// A source that does not know of calls under way says nothing of them.
func TestWithoutCallsUnderWayNothingIsUnanswered(t *testing.T) {
	next := tick(0, 0, 90, 0)
	next.Canary.Begun, next.Canary.InFlight, next.Canary.TellsBegun = 10, 1000, true
	if s := Default().after(State{}, 60, next); s.canary.Cancelled != 0 || s.unanswered != (unanswered{}) {
		t.Errorf("%d are cancelled", s.canary.Cancelled)
	}
}
