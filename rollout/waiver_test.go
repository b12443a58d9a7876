package rollout

import (
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// broken are the three ways in which stable is what has to be replaced (field reports: argo-rollouts #1416, #3110).
func TestABrokenStableVersionIsReplaced(t *testing.T) {
	for name, test := range map[string]struct {
		breaks func(*scene)
		says   string
		within time.Duration
	}{
		"a backup serves, because stable crashes": {func(s *scene) {
			s.pods["v1"], s.starting["v1"] = 4, 4
			s.trouble["v1"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
			s.failOver("backup")
		}, "because backup serves instead of primary", time.Minute},
		"a backup serves, because stable fails its calls": {func(s *scene) { s.failOver("backup") }, "because backup serves instead of primary", time.Minute},
		"there is no backup, and stable crashes": {func(s *scene) {
			s.pods["v1"], s.starting["v1"] = 4, 4
			s.trouble["v1"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
		}, "because stable has had no ready pod since", 2 * time.Minute},
		"there is no backup, and stable fails half of its calls": {func(s *scene) { s.fail("v1", 0.5) }, "all steps are passed", 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.spec.Rollout.Steps = steps("10", "50")
			test.breaks(s)
			s.run(time.Minute)
			began := s.now
			s.ship("v2")
			s.until(promoting, test.within)
			if said := s.all[len(s.all)-1].Message; !strings.Contains(said, test.says) {
				t.Errorf("it says %q", said)
			}
			s.until(idle, time.Minute)
			t.Logf("after %s", s.now.Sub(began))
			s.expectStable("v2")
			s.run(time.Minute)
			if s.pods["v2"] != 4 || len(s.pods) != 1 {
				t.Errorf("pods %v", s.pods)
			}
		})
	}
}

// TestAnOutageOfBothReplacesNothing: what fails for both is no reason to go on.
func TestAnOutageOfBothReplacesNothing(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.outage = 0.5
	s.ship("v2")
	s.run(time.Hour)
	if s.status.Rollout.Stable != "v1" || s.status.Rollout.Step > 1 {
		t.Errorf("%s: %s", s.phase(), s.reasons())
	}
}

// TestACanaryThatHadCallsIsNotPromotedBecauseTheyWereTakenAway: it may be why the first backend was left.
func TestACanaryThatHadCallsIsNotPromotedBecauseTheyWereTakenAway(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.failOver("backup")
	s.run(10 * time.Minute)
	if s.phase() != suspended || s.status.Rollout.Stable != "v1" {
		t.Fatalf("%s: %s", s.phase(), s.reasons())
	}
	// With nothing of stable left there is nothing to wait for.
	s.starting["v1"], s.trouble["v1"] = 4, &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
	s.until(idle, 5*time.Minute)
	s.expectStable("v2")
}

func TestARevisionThatWasStableNeedsNoProof(t *testing.T) {
	ship := func(t *testing.T, change func(*scene)) *scene {
		s := newScene(t)
		s.spec.Rollout.Steps = steps("10", "50")
		s.previous = []string{"v1"}
		s.ship("v2")
		s.until(promoting, time.Hour)
		s.until(idle, time.Minute)
		s.run(time.Minute)
		s.fail("v2", 0.2)
		s.all = nil
		change(s)
		s.ship("v1")
		s.look()
		return s
	}
	s := ship(t, func(*scene) {})
	began := s.now
	s.until(idle, time.Minute)
	s.expectStable("v1")
	t.Logf("back after %s: %s", s.now.Sub(began), s.reasons())
	if got := s.reasons(); got != "RolloutStarted > ProofWaived > RolloutReleased > Promoted" {
		t.Errorf("there were %s", got)
	}
	for name, change := range map[string]func(*scene){
		"it was too long ago":            func(s *scene) { s.now = s.now.Add(25 * time.Hour) },
		"it is not in the history":       func(s *scene) { s.previous = nil },
		"nobody is to have a fast track": func(s *scene) { s.spec.Rollout.FastTrack = ptr.To(v1alpha1.FastTrackNever) },
	} {
		s := ship(t, change)
		s.fail("v2", 0)
		s.untilStep(1, time.Minute)
		if strings.Contains(s.reasons(), "ProofWaived") {
			t.Errorf("%s: %s", name, s.reasons())
		}
	}
	// It is guarded all the same.
	s = ship(t, func(s *scene) {
		s.trouble["v1"], s.replicas, s.pods["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}, 4, 4
	})
	s.run(time.Minute)
	if s.status.Rollout.Stable != "v2" || s.status.Rollout.Failed == nil {
		t.Errorf("%s: %s", s.phase(), s.reasons())
	}
}

func TestPeopleSpeakToARollout(t *testing.T) {
	const who = "kubectl-annotate"
	start := func(t *testing.T) *scene {
		s := newScene(t)
		s.spec.Rollout.Steps = steps("10", "50")
		s.spec.Rollout.Steps[0].Hold, s.spec.Rollout.Steps[1].Hold = long(time.Hour), long(time.Hour)
		s.by = map[string]string{v1alpha1.AnnotationPromote: who, v1alpha1.AnnotationSkip: who, v1alpha1.AnnotationAbort: who}
		s.ship("v2")
		s.untilStep(1, time.Minute)
		return s
	}
	said := func(t *testing.T, s *scene, reason v1alpha1.DecisionReason) {
		t.Helper()
		for _, d := range s.all {
			if d.Reason == reason && strings.Contains(d.Message, "by "+who) {
				return
			}
		}
		t.Errorf("no %s by %s: %s", reason, who, s.reasons())
	}
	t.Run("promote", func(t *testing.T) {
		s := start(t)
		s.promote = "v1"
		s.run(time.Minute)
		if s.phase() != stepping {
			t.Fatalf("the name of another revision does: %s", s.reasons())
		}
		s.promote = "v2"
		s.until(idle, time.Minute)
		s.expectStable("v2")
		said(t, s, v1alpha1.DecisionProofWaived)
	})
	t.Run("skip", func(t *testing.T) {
		s := start(t)
		s.skip = "v2/1"
		s.untilStep(2, time.Minute)
		s.run(10 * time.Minute)
		if s.phase() != stepping || s.status.Rollout.Step != 2 {
			t.Fatalf("one word skips two steps: %s", s.reasons())
		}
		said(t, s, v1alpha1.DecisionStepPassed)
	})
	t.Run("abort", func(t *testing.T) {
		s := start(t)
		s.abort = "v2"
		s.until(idle, time.Minute)
		s.run(time.Minute)
		if f := s.status.Rollout.Failed; f == nil || f.Reason != FailureAborted || s.pods["v2"] != 0 || s.pods["v1"] != 4 {
			t.Fatalf("%+v, pods %v", f, s.pods)
		}
		said(t, s, v1alpha1.DecisionRolloutFailed)
		s.retry = "again"
		s.run(time.Minute)
		if s.phase() != idle {
			t.Errorf("what is aborted is tried again while it is aborted: %s", s.reasons())
		}
		s.abort = ""
		s.until(stepping, time.Minute)
	})
}

func TestARestartIsNoNewVersion(t *testing.T) {
	s := newScene(t)
	s.guarded = true
	s.restart = "v1r"
	s.ship("v1r")
	s.run(time.Minute)
	s.expectStable("v1r")
	if got := s.reasons(); !strings.HasSuffix(got, "StableAdopted > RestartReleased") || s.pods["v1r"] != 4 || len(s.pods) != 1 || s.held {
		t.Errorf("%s, pods %v, held %t", got, s.pods, s.held)
	}
	s = newScene(t)
	s.spec.Rollout.Restarts = ptr.To(v1alpha1.RestartRollout)
	s.restart = "v1r"
	s.ship("v1r")
	s.untilStep(1, time.Minute)
}

// TestWhatPodsWaitForIsSaidAndFailsNothing: quota, scheduler, images. It goes on when the cause goes.
func TestWhatPodsWaitForIsSaidAndFailsNothing(t *testing.T) {
	for _, phase := range []v1alpha1.RolloutPhase{preparing, promoting, releasing} {
		s := newScene(t)
		s.replicas, s.pods["v1"], s.deadline = 20, 20, time.Minute
		s.spec.Rollout.Steps = steps("10", "50")
		s.ship("v2")
		if phase == preparing {
			s.untilStep(1, time.Minute)
		}
		s.until(phase, time.Hour)
		s.waits = "exceeded quota: pods, requested: pods=1, used: pods=21, limited: pods=21"
		s.run(59 * time.Second)
		if got := s.last.Condition.Reason; got == v1alpha1.ReasonPodsNotReady {
			t.Errorf("%s: late before the deadline", phase)
		}
		s.run(5 * time.Minute)
		c := s.last.Condition
		if c.Reason != v1alpha1.ReasonPodsNotReady || !strings.Contains(c.Message, "exceeded quota") || s.status.Rollout.Failed != nil || s.phase() != phase {
			t.Errorf("%s: %s, %s: %s", phase, s.phase(), c.Reason, c.Message)
		}
		s.waits = ""
		s.until(idle, time.Hour)
		s.expectStable("v2")
	}
}

// TestPodsThatAreMissingInAStepAreLateAfterTheDeadline: it counts from when they were missed, and not from when the step began.
func TestPodsThatAreMissingInAStepAreLateAfterTheDeadline(t *testing.T) {
	for _, phase := range []v1alpha1.RolloutPhase{stepping, awaitingApproval} {
		s := newScene(t)
		s.deadline = time.Minute
		s.spec.Rollout.Steps = steps("10", "50")
		if s.spec.Rollout.Steps[1].Hold = ptr.To(v1alpha1.LongDuration("24h")); phase == awaitingApproval {
			s.spec.Rollout.Steps[1].Hold, s.spec.Rollout.Steps[1].Approval = nil, ptr.To(v1alpha1.ApprovalRequired)
		}
		s.ship("v2")
		s.untilStep(2, time.Hour)
		s.until(phase, time.Hour)
		s.run(time.Hour)
		s.waits, s.replicas = "exceeded quota", 10
		s.run(55 * time.Second)
		if got := s.last.Condition.Reason; got == v1alpha1.ReasonPodsNotReady {
			t.Errorf("%s: late before the deadline", phase)
		}
		s.run(time.Minute)
		if c := s.last.Condition; c.Reason != v1alpha1.ReasonPodsNotReady || !strings.Contains(c.Message, "exceeded quota") || s.phase() != phase {
			t.Errorf("%s: %s, %s: %s", phase, s.phase(), c.Reason, c.Message)
		}
		s.waits = ""
		s.run(time.Minute)
		if got := s.last.Condition.Reason; got == v1alpha1.ReasonPodsNotReady {
			t.Errorf("%s: late though the pods are there", phase)
		}
	}
}

// TestARolloutOfAnEarlierVersionIsTakenOver: its canary was a Deployment of its own, and its traffic has no slots.
func TestARolloutOfAnEarlierVersionIsTakenOver(t *testing.T) {
	for _, phase := range []v1alpha1.RolloutPhase{preparing, stepping, promoting, handingOver, rollingBack} {
		s := newScene(t)
		s.spec.Rollout.Steps = steps("10", "50")
		s.ship("v2")
		s.untilStep(1, time.Minute)
		r := s.status.Rollout
		r.Phase, s.status.Traffic.StableHash, s.status.Traffic.CanaryHash = phase, "", ""
		s.size("v2", 0)
		s.size("v1", 4)
		s.starting = map[string]int32{}
		switch phase {
		case promoting:
			s.held, s.pods = false, map[string]int32{"v1": 2, "v2": 2}
		case handingOver:
			r.Stable, s.pods = "v2", map[string]int32{"v2": 4}
		}
		s.until(idle, time.Hour)
		s.until(idle, time.Hour)
		s.run(time.Hour)
		s.expectStable("v2")
		if s.pods["v2"] != 4 || len(s.pods) != 1 || s.status.Traffic.StableHash != "" {
			t.Errorf("from %s: pods %v, %+v: %s", phase, s.pods, s.status.Traffic, s.reasons())
		}
	}
}
