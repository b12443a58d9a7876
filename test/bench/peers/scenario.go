package main

import (
	"slices"
	"strings"
	"time"
)

// accident is what happens to the machinery while a version is shipped; the empty one is none.
type accident string

const (
	// metricsNever: Prometheus is down from before the new version until the end.
	metricsNever accident = "metrics never"
	// metricsLost: Prometheus goes down for good when the canary has got its first call.
	metricsLost accident = "metrics lost"
	// killed: the process of the controller gets a SIGKILL when the canary has got its first call.
	killed accident = "killed"
)

// scenario is a version that is shipped, under load, with an accident or without.
type scenario struct {
	name, title string
	// rate is in calls per second; 0: nobody calls.
	rate float64
	// stable and canary are the shares of calls that the two versions fail with INTERNAL.
	stable, canary float64
	accident       accident
	// services is how many are shipped at the same time, each a run; 0: as many as there are runs.
	services int
	// replicas are each service's pods.
	replicas int
	// watch bounds the time for a verdict. After it the version counts as held.
	watch time.Duration
}

// stage is scenarios that are played at the same time, because together they are little load.
type stage []scenario

// isCalm: nobody but the tool does anything before the new version is shipped, and little afterwards.
func (s stage) isCalm() bool {
	return slices.ContainsFunc(s, func(one scenario) bool { return one.rate == 0 })
}

func (s stage) String() string {
	var titles []string
	for _, one := range s {
		titles = append(titles, one.title)
	}
	return strings.Join(titles, "; ")
}

// Ten runs each say how often a thing of chance happens; they are little load, so that they go at the same time.
const chances = 10

func stages() []stage {
	const (
		busy, some, few = 200, 50, 2
		pair            = 2
	)
	return []stage{
		{
			{name: "background-05", title: "healthy, 0.5 % errors in both versions, 2 calls/s", rate: few, stable: .005, canary: .005, services: chances, replicas: 1, watch: 3 * time.Minute},
			{name: "background-1", title: "healthy, 1 % errors in both versions, 2 calls/s", rate: few, stable: .01, canary: .01, services: chances, replicas: 1, watch: 3 * time.Minute},
			{name: "silence", title: "healthy, no calls at all", replicas: 1, watch: 3 * time.Minute},
		},
		{{name: "errors-5", title: "5 % errors in the new version, 200 calls/s", rate: busy, canary: .05, replicas: pair, watch: 3 * time.Minute}},
		{{name: "errors-100", title: "100 % errors in the new version, 200 calls/s", rate: busy, canary: 1, replicas: pair, watch: 3 * time.Minute}},
		{{name: "healthy", title: "healthy, 200 calls/s", rate: busy, replicas: pair, watch: 6 * time.Minute}},
		{{name: "metrics-never", title: "healthy, no Prometheus, 50 calls/s", rate: some, accident: metricsNever, replicas: pair, watch: 2 * time.Minute}},
		{{name: "metrics-lost", title: "healthy, Prometheus lost on the way, 50 calls/s", rate: some, accident: metricsLost, replicas: pair, watch: 2 * time.Minute}},
		{{name: "killed", title: "100 % errors, 50 calls/s, controller killed with SIGKILL", rate: some, canary: 1, accident: killed, replicas: pair, watch: 3 * time.Minute}},
	}
}

// named are the stages with nothing but the scenarios that the flag names.
func named(names string) ([]stage, error) {
	var all []scenario
	for _, stage := range stages() {
		all = append(all, stage...)
	}
	picked, err := chosen("scenarios", names, all, func(s scenario) string { return s.name })
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, s := range picked {
		want[s.name] = true
	}
	var out []stage
	for _, full := range stages() {
		var left stage
		for _, s := range full {
			if want[s.name] {
				left = append(left, s)
			}
		}
		if len(left) > 0 {
			out = append(out, left)
		}
	}
	return out, nil
}
