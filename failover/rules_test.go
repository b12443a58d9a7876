package failover

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// rule is a history, and what it must come to.
type rule struct {
	backends []string
	do       func(*scene)
	// weights above zero in the end, fallback if it matters, and the reasons of all decisions.
	weights            string
	fallback, settling string
	reasons            string
}

func checkRules(t *testing.T, rules map[string]rule) {
	t.Helper()
	for name, r := range rules {
		t.Run(name, func(t *testing.T) {
			if r.backends == nil {
				r.backends = []string{"primary", "backup"}
			}
			s := newScene(t, r.backends...)
			r.do(s)
			if got := s.shares(); got != r.weights {
				t.Errorf("weights: %s\nwant:    %s", got, r.weights)
			}
			if got := s.status.Traffic.Fallback; r.fallback != "" && got != r.fallback {
				t.Errorf("fallback %s, want %s", got, r.fallback)
			}
			if got := s.status.Traffic.Settling; r.fallback != "" && got != r.settling {
				t.Errorf("settling %q, want %q", got, r.settling)
			}
			if got := s.reasons(); got != r.reasons {
				t.Errorf("decisions: %s\nwant:      %s", got, r.reasons)
			}
		})
	}
}

var three = []string{"primary", "backup", "elsewhere"}

func (s *scene) unseen(name string) { s.actors[name].unknown = "nobody looked" }
func (s *scene) outside(name string) {
	s.actors[name].uncountable = true
}

// recovered lets the primary be down for a moment and brings it to the start of its ramp.
func (s *scene) recovered() {
	s.look()
	s.ready("primary", 0, 2)
	s.ready("primary", 2, 2)
	s.until(v1alpha1.DecisionHandingBack, time.Minute)
}

func TestFirstLook(t *testing.T) {
	checkRules(t, map[string]rule{
		"with everything unknown the first backend serves": {
			do: func(s *scene) {
				s.unseen("primary")
				s.unseen("backup")
				s.look()
			},
			weights: "primary 1000000", fallback: "backup", reasons: "Initial",
		},
		"what is unknown is not passed over for what is up": {
			do: func(s *scene) {
				s.unseen("primary")
				s.look()
				s.run(time.Hour)
			},
			weights: "primary 1000000", fallback: "backup", reasons: "Initial",
		},
		"a dead first backend is": {
			do: func(s *scene) {
				s.actors["primary"].ready = 0
				s.look()
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial",
		},
		"with everything dead the first backend serves": {
			do: func(s *scene) {
				s.actors["primary"].ready, s.actors["backup"].ready = 0, 0
				s.look()
			},
			weights: "primary 1000000", fallback: "backup", reasons: "Initial",
		},
		"with none up the one with the most ready endpoints serves": {
			do: func(s *scene) {
				s.minReady(100)
				s.actors["primary"].total, s.actors["backup"].ready, s.actors["backup"].total = 3, 3, 4
				s.look()
			},
			weights: "primary 1, backup 999999", reasons: "Initial",
		},
		"a pinned backend serves": {
			do: func(s *scene) {
				s.spec.Failover.Pin = "backup"
				s.look()
				s.run(time.Hour)
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial",
		},
		"a single backend serves, and has no fallback": {
			backends: []string{"only"},
			do: func(s *scene) {
				s.look()
				s.ready("only", 0, 2)
				s.ready("only", 2, 2)
				s.run(time.Hour)
			},
			weights: "only 1000000", reasons: "Initial",
		},
	})
}

func TestDownAtOnce(t *testing.T) {
	checkRules(t, map[string]rule{
		"without a ready endpoint": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
			},
			weights: "backup 1000000", reasons: "Initial > SwitchedToBackup",
		},
		"without any endpoint": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 0)
			},
			weights: "backup 1000000", reasons: "Initial > SwitchedToBackup",
		},
		"below minReadyPercent, and then it stays reachable": {
			do: func(s *scene) {
				s.minReady(50)
				s.look()
				s.ready("primary", 1, 3)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > SwitchedToBackup",
		},
		"not at minReadyPercent": {
			do: func(s *scene) {
				s.minReady(50)
				s.look()
				s.ready("primary", 1, 2)
			},
			weights: "primary 1000000", reasons: "Initial",
		},
		"not with one of very many, when any at all will do": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 1, 1000)
			},
			weights: "primary 1000000", reasons: "Initial",
		},
		"not outside the cluster, where nothing can be counted": {
			do: func(s *scene) {
				s.outside("primary")
				s.look()
				s.run(time.Hour)
			},
			weights: "primary 1000000", reasons: "Initial",
		},
		"outside the cluster when its calls fail": {
			do: func(s *scene) {
				s.outside("primary")
				s.maxErrors("5")
				s.fail("primary", 1)
				s.look()
				s.run(5 * time.Second)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > TryingBackup > SwitchedToBackup",
		},
		"not when calls fail and nobody asked": {
			do: func(s *scene) {
				s.fail("primary", 1)
				s.look()
				s.run(time.Hour)
			},
			weights: "primary 1000000", reasons: "Initial",
		},
		"by its calls even where its endpoints are unknown": {
			do: func(s *scene) {
				s.maxErrors("5")
				s.look()
				s.unseen("primary")
				s.fail("primary", 1)
				s.run(5 * time.Second)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > TryingBackup > SwitchedToBackup",
		},
	})
}

func TestUpAgain(t *testing.T) {
	checkRules(t, map[string]rule{
		"not before healthyFor, doubled by the one switch": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(time.Minute - time.Microsecond)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > SwitchedToBackup > NetChanged",
		},
		"after it": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(time.Minute)
			},
			weights: "primary 100000, backup 900000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack",
		},
		"an interruption starts it again": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(59 * time.Second)
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(59 * time.Second)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > SwitchedToBackup > NetChanged > NetChanged > NetChanged",
		},
		"without a switch it is not doubled": {
			do: func(s *scene) {
				s.look()
				s.ready("backup", 0, 2)
				s.ready("backup", 2, 2)
				s.run(30 * time.Second)
				s.ready("primary", 0, 2)
			},
			weights: "backup 1000000", reasons: "Initial > SwitchedToBackup",
		},
		"a clock that is put back starts it again": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(30 * time.Second)
				s.now = s.now.Add(-24 * time.Hour)
				s.run(59 * time.Second)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > SwitchedToBackup > NetChanged",
		},
		"and no longer than that": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(30 * time.Second)
				s.now = s.now.Add(-24 * time.Hour)
				s.look()
				s.run(time.Minute)
			},
			weights: "primary 100000, backup 900000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack",
		},
	})
}

func TestWhoServes(t *testing.T) {
	checkRules(t, map[string]rule{
		"the third when the first two are down": {
			backends: three,
			do: func(s *scene) {
				s.look()
				s.ready("backup", 0, 2)
				s.ready("primary", 0, 2)
				s.run(settleTime)
			},
			weights: "elsewhere 1000000", fallback: "primary",
			reasons: "Initial > NetChanged > SwitchedToBackup",
		},
		"the second again, by the ramp, when it is up before the first": {
			backends: three,
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("backup", 0, 2)
				s.ready("backup", 2, 2)
				s.run(10 * time.Minute)
			},
			weights: "backup 1000000", fallback: "elsewhere",
			reasons: "Initial > SwitchedToBackup > SwitchedToBackup > NetChanged > HandingBack > HandingBack > HandedBack",
		},
		"the first, in place of the second, when it comes up during its ramp": {
			backends: three,
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("backup", 0, 2)
				s.ready("backup", 2, 2)
				s.run(time.Second)
				s.ready("primary", 2, 2)
				s.run(2 * time.Minute)
			},
			weights: "primary 100000, elsewhere 900000", fallback: "backup",
			reasons: "Initial > SwitchedToBackup > SwitchedToBackup > NetChanged > NetChanged > HandingBack > HandingBack",
		},
		"whoever does, with none up, while it has a ready endpoint": {
			do: func(s *scene) {
				s.minReady(100)
				s.look()
				s.ready("backup", 4, 5)
				s.ready("primary", 1, 2)
			},
			weights: "primary 1000000", reasons: "Initial",
		},
		"the one with the most endpoints, with none up and none left": {
			backends: three,
			do: func(s *scene) {
				s.minReady(100)
				s.look()
				s.ready("backup", 1, 5)
				s.ready("elsewhere", 2, 5)
				s.ready("primary", 0, 2)
			},
			weights: "backup 1, elsewhere 999999", reasons: "Initial > NetChanged > NetChanged > NoBackendUp",
		},
		"whoever does, with all dead": {
			do: func(s *scene) {
				s.look()
				s.ready("backup", 0, 2)
				s.ready("primary", 0, 2)
				s.run(time.Hour)
			},
			weights: "primary 1000000", reasons: "Initial",
		},
		"whoever has the first ready endpoint after that": {
			do: func(s *scene) {
				s.look()
				s.ready("backup", 0, 2)
				s.ready("primary", 0, 2)
				s.ready("backup", 1, 2)
			},
			weights: "backup 1000000", reasons: "Initial > NoBackendUp",
		},
	})
}

func TestRamp(t *testing.T) {
	checkRules(t, map[string]rule{
		"each step lasts rampInterval": {
			do: func(s *scene) {
				s.recovered()
				s.run(10 * time.Second)
			},
			weights: "primary 500000, backup 500000", fallback: "backup",
			reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > HandingBack",
		},
		"a clock that jumps ahead skips no step": {
			do: func(s *scene) {
				s.recovered()
				s.now = s.now.Add(24 * time.Hour)
				s.look()
			},
			weights: "primary 500000, backup 500000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > HandingBack",
		},
		"a relapse goes back at once, counts, and doubles the hold": {
			do: func(s *scene) {
				s.recovered()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(2*time.Minute - time.Microsecond)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > SwitchedToBackup > NetChanged",
		},
		"and after that it is tried again": {
			do: func(s *scene) {
				s.recovered()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(2 * time.Minute)
			},
			weights: "primary 100000, backup 900000",
			reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > SwitchedToBackup > NetChanged > HandingBack",
		},
		"a backup that dies during it gives everything at once": {
			do: func(s *scene) {
				s.recovered()
				s.ready("backup", 0, 2)
			},
			weights: "primary 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > HandedBack",
		},
		"a backup that is down with ready endpoints does not stop it": {
			do: func(s *scene) {
				s.minReady(50)
				s.recovered()
				s.ready("backup", 1, 3)
				s.run(time.Minute)
			},
			weights: "primary 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > HandingBack > HandedBack",
		},
		"it stands still while both are down with ready endpoints": {
			do: func(s *scene) {
				s.minReady(50)
				s.recovered()
				s.ready("backup", 1, 3)
				s.ready("primary", 1, 3)
				s.run(time.Hour)
			},
			weights: "primary 100000, backup 900000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack",
		},
		"it stands still while nobody sees who comes back": {
			do: func(s *scene) {
				s.recovered()
				s.unseen("primary")
				s.run(time.Hour)
			},
			weights: "primary 100000, backup 900000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack",
		},
		"its steps may change on the way": {
			do: func(s *scene) {
				s.recovered()
				s.spec.Failover.Recovery.Ramp = []int32{5, 20}
				s.run(10 * time.Second)
			},
			weights: "primary 200000, backup 800000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > HandingBack",
		},
		"after the last of its steps comes everything": {
			do: func(s *scene) {
				s.spec.Failover.Recovery.Ramp = []int32{20}
				s.recovered()
				s.run(10 * time.Second)
			},
			weights: "primary 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > HandedBack",
		},
		"it may be a single step": {
			do: func(s *scene) {
				s.spec.Failover.Recovery.Ramp = []int32{100}
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(time.Minute)
			},
			weights: "primary 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandedBack",
		},
		"with a third backend up, a relapse goes back first and then on to that": {
			backends: three,
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("backup", 0, 2)
				s.ready("primary", 2, 2)
				s.run(time.Second)
				s.ready("backup", 2, 2)
				s.run(2*time.Minute + 500*time.Millisecond)
				s.ready("primary", 0, 2)
				s.run(time.Hour)
			},
			weights: "backup 1000000", fallback: "elsewhere",
			reasons: "Initial > SwitchedToBackup > SwitchedToBackup > NetChanged > NetChanged > HandingBack > NetChanged > SwitchedToBackup > HandingBack > HandingBack > HandedBack",
		},
	})
}

func TestSwitchesAreBounded(t *testing.T) {
	checkRules(t, map[string]rule{
		"a switch that is not allowed is held, and that is said once": {
			do: func(s *scene) {
				s.maxSwitches(1)
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(59 * time.Minute)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > SwitchedToBackup > NetChanged > SwitchHeld",
		},
		"until an hour has passed": {
			do: func(s *scene) {
				s.maxSwitches(1)
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(time.Hour)
			},
			weights: "primary 100000, backup 900000", reasons: "Initial > SwitchedToBackup > NetChanged > SwitchHeld > HandingBack",
		},
		"away from a dead backend there is no bound": {
			do: func(s *scene) {
				s.maxSwitches(1)
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.ready("backup", 0, 2)
				s.ready("backup", 2, 2)
				s.ready("primary", 0, 2)
			},
			weights: "backup 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > NoBackendUp > NoBackendUp",
		},
		"away from one that has ready endpoints there is": {
			do: func(s *scene) {
				s.maxSwitches(1)
				s.minReady(50)
				s.spec.Failover.Recovery.Ramp = []int32{100}
				s.backends("primary", "backup", "elsewhere")
				s.look()
				s.ready("primary", 0, 2)
				s.ready("backup", 1, 3)
			},
			backends: three,
			weights:  "backup 1000000", reasons: "Initial > SwitchedToBackup > SwitchHeld",
		},
		"a relapse is never held": {
			do: func(s *scene) {
				s.recovered()
				s.maxSwitches(1)
				s.ready("primary", 0, 2)
			},
			weights: "backup 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > SwitchedToBackup",
		},
		"not seeing whom the switch is held for does not make it said again": {
			do: func(s *scene) {
				s.maxSwitches(1)
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 2, 2)
				s.run(2 * time.Minute)
				s.unseen("primary")
				s.run(time.Minute)
				s.actors["primary"].unknown = ""
				s.run(time.Minute)
			},
			weights: "primary 1, backup 999999", reasons: "Initial > SwitchedToBackup > NetChanged > SwitchHeld",
		},
	})
}

func TestPin(t *testing.T) {
	checkRules(t, map[string]rule{
		"serves at once, and nothing else stays reachable": {
			do: func(s *scene) {
				s.look()
				s.pin("backup")
				s.run(settleTime)
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial > Pinned",
		},
		"is no switch and not bounded": {
			do: func(s *scene) {
				s.maxSwitches(1)
				s.look()
				for range 5 {
					s.pin("backup")
					s.pin("primary")
				}
			},
			weights: "primary 1000000", reasons: "Initial > Pinned > Pinned > Pinned > Pinned > Pinned > Pinned > Pinned > Pinned > Pinned > Pinned",
		},
		"to whoever serves is recorded": {
			do: func(s *scene) {
				s.look()
				s.pin("primary")
				s.run(time.Hour)
			},
			weights: "primary 1000000", reasons: "Initial > Pinned",
		},
		"and so is that it was removed": {
			do: func(s *scene) {
				s.look()
				s.pin("primary")
				s.pin("")
				s.run(time.Hour)
			},
			weights: "primary 1000000", reasons: "Initial > Pinned > SpecChanged",
		},
		"is obeyed whatever the signals say": {
			do: func(s *scene) {
				s.minReady(100)
				s.maxErrors("1")
				s.look()
				s.pin("backup")
				s.ready("backup", 1, 3)
				s.fail("backup", 1)
				s.run(time.Hour)
			},
			weights: "backup 1000000", reasons: "Initial > Pinned",
		},
		"without a ready endpoint is left, bounds or not": {
			do: func(s *scene) {
				s.look()
				s.pin("backup")
				s.ready("backup", 0, 2)
			},
			weights: "primary 1000000", fallback: "backup", settling: "primary", reasons: "Initial > Pinned > HandedBack",
		},
		"is returned to at once when it has one": {
			do: func(s *scene) {
				s.look()
				s.pin("backup")
				s.ready("backup", 0, 2)
				s.ready("backup", 1, 2)
			},
			weights: "backup 1000000", reasons: "Initial > Pinned > HandedBack > Pinned",
		},
		"is returned to whatever maxSwitchesPerHour allows": {
			do: func(s *scene) {
				s.maxSwitches(2)
				s.look()
				s.pin("backup")
				for range 3 {
					s.ready("backup", 0, 2)
					s.ready("backup", 1, 2)
				}
			},
			weights: "backup 1000000",
			reasons: "Initial > Pinned > HandedBack > Pinned > HandedBack > Pinned > HandedBack > Pinned",
		},
		"on a dead backend waits until it has a ready endpoint": {
			do: func(s *scene) {
				s.look()
				s.ready("backup", 0, 2)
				s.pin("backup")
				s.run(time.Minute)
				s.ready("backup", 1, 2)
			},
			weights: "backup 1000000", reasons: "Initial > Pinned",
		},
		"removed goes back along the ramp": {
			do: func(s *scene) {
				s.look()
				s.pin("backup")
				s.pin("")
				s.run(30 * time.Second)
			},
			weights: "primary 1000000", reasons: "Initial > Pinned > HandingBack > HandingBack > HandedBack",
		},
		"removed stays where it is while nobody preferred is up": {
			do: func(s *scene) {
				s.look()
				s.pin("backup")
				s.ready("primary", 0, 2)
				s.pin("")
			},
			weights: "backup 1000000", reasons: "Initial > Pinned > SpecChanged",
		},
		"breaks off a ramp": {
			do: func(s *scene) {
				s.recovered()
				s.pin("backup")
			},
			weights: "backup 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > Pinned",
		},
	})
}

func TestSpecChanges(t *testing.T) {
	checkRules(t, map[string]rule{
		"a backup that is added stands by": {
			backends: []string{"primary"},
			do: func(s *scene) {
				s.look()
				s.backends("primary", "backup")
				s.look()
			},
			weights: "primary 1000000", fallback: "backup", reasons: "Initial > SpecChanged",
		},
		"a preferred backend that is added gets its calls along the ramp": {
			backends: []string{"backup"},
			do: func(s *scene) {
				s.look()
				s.backends("primary", "backup")
				s.look()
				s.run(time.Minute)
			},
			weights: "primary 1000000", fallback: "backup", reasons: "Initial > HandingBack > HandingBack > HandedBack",
		},
		"one that is not up gets none": {
			backends: []string{"backup"},
			do: func(s *scene) {
				s.look()
				s.actors["primary"] = &actor{total: 2}
				s.backends("primary", "backup")
				s.look()
				s.run(time.Minute)
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial > SpecChanged",
		},
		"one that nobody has seen gets none": {
			backends: []string{"backup"},
			do: func(s *scene) {
				s.look()
				s.actors["primary"] = &actor{unknown: "no Service yet"}
				s.backends("primary", "backup")
				s.look()
				s.run(time.Minute)
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial > SpecChanged",
		},
		"a backup that is removed is gone": {
			do: func(s *scene) {
				s.look()
				s.backends("primary")
				s.look()
			},
			weights: "primary 1000000", reasons: "Initial > SpecChanged",
		},
		"when the serving backend is removed the next serves at once": {
			do: func(s *scene) {
				s.look()
				s.backends("backup")
				s.look()
			},
			weights: "backup 1000000", reasons: "Initial > SpecChanged",
		},
		"a serving backend that is renamed serves on, though nobody has seen it under its new name": {
			do: func(s *scene) {
				s.look()
				s.actors["main"] = &actor{unknown: "not looked yet"}
				s.backends("main", "backup")
				s.look()
				s.actors["main"] = &actor{ready: 2, total: 2}
				s.look()
				s.run(time.Minute)
			},
			weights: "main 1000000", fallback: "backup", reasons: "Initial > SpecChanged",
		},
		"a new order is followed along the ramp": {
			do: func(s *scene) {
				s.look()
				s.backends("backup", "primary")
				s.look()
				s.run(time.Minute)
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial > HandingBack > HandingBack > HandedBack",
		},
		"a new order during a ramp ends it where that is preferred now": {
			do: func(s *scene) {
				s.recovered()
				s.backends("backup", "primary")
				s.look()
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > SpecChanged",
		},
		"a backend that is removed during its ramp gives back what it had": {
			do: func(s *scene) {
				s.recovered()
				s.backends("backup")
				s.look()
			},
			weights: "backup 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > SpecChanged",
		},
		"a backup that is removed during the ramp away from it gives everything": {
			do: func(s *scene) {
				s.recovered()
				s.backends("primary")
				s.look()
			},
			weights: "primary 1000000", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > SpecChanged",
		},
		"all backends replaced is a new start": {
			do: func(s *scene) {
				s.recovered()
				s.backends("blue", "green")
				s.look()
				s.run(time.Minute)
			},
			weights: "blue 1000000", fallback: "green", reasons: "Initial > SwitchedToBackup > NetChanged > HandingBack > SpecChanged",
		},
	})
}

func TestFallback(t *testing.T) {
	checkRules(t, map[string]rule{
		"is the next that is up": {
			backends: three,
			do: func(s *scene) {
				s.look()
				s.ready("backup", 0, 2)
			},
			weights: "primary 1000000", fallback: "elsewhere", reasons: "Initial > NetChanged",
		},
		"is up rather than merely reachable": {
			backends: three,
			do: func(s *scene) {
				s.minReady(50)
				s.look()
				s.ready("backup", 1, 3)
			},
			weights: "primary 1000000", fallback: "elsewhere", reasons: "Initial > NetChanged",
		},
		"is reachable rather than dead": {
			backends: three,
			do: func(s *scene) {
				s.minReady(50)
				s.look()
				s.ready("elsewhere", 1, 3)
				s.ready("backup", 0, 3)
			},
			weights: "primary 1000000", fallback: "elsewhere", reasons: "Initial > NetChanged",
		},
		"is the next when all others are dead": {
			backends: three,
			do: func(s *scene) {
				s.look()
				s.ready("elsewhere", 0, 2)
				s.ready("backup", 0, 2)
			},
			weights: "primary 1000000", fallback: "backup", reasons: "Initial",
		},
		"comes round to the front": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.ready("primary", 1, 2)
				s.run(settleTime)
			},
			weights: "primary 1, backup 999999", fallback: "primary", reasons: "Initial > SwitchedToBackup > NetChanged",
		},
		"stands by as well until it has settled": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.run(settleTime - time.Second)
			},
			weights: "backup 1000000", fallback: "primary", settling: "backup", reasons: "Initial > SwitchedToBackup",
		},
		"stands by alone when it has settled": {
			do: func(s *scene) {
				s.look()
				s.ready("primary", 0, 2)
				s.run(settleTime)
			},
			weights: "backup 1000000", fallback: "primary", reasons: "Initial > SwitchedToBackup",
		},
	})
}

func TestStaleObservationsAreUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration
		want v1alpha1.BackendHealth
	}{
		"just seen":                     {0, v1alpha1.BackendDown},
		"as old as it may be":           {10 * time.Second, v1alpha1.BackendDown},
		"too old":                       {10*time.Second + 1, v1alpha1.BackendUnknown},
		"seen ahead of now":             {-time.Second, v1alpha1.BackendDown},
		"seen too far ahead of now":     {-10*time.Second - 1, v1alpha1.BackendUnknown},
		"seen in another century":       {200 * 365 * 24 * time.Hour, v1alpha1.BackendUnknown},
		"as old as a duration can tell": {1<<63 - 1, v1alpha1.BackendUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			spec := v1alpha1.ExposedServiceSpec{Backends: []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}}}
			out := Decide(&spec, v1alpha1.ExposedServiceStatus{}, Observation{Backends: map[string]BackendObservation{
				"primary": {Endpoints: Endpoints{Counting: Counted, Total: 2, Time: midnight.Add(-c.age), StaleAfter: 10 * time.Second}},
				"backup":  {Endpoints: Endpoints{Counting: Counted, Ready: 2, Total: 2, Time: midnight}},
			}}, midnight)
			if got := out.Backends[0].Health; got != c.want {
				t.Errorf("health %s, want %s", got, c.want)
			}
			if stays := out.Active == "primary"; stays != (c.want == v1alpha1.BackendUnknown) {
				t.Errorf("%s serves", out.Active)
			}
		})
	}
}

func TestBackendStatusSaysWhatIsWrongAndSinceWhen(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	want := func(health v1alpha1.BackendHealth, reason v1alpha1.HealthReason, since time.Time, message string) {
		t.Helper()
		got := s.health("primary")
		if got.Health != health || got.Reason != string(reason) || !got.Since.Time.Equal(since) || got.Message != message {
			t.Errorf("%s: %s %s since %s: %q\nwant %s %s since %s: %q", s.at(), got.Health, got.Reason, got.Since, got.Message,
				health, reason, since, message)
		}
	}
	want(v1alpha1.BackendHealthy, v1alpha1.HealthReady, midnight, "")
	s.run(time.Minute)
	want(v1alpha1.BackendHealthy, v1alpha1.HealthReady, midnight, "")
	s.ready("primary", 0, 2)
	down := s.now
	want(v1alpha1.BackendDown, v1alpha1.FaultNoReadyEndpoint, down, "0 of 2 endpoints ready")
	s.run(time.Minute)
	s.ready("primary", 2, 2)
	want(v1alpha1.BackendDown, v1alpha1.HealthRecovering, down,
		"nothing wrong since 00:02:00Z, held back for 1m0s until 00:03:00Z, after 0 of 2 endpoints ready")
	s.run(30 * time.Second)
	s.unseen("primary")
	s.look()
	want(v1alpha1.BackendUnknown, v1alpha1.HealthNotSeen, s.now, "nobody looked; until then it counts as down: 0 of 2 endpoints ready")
	s.run(time.Minute)
	s.actors["primary"].unknown = ""
	s.look()
	s.run(30 * time.Second)
	want(v1alpha1.BackendHealthy, v1alpha1.HealthReady, s.now, "")
	if got := s.health("primary"); ptr.Deref(got.Ready, 0) != 2 || ptr.Deref(got.Total, 0) != 2 {
		t.Errorf("endpoints: %+v", got)
	}
}
