package experiment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/bench/judge/service"
)

// All are the experiments, by group.
func All() []Experiment {
	return slices.Concat(timely(), withLatency(), clumps(), shared(), detection(), worse(), atTheMargin(), hanging(), outages(), streams(), latencies())
}

// healthy: nothing is rolled back but one in a hundred, and everything is promoted in time.
func healthy(median, p90 time.Duration) Want {
	return Want{Median: median, P90: p90, RolledBack: 0.01, Promoted: -1}
}

// unwanted: all is found, and nothing promoted.
func unwanted() Want { return Want{RolledBack: -1, Promoted: 0, Found: 0.99} }

func steady(calls, errors float64) service.Service {
	return service.Service{Calls: service.Steady(calls), Errors: service.Steady(errors)}
}

func (e Experiment) with(change func(*service.Service)) Experiment {
	change(&e.Service)
	return e
}

// goals are the times to promotion that are asked for.
var goals = []struct {
	calls  float64
	median time.Duration
}{{0.5, 2 * time.Hour}, {2, 30 * time.Minute}, {10, 10 * time.Minute}, {100, 5 * time.Minute}, {1000, 5 * time.Minute}}

func timely() []Experiment {
	var list []Experiment
	for _, g := range goals {
		for _, errors := range []float64{0, 0.001, 0.01, 0.05} {
			list = append(list, Experiment{
				Group: "a good version", Name: fmt.Sprintf("%g calls/s, %g %% errors", g.calls, 100*errors),
				Service: steady(g.calls, errors), Most: 6 * g.median, Want: healthy(g.median, 2*g.median),
			})
		}
	}
	return list
}

func withLatency() []Experiment {
	var list []Experiment
	for _, g := range goals {
		e := Experiment{
			Group: "a good version, with latency", Name: fmt.Sprintf("%g calls/s, 1 %% errors", g.calls),
			Service: steady(g.calls, 0.01), Spec: v1alpha1.Rollout{Analysis: &v1alpha1.Analysis{Latency: &v1alpha1.LatencyTolerance{}}},
			Most: 12 * g.median, Want: healthy(2*g.median, 4*g.median),
		}
		list = append(list, e.with(func(s *service.Service) { s.Latency = service.Bimodal.In(service.A66) }))
	}
	return list
}

// clumps are errors that are not independent: of one pod, of one moment.
func clumps() []Experiment {
	var list []Experiment
	for _, c := range []struct {
		name   string
		change func(*service.Service)
	}{
		{"in clusters of five", func(s *service.Service) { s.Cluster = 5 }},
		{"in blips of single pods, 1 s, half fail", func(s *service.Service) { s.Blip = service.Blip{Length: time.Second, Fails: 0.5} }},
		{"in blips of single pods, 3 s, half fail", func(s *service.Service) { s.Blip = service.Blip{Length: 3 * time.Second, Fails: 0.5} }},
		{"in blips of single pods, 10 s, a fifth fails", func(s *service.Service) { s.Blip = service.Blip{Length: 10 * time.Second, Fails: 0.2} }},
		{"pods differ for good, cv 0.6", func(s *service.Service) { s.Differ = 0.6 }},
		{"the canary's counts 10 s late, outages of both", func(s *service.Service) {
			s.Late, s.Outages = 10*time.Second, service.Outages{Every: 15 * time.Minute, Length: 30 * time.Second, Fails: 0.5}
		}},
		{"new pods fail 10 % in their first 2 s", func(s *service.Service) { s.ColdFor, s.ColdErrors = 2*time.Second, 0.1 }},
	} {
		for _, at := range []struct{ calls, errors float64 }{{10, 0.001}, {10, 0.01}, {100, 0.0002}, {100, 0.001}, {100, 0.005}, {100, 0.01}, {1000, 0.001}, {1000, 0.01}} {
			e := Experiment{
				Group: "clumped errors", Name: fmt.Sprintf("%s; %g calls/s, %g %%", c.name, at.calls, 100*at.errors),
				Service: steady(at.calls, at.errors), Most: 3 * time.Hour, Want: healthy(0, 0),
			}
			list = append(list, e.with(c.change))
		}
	}
	return list
}

// shared is what both versions have alike.
func shared() []Experiment {
	var list []Experiment
	for _, c := range []struct {
		name   string
		change func(*service.Service)
	}{
		{"an outage of 50 % for 30 s each 15 min", func(s *service.Service) {
			s.Outages = service.Outages{Every: 15 * time.Minute, Length: 30 * time.Second, Fails: 0.5}
		}},
		{"5 % errors for 30 s each 5 min", func(s *service.Service) {
			s.Outages = service.Outages{Every: 5 * time.Minute, Length: 30 * time.Second, Fails: 0.05}
		}},
		{"load x0.1 to x1.9 within 2 h", func(s *service.Service) {
			mean := s.Calls(0)
			s.Calls = func(at time.Duration) float64 { return mean * (1 + 0.9*triangle(at, 2*time.Hour)) }
		}},
		{"error rate x0.2 to x10 within 20 min", func(s *service.Service) {
			mean := s.Errors(0)
			s.Errors = func(at time.Duration) float64 { return mean * (5.1 + 4.9*triangle(at, 20*time.Minute)) }
		}},
		{"the share that is served x0.3 to x3, another each minute", func(s *service.Service) {
			s.ServedShare = func(r *rand.Rand) float64 { return 0.3 + 2.7*r.Float64() }
		}},
		{"counted each 15 s", func(s *service.Service) { s.Batch = 15 * time.Second }},
		{"3 % of the calls of both versions are given up", func(s *service.Service) { s.HangsBoth, s.Deadline = 0.03, 2*time.Second }},
	} {
		for _, at := range []struct{ calls, errors float64 }{{10, 0.001}, {100, 0.01}, {1000, 0.001}} {
			e := Experiment{
				Group: "what both versions share", Name: fmt.Sprintf("%s; %g calls/s, %g %%", c.name, at.calls, 100*at.errors),
				Service: steady(at.calls, at.errors), Most: 3 * time.Hour, Want: healthy(0, 0),
			}
			list = append(list, e.with(c.change))
		}
	}
	return list
}

// triangle goes from -1 to 1 and back.
func triangle(at, period time.Duration) float64 {
	part := float64(at%period) / float64(period)
	if part < 0.5 {
		return 4*part - 1
	}
	return 3 - 4*part
}

// detection is at one share of the calls that does not change.
func detection() []Experiment {
	long := v1alpha1.LongDuration("240h")
	var list []Experiment
	for _, c := range []struct{ errors, calls, failed float64 }{{0.005, 6000, 0}, {0.01, 1400, 0}, {0.05, 300, 0}, {1, 0, 100}} {
		want := unwanted()
		want.FoundCalls, want.Failed = c.calls, c.failed
		e := Experiment{
			Group: "a worse version has a tenth of 100 calls/s", Name: fmt.Sprintf("0.1 -> %g %% errors", 100*c.errors),
			Service: steady(100, 0.001), Spec: v1alpha1.Rollout{Steps: []v1alpha1.RolloutStep{{Weight: intstr.FromInt(10), Hold: &long}}},
			Most: 2 * time.Hour, Want: want,
		}
		list = append(list, e.with(func(s *service.Service) { s.Worse = service.Steady(c.errors - 0.001) }))
	}
	return list
}

// worse versions go through whole rollouts. Up to what is proved they may be promoted.
func worse() []Experiment {
	var list []Experiment
	for _, calls := range []float64{2, 10, 100, 1000} {
		for _, errors := range []float64{0.002, 0.005, 0.01, 0.05, 1} {
			want := unwanted()
			if errors < 0.007 {
				want = Want{RolledBack: -1, Promoted: -1}
			}
			e := Experiment{
				Group: "a worse version", Name: fmt.Sprintf("0.1 -> %g %% errors, %g calls/s", 100*errors, calls),
				Service: steady(calls, 0.001), Most: 6 * time.Hour, Want: want,
			}
			list = append(list, e.with(func(s *service.Service) { s.Worse = service.Steady(errors - 0.001) }))
		}
	}
	return list
}

// atTheMargin is a version that fails twice as often as stable and half a percentage point more: what is proved not to be promoted.
func atTheMargin() []Experiment {
	var list []Experiment
	for _, calls := range []float64{2, 10, 100, 1000} {
		for _, errors := range []float64{0, 0.01, 0.05} {
			e := Experiment{
				Group: "a version at the margin of what is proved", Name: fmt.Sprintf("%g -> %g %% errors, %g calls/s", 100*errors, 200*errors+0.5, calls),
				Service: steady(calls, errors), Most: 6 * time.Hour, Want: Want{RolledBack: -1, Promoted: 0.05},
			}
			list = append(list, e.with(func(s *service.Service) { s.Worse = service.Steady(errors + 0.005) }))
		}
	}
	return list
}

// hanging canaries answer some calls never, and Envoy counts those neither as success nor as error.
func hanging() []Experiment {
	var list []Experiment
	for _, share := range []float64{0.05, 0.2, 0.5, 1} {
		e := Experiment{
			Group: "a version that hangs", Name: fmt.Sprintf("%g %% of its calls until a deadline of 2 s, 100 calls/s", 100*share),
			Service: steady(100, 0.001), Most: time.Hour, Want: unwanted(),
		}
		e.Want.Failed = 100
		list = append(list, e.with(func(s *service.Service) { s.Hangs, s.Deadline = share, 2*time.Second }))
		if share < 0.2 {
			continue
		}
		e.Name = fmt.Sprintf("%g %% of its calls, without a deadline, 100 calls/s", 100*share)
		e.Want = Want{RolledBack: -1, Promoted: 0.01, Found: 0.9}
		list = append(list, e.with(func(s *service.Service) { s.Hangs, s.Deadline = share, 0 }))
	}
	return list
}

// outages come to both, and a worse version hides behind them.
func outages() []Experiment {
	var list []Experiment
	for _, calls := range []float64{10, 100} {
		for _, o := range []service.Outages{
			{Every: 20 * time.Second, Length: 5 * time.Second, Fails: 0.9},
			{Every: time.Minute, Length: 5 * time.Second, Fails: 0.5},
			{Every: 15 * time.Minute, Length: 30 * time.Second, Fails: 0.5},
		} {
			e := Experiment{
				Group:   "a worse version beside outages of both",
				Name:    fmt.Sprintf("0.1 -> 2 %%, %g calls/s; %g %% fail for %s each %s", calls, 100*o.Fails, o.Length, o.Every),
				Service: steady(calls, 0.001), Most: 3 * time.Hour, Want: Want{RolledBack: -1, Promoted: 0},
			}
			list = append(list, e.with(func(s *service.Service) { s.Worse, s.Outages = service.Steady(0.019), o }))
		}
	}
	mends := Experiment{
		Group: "a version that mends stable", Name: "15 -> 0 %, 100 calls/s", Service: steady(100, 0.15), Most: 3 * time.Hour,
		Want: Want{RolledBack: 0, Promoted: -1, Median: 30 * time.Minute},
	}
	return append(list, mends.with(func(s *service.Service) { s.Worse = service.Steady(-0.15) }))
}

// streams last longer than any rollout. What is known of them is how many begin and how many break.
func streams() []Experiment {
	var list []Experiment
	for _, errors := range []float64{0.001, 0.05} {
		want := healthy(10*time.Minute, 0)
		if errors > 0.01 {
			want = unwanted()
		}
		e := Experiment{
			Group: "streams", Name: fmt.Sprintf("100 begin in a second; 0.1 -> %g %% break", 100*errors),
			Service: steady(100, 0.001), Most: time.Hour, Want: want,
		}
		list = append(list, e.with(func(s *service.Service) { s.Streams, s.Worse = true, service.Steady(errors-0.001) }))
	}
	return list
}

func latencies() []Experiment {
	spec := v1alpha1.Rollout{Analysis: &v1alpha1.Analysis{Latency: &v1alpha1.LatencyTolerance{}}}
	usual := service.Bimodal.In(service.A66)
	var list []Experiment
	for _, calls := range []float64{100, 1000} {
		stalls := Experiment{
			Group: "latencies", Name: fmt.Sprintf("single pods stall for 5 s each 10 min, x10; %g calls/s", calls),
			Service: steady(calls, 0.001), Spec: spec, Most: 3 * time.Hour, Want: healthy(0, 0),
		}
		list = append(list, stalls.with(func(s *service.Service) {
			s.Latency, s.Stall = usual, service.Stall{Every: 10 * time.Minute, Length: 5 * time.Second, Times: 10}
		}))
		for _, slower := range []float64{1.03, 1.2, 1.5} {
			want := unwanted()
			if slower < 1.05 {
				want = Want{RolledBack: 0.01, Promoted: -1}
			}
			e := Experiment{
				Group: "latencies", Name: fmt.Sprintf("%.0f %% slower, 5 %% tolerated; %g calls/s", 100*(slower-1), calls),
				Service: steady(calls, 0.001), Spec: spec, Most: 3 * time.Hour, Want: want,
			}
			list = append(list, e.with(func(s *service.Service) {
				s.Latency, s.Slower = usual, service.Bimodal.Slower(slower, 1).In(service.A66)
			}))
		}
	}
	return list
}
