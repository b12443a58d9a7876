package judge

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/headgate/headgate/test/bench/judge/traffic"
)

// simulated is the median time of rollouts by step: each ends when the judge says Advance, and not before its least time.
func simulated(j Judge, of Traffic, weights []int32, least []time.Duration) []time.Duration {
	const second = 2 // a tick lasts so long, because nothing hangs on less
	runs := shrink(40)
	times := make([][]time.Duration, len(weights))
	for run := range uint64(runs) {
		r := traffic.Rand(40, run)
		s := State{}
		for i, weight := range weights {
			j.Shares = append(slices.Clone(weights[i+1:]), allParts)
			s = j.NextStep(s)
			for seconds := second; ; seconds += second {
				t := Tick{Elapsed: second * time.Second, Fresh: true}
				for _, c := range []struct {
					of    *Counts
					share float64
				}{{&t.Canary, float64(weight) / allParts}, {&t.Stable, 1 - float64(weight)/allParts}} {
					calls := second * of.CallsPerSecond * c.share
					c.of.Errors = traffic.Poisson(r, calls*of.ErrorRate)
					c.of.Calls = c.of.Errors + traffic.Poisson(r, calls*(1-of.ErrorRate))
				}
				s = j.Update(s, t)
				took := time.Duration(seconds) * time.Second
				if took >= least[i] && j.Decide(s).Decision == Advance || took > 24*time.Hour {
					times[i] = append(times[i], took)
					break
				}
			}
		}
	}
	medians := make([]time.Duration, len(weights))
	for i, list := range times {
		slices.Sort(list)
		medians[i] = list[len(list)/2]
	}
	return medians
}

func TestThePlanIsWhatRolloutsTake(t *testing.T) {
	for name, c := range map[string]struct {
		traffic Traffic
		weights []int32
		least   time.Duration
	}{
		"100 calls/s, one step":                {Traffic{CallsPerSecond: 100}, []int32{100_000}, 0},
		"100 calls/s, .1 % fail, one step":     {Traffic{CallsPerSecond: 100, ErrorRate: 0.001}, []int32{100_000}, 0},
		"100 calls/s, 1 % fail, one step":      {Traffic{CallsPerSecond: 100, ErrorRate: 0.01}, []int32{100_000}, 0},
		"10 calls/s, 1 % fail, half":           {Traffic{CallsPerSecond: 10, ErrorRate: 0.01}, []int32{500_000}, 0},
		"10 calls/s, 5 % fail, a fifth":        {Traffic{CallsPerSecond: 10, ErrorRate: 0.05}, []int32{200_000}, 0},
		"50 calls/s, .1 % fail, four steps":    {Traffic{CallsPerSecond: 50, ErrorRate: 0.001}, []int32{10_000, 50_000, 200_000, 500_000}, 0},
		"1 call/s, .5 % fail, three steps":     {Traffic{CallsPerSecond: 1, ErrorRate: 0.005}, []int32{50_000, 200_000, 500_000}, 0},
		"1000 calls/s, steps of a minute each": {Traffic{CallsPerSecond: 1000, ErrorRate: 0.001}, []int32{10_000, 100_000, 500_000}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := onlyErrors()
			least := slices.Repeat([]time.Duration{c.least}, len(c.weights))
			plan, took := j.Plan(c.traffic, c.weights, least), simulated(j, c.traffic, c.weights, least)
			var planned, taken time.Duration
			for i := range plan {
				planned, taken = planned+plan[i], taken+took[i]
			}
			if factor := float64(planned) / float64(taken); factor > 1.6 || factor < 1/1.6 {
				t.Errorf("planned are %v (%s), half of the rollouts take %v (%s)", plan, planned, took, taken)
			}
		})
	}
}

func TestAPlanOfNoTrafficNeverEnds(t *testing.T) {
	j := Default()
	for name, plan := range map[string][]time.Duration{
		"no calls":          j.Plan(Traffic{}, []int32{100_000}, []time.Duration{0}),
		"none of canary":    j.Plan(Traffic{CallsPerSecond: 10}, []int32{0}, []time.Duration{0}),
		"none of stable":    j.Plan(Traffic{CallsPerSecond: 10}, []int32{allParts}, []time.Duration{0}),
		"nothing is proved": Judge{}.Plan(Traffic{CallsPerSecond: 10}, []int32{100_000}, []time.Duration{0}),
	} {
		if plan[0] != Infinity {
			t.Errorf("%s: %s", name, plan[0])
		}
	}
	if plan := j.Plan(Traffic{CallsPerSecond: 1e6}, []int32{100_000, 500_000}, []time.Duration{time.Minute, time.Hour}); plan[0] != time.Minute || plan[1] != time.Hour {
		t.Errorf("what has to last longer takes %v", plan)
	}
	if plan := j.Plan(Traffic{CallsPerSecond: 1e-12}, []int32{100_000}, []time.Duration{0}); plan[0] <= 0 {
		t.Errorf("a call each thirty thousand years: %v", plan)
	}
}

func TestRemainingGoesToZero(t *testing.T) {
	j := onlyErrors()
	of := Traffic{CallsPerSecond: 100, ErrorRate: 0.001}
	s, next := State{}, random(41, 1, 10, 90, 0.001, 0.001)
	first := j.Remaining(j.Decide(s), of, 100_000)
	whole := j.Plan(of, []int32{100_000}, []time.Duration{0})[0]
	if ratio := float64(first) / float64(whole); math.Abs(math.Log(ratio)) > math.Log(1.6) {
		t.Errorf("at the start %s remain, planned are %s", first, whole)
	}
	half := time.Duration(0)
	at := 0
	for ; j.Decide(s).Decision != Advance && at < 3600; at++ {
		if s = j.Update(s, next(at)); at == int(whole/time.Second)/2 {
			half = j.Remaining(j.Decide(s), of, 100_000)
		}
	}
	if left := j.Remaining(j.Decide(s), of, 100_000); left != 0 {
		t.Errorf("%s remain after %d s: %+v", left, at, j.Decide(s))
	}
	if half <= 0 || half >= first {
		t.Errorf("%s remain at the start, %s after half of the plan", first, half)
	}
	if left := j.Remaining(j.Decide(State{}), Traffic{}, 100_000); left != Infinity {
		t.Errorf("without calls %s remain", left)
	}
	if left := (Judge{}).Remaining(Verdict{}, of, 100_000); left != 0 {
		t.Errorf("of nothing %s remain", left)
	}
}
