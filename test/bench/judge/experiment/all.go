package experiment

import (
	"fmt"
	"slices"
	"time"

	"github.com/headgate/headgate/rollout/judge"
)

// The judges of the experiments: one family each, so that each is measured at its full alpha, and all together.
func errorsAt(alpha float64) judge.Judge {
	j := judge.Default()
	j.Alpha, j.Latency = alpha, nil
	return j
}

func slowdown(tolerated float64) judge.Judge {
	j := judge.Default()
	j.Errors, j.Latency = nil, &judge.Latency{Slowdown: tolerated}
	return j
}

func provingSlowdown(tolerated float64) judge.Judge {
	j := slowdown(tolerated)
	j.Latency.Slow = judge.Default().Latency.Slow
	return j
}

func advanceBy(difference float64) judge.Judge {
	j := errorsAt(0.01)
	j.Errors.AdvanceDifference = difference
	return j
}

func maxErrorRate(rate float64) judge.Judge {
	j := errorsAt(0.01)
	j.Errors, j.MaxErrorRate = nil, rate
	return j
}

const (
	percent = 0.01
	tick    = 10 * time.Second
)

// failing is a rollout of an hour with ticks of 10 s, constant calls a second, and error rates.
func failing(canary, stable, canaryErrors, stableErrors float64) Rollout {
	return Rollout{
		Length: time.Hour, Tick: tick,
		Canary: Steady(canary), Stable: Steady(stable),
		CanaryErrors: Steady(canaryErrors), StableErrors: Steady(stableErrors),
	}
}

// slow is a rollout at 10/90 calls a second without errors, with latencies.
func slow(canary, stable Latencies) Rollout {
	r := failing(10, 90, 0, 0)
	r.CanaryLatency, r.StableLatency = canary, stable
	return r
}

func (r Rollout) lasting(length time.Duration) Rollout {
	r.Length = length
	return r
}

// All are the experiments of the study, section 5.
func All() []Experiment {
	return slices.Concat(falseAlarms(), falseLatencyAlarms(), detection(), slowDetection(), advancing())
}

func falseAlarms() []Experiment {
	incident := func(at time.Duration) float64 {
		if at >= 20*time.Minute && at < 25*time.Minute {
			return 2 * percent
		}
		return 0.1 * percent
	}
	common := failing(10, 90, 0, 0)
	common.CanaryErrors, common.StableErrors = incident, incident
	steps := failing(0, 0, 0.1*percent, 0.1*percent)
	share := func(at time.Duration) float64 { return []float64{0.05, 0.1, 0.25, 0.5}[int(at/(15*time.Minute))] }
	steps.Canary = func(at time.Duration) float64 { return 100 * share(at) }
	steps.Stable = func(at time.Duration) float64 { return 100 * (1 - share(at)) }

	onePercent := Want{False: true, Share: 0.01}
	list := []Experiment{
		{ID: "A1", Name: "alike, .1 %, 100/900 rps", Rollout: failing(100, 900, 0.1*percent, 0.1*percent), Runs: 1000, Want: onePercent},
		{ID: "A1", Name: "alike, .1 %, 10/90 rps", Rollout: failing(10, 90, 0.1*percent, 0.1*percent), Runs: 1000, Want: onePercent},
		{ID: "A1", Name: "alike, .1 %, 1/9 rps", Rollout: failing(1, 9, 0.1*percent, 0.1*percent), Runs: 1000, Want: onePercent},
		{ID: "A1", Name: "alike, 1 %, 1/9 rps", Rollout: failing(1, 9, percent, percent), Runs: 1000, Want: onePercent},
		{ID: "A1", Name: "alike, 1 %, 10/90 rps", Rollout: failing(10, 90, percent, percent), Runs: 1000, Want: onePercent},
		{ID: "A1", Name: "alike, .1 %, .1/.9 rps", Rollout: failing(0.1, 0.9, 0.1*percent, 0.1*percent), Runs: 1000, Want: onePercent},
		{ID: "A1", Name: "alike, .1 %, 50/50 rps", Rollout: failing(50, 50, 0.1*percent, 0.1*percent), Runs: 1000, Want: onePercent},
		{ID: "A5", Name: "both arms x20 for 5 min", Rollout: common, Runs: 1000, Want: onePercent},
		{ID: "A7", Name: "alike, shares 5-10-25-50 %", Rollout: steps, Runs: 1000, Want: onePercent},
		{ID: "N1", Name: ".1 % and .13 %, 10/90 rps", Rollout: failing(10, 90, 0.13*percent, 0.1*percent), Runs: 300, Want: onePercent},
		{ID: "S1", Name: "max error rate 1 %, at it", Judge: maxErrorRate(percent), Rollout: failing(10, 90, percent, percent), Runs: 300, Want: onePercent},
	}
	for _, size := range []float64{2, 3, 5, 10} {
		clusters := failing(10, 90, 0.1*percent, 0.1*percent)
		clusters.Cluster = size
		list = append(list, Experiment{
			ID: "A4", Name: fmt.Sprintf("alike, .1 %% in clusters of %v", size), Rollout: clusters, Runs: 1000, Want: onePercent,
		})
	}
	for _, perSecond := range []float64{0.01, 0.02, 0.05} {
		list = append(list, Experiment{
			ID: "A6", Name: fmt.Sprintf("no errors, %.2f/%.2f rps", perSecond, 9*perSecond),
			Rollout: failing(perSecond, 9*perSecond, 0, 0), Runs: 300, Want: Want{False: true},
		})
	}
	for _, split := range []float64{10, 50} {
		for _, rate := range []float64{0.02, 0.1, 1, 10} {
			list = append(list, Experiment{
				ID: "A2", Name: fmt.Sprintf("at the margin, 6 h, %v %%, %v/%v rps, alpha 5 %%", rate, split, 100-split), Judge: errorsAt(0.05),
				Rollout: failing(split, 100-split, 1.5*rate*percent+0.0005, rate*percent).lasting(6 * time.Hour),
				Runs:    200, Want: Want{False: true, Share: 0.05},
			})
		}
	}
	return judgedBy(errorsAt(0.01), list)
}

func falseLatencyAlarms() []Experiment {
	ramp := func(at time.Duration) float64 { return 1 + 2*at.Hours() }
	a66 := Bimodal.In(A66)
	drifting := slow(Bimodal.Drifting(A66, ramp), Bimodal.Drifting(A66, ramp))
	stale := slow(a66, a66)
	stale.Window = Bimodal.Slower(3, 1).In(A66)
	onePercent := Want{False: true, Share: 0.01}
	return []Experiment{
		{ID: "A3", Name: "alike, DefBuckets", Judge: slowdown(0), Rollout: slow(Unimodal.In(DefBuckets), Unimodal.In(DefBuckets)), Runs: 300, Want: onePercent},
		{ID: "A3", Name: "alike, A66", Judge: slowdown(0), Rollout: slow(a66, a66), Runs: 300, Want: onePercent},
		{ID: "A3", Name: "alike, native buckets", Judge: slowdown(0), Rollout: slow(Unimodal.In(Native), Unimodal.In(Native)), Runs: 300, Want: onePercent},
		{ID: "A3", Name: "alike, A66, tolerating 5 %", Judge: slowdown(0.05), Rollout: slow(a66, a66), Runs: 300, Want: onePercent},
		{ID: "A3", Name: "alike, both x1..x3 in the hour", Judge: slowdown(0), Rollout: drifting, Runs: 300, Want: onePercent},
		{ID: "A3", Name: "alike, window of other times", Judge: slowdown(0.05), Rollout: stale, Runs: 300, Want: onePercent},
		{ID: "N1", Name: "3 % slower, tolerating 5 %", Judge: slowdown(0.05), Rollout: slow(Bimodal.Slower(1.03, 1).In(A66), a66), Runs: 200, Want: onePercent},
		{ID: "N1", Name: "5 % slower, tolerating 5 %", Judge: slowdown(0.05), Rollout: slow(Bimodal.Slower(1.05, 1).In(A66), a66), Runs: 200, Want: onePercent},
	}
}

func detection() []Experiment {
	quick := func(r Rollout) Rollout { r.Tick = 5 * time.Second; return r }
	late := failing(10, 90, 0, 0.1*percent).lasting(2 * time.Hour)
	late.CanaryErrors = From(30*time.Minute, 0.1*percent, percent)
	return judgedBy(errorsAt(0.01), []Experiment{
		{ID: "D1", Name: ".1 -> .5 %, 10/90 rps", Rollout: failing(10, 90, 0.5*percent, 0.1*percent), Runs: 200, Want: Want{Calls: 6000}},
		{ID: "D1", Name: ".1 -> 1 %, 10/90 rps", Rollout: failing(10, 90, percent, 0.1*percent), Runs: 300, Want: Want{Calls: 1400}},
		{ID: "D1", Name: ".1 -> 5 %, 10/90 rps", Rollout: failing(10, 90, 5*percent, 0.1*percent), Runs: 300, Want: Want{Calls: 300}},
		{ID: "D1", Name: ".1 -> 100 %, 10/90 rps", Rollout: failing(10, 90, 1, 0.1*percent), Runs: 300, Want: Want{Time: 20 * time.Second}},
		{ID: "D2", Name: ".1 -> .5 %, 1/9 rps", Rollout: failing(1, 9, 0.5*percent, 0.1*percent).lasting(6 * time.Hour), Runs: 200, Want: Want{Calls: 6000}},
		{ID: "D2", Name: ".1 -> 1 %, 1/9 rps", Rollout: failing(1, 9, percent, 0.1*percent).lasting(6 * time.Hour), Runs: 300, Want: Want{Calls: 1200}},
		{ID: "D2", Name: ".1 -> 5 %, 1/9 rps", Rollout: failing(1, 9, 5*percent, 0.1*percent), Runs: 300, Want: Want{Calls: 150}},
		{ID: "D3", Name: ".1 -> 1 %, 100/900 rps, ticks of 5 s", Rollout: quick(failing(100, 900, percent, 0.1*percent)), Runs: 300, Want: Want{Time: 30 * time.Second}},
		{ID: "D3", Name: ".1 -> 5 %, 100/900 rps, ticks of 5 s", Rollout: quick(failing(100, 900, 5*percent, 0.1*percent)), Runs: 300, Want: Want{Time: 15 * time.Second}},
		{ID: "D4", Name: ".1 -> 1 % after 30 min, 10/90 rps", Rollout: late, Onset: 30 * time.Minute, Runs: 200, Want: Want{Calls: 2200}},
		{ID: "S1", Name: "max error rate 1 %, 3 %, 10/90 rps", Judge: maxErrorRate(percent), Rollout: failing(10, 90, 3*percent, 3*percent), Runs: 200, Want: Want{Calls: 1200}},
	})
}

func slowDetection() []Experiment {
	a66 := Bimodal.In(A66)
	slower := func(by float64) Rollout { return slow(Bimodal.Slower(by, 1).In(A66), a66) }
	few := slower(1.5)
	few.Canary, few.Stable = Steady(1), Steady(9)
	both := slower(1.15)
	both.CanaryErrors, both.StableErrors = Steady(0.3*percent), Steady(0.1*percent)
	list := []Experiment{
		{ID: "D5", Name: "10 % slower, A66, 10/90 rps", Rollout: slower(1.1), Runs: 100, Want: Want{Calls: 6000}},
		{ID: "D5", Name: "20 % slower, A66, 10/90 rps", Rollout: slower(1.2), Runs: 200, Want: Want{Calls: 1000}},
		{ID: "D5", Name: "50 % slower, A66, 10/90 rps", Rollout: slower(1.5), Runs: 200, Want: Want{Calls: 300}},
		{ID: "D5", Name: "50 % slower, A66, 1/9 rps", Rollout: few, Runs: 200, Want: Want{Calls: 200}},
		{ID: "D6", Name: "2 % of calls x10, A66, 10/90 rps", Rollout: slow(Bimodal.Slower(10, 0.02).In(A66), a66), Runs: 60, Want: Want{Found: 0.95}},
		{ID: "C1", Name: "all tests: 20 % slower", Judge: judge.Default(), Rollout: slower(1.2), Runs: 200, Want: Want{Calls: 1000}},
		{ID: "C1", Name: "all tests: 15 % slower, .1 -> .3 %", Judge: judge.Default(), Rollout: both, Runs: 100, Want: Want{Calls: 2000}},
	}
	return judgedBy(slowdown(0.05), list)
}

func advancing() []Experiment {
	list := []Experiment{
		{Name: "no errors, D .1 %", Judge: advanceBy(0.1 * percent), Rollout: failing(10, 90, 0, 0), Runs: 20, Want: Want{Calls: 3600}},
		{Name: "no errors, D .5 %", Judge: advanceBy(0.5 * percent), Rollout: failing(10, 90, 0, 0), Runs: 20, Want: Want{Calls: 800}},
		{Name: ".1 % in both, D .5 %", Judge: advanceBy(0.5 * percent), Rollout: failing(10, 90, 0.1*percent, 0.1*percent), Runs: 200, Want: Want{Calls: 3000}},
		{Name: "1 -> 1.7 %, D .5 %", Judge: advanceBy(0.5 * percent), Rollout: failing(10, 90, 1.7*percent, percent).lasting(6 * time.Hour), Runs: 60, Want: Want{Found: 0.9}},
		{Name: "all gates, .1 % in both", Judge: judge.Default(), Rollout: alike(), Runs: 60, Want: Want{Calls: 4000}},
	}
	for _, buckets := range []struct {
		name   string
		bounds []float64
	}{{"A66", A66}, {"native buckets", Native}} {
		slower := func(by float64) Rollout {
			return quick(regular.Slower(by, 1).In(buckets.bounds), regular.In(buckets.bounds))
		}
		list = append(list,
			Experiment{Name: "5 % slower, tolerating 10 %, " + buckets.name, Judge: provingSlowdown(0.1), Rollout: slower(1.05), Runs: 60, Want: Want{Calls: 15000}},
			Experiment{Name: "10 % slower, tolerating 10 %, " + buckets.name, Judge: provingSlowdown(0.1), Rollout: slower(1.1), Runs: 100, Want: Want{False: true, Share: 0.05}},
		)
	}
	for _, rate := range []float64{0.01, 0.1, 1} {
		for _, difference := range []float64{0.1, 0.5} {
			list = append(list, Experiment{
				Name: fmt.Sprintf("at the margin, %v %%, D %v %%", rate, difference), Judge: advanceBy(difference * percent),
				Rollout: failing(10, 90, (1.5*rate+difference)*percent, rate*percent), Runs: 300, Want: Want{False: true, Share: 0.05},
			})
			// What rolls back must not stand in the way of what is measured.
			list[len(list)-1].Judge.Errors.Difference = 1
		}
	}
	for i := range list {
		list[i].ID, list[i].Decision = "F1", judge.Advance
	}
	return list
}

// regular are latencies that are spread less than those of the study.
var regular = LogNormal(0.04, 0.4)

// quick is a rollout of ten minutes at 100/100 calls a second, which learns stable's latencies as it goes.
func quick(canary, stable Latencies) Rollout {
	r := slow(canary, stable).lasting(10 * time.Minute)
	r.Canary, r.Stable, r.Tick = Steady(100), Steady(100), time.Second
	r.Window = func(time.Duration) ([]time.Duration, []float64) { return nil, nil }
	return r
}

func alike() Rollout {
	r := slow(Bimodal.In(A66), Bimodal.In(A66))
	r.CanaryErrors, r.StableErrors = Steady(0.1*percent), Steady(0.1*percent)
	return r
}

// judgedBy gives j to the experiments that have no judge of their own.
func judgedBy(j judge.Judge, list []Experiment) []Experiment {
	for i := range list {
		if list[i].Judge == (judge.Judge{}) {
			list[i].Judge = j
		}
	}
	return list
}
