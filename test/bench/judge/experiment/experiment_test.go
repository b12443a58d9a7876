package experiment

import (
	"testing"
	"time"

	"github.com/headgate/headgate/test/bench/judge/ship"
)

// runsOf is how often an experiment is made here: often where a rollout takes minutes, and a few times where it takes hours.
// `make bench-judge` makes more.
func runsOf(e Experiment) int {
	switch {
	case testing.Short():
		return 2
	case e.Service.Latency != nil || e.Most > 6*time.Hour || e.Service.Calls(0) < 5:
		return 5
	}
	return 12
}

func TestRolloutsComeOutAsWanted(t *testing.T) {
	for _, e := range All() {
		t.Run(e.Group+": "+e.Name, func(t *testing.T) {
			for _, miss := range e.Misses(e.Headgate(runsOf(e))) {
				t.Error(miss)
			}
		})
	}
}

// Without an experiment that somebody fails, one that nobody fails says little.
func TestTheRulesOfOthersFail(t *testing.T) {
	for _, c := range []struct {
		name string
		by   ship.Controller
	}{{"Flagger", ship.Flagger}, {"Argo Rollouts", ship.Argo}} {
		missed := map[string]int{}
		for _, e := range All() {
			if e.Service.Latency == nil && len(e.Misses(e.Run(c.by, 5))) > 0 {
				missed[e.Group]++
			}
		}
		for _, group := range []string{"a version that hangs", "a worse version", "a version at the margin of what is proved"} {
			if missed[group] == 0 {
				t.Errorf("%s fails none of: %s", c.name, group)
			}
		}
	}
}
