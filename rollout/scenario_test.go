package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Without steps in the spec they are chosen from the traffic.
func TestGoodVersionIsPromotedInChosenSteps(t *testing.T) {
	s := newScene(t)
	s.run(8 * time.Second)
	s.ship("v2")
	s.until(idle, time.Hour)
	s.run(time.Minute)
	s.golden("good-version")
	if r := s.status.Rollout; r.Stable != "v2" || s.pods["v2"] != 4 || !s.held || len(s.pods) != 1 {
		t.Errorf("in the end %+v, with the pods %v, held %t", r, s.pods, s.held)
	}
	if !s.last.Next.IsZero() || s.last.Changed {
		t.Errorf("settled, but the next look is at %s", s.last.Next)
	}
}

// A canary that fails is suspected at once and loses its calls; that it is worse is sure once it has failed at several moments.
func TestFivePercentOfErrorsAreRolledBack(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, 10*time.Minute)
	s.fail("v2", 0.05)
	began, calls := s.now, s.status.Rollout.Evidence.Canary.Calls
	s.until(rechecking, time.Minute)
	if used := s.status.Rollout.Evidence.Canary.Calls - calls; used > 500 {
		t.Errorf("it took %d calls of the canary to suspect it", used)
	}
	s.until(rollingBack, 10*time.Minute)
	used := s.status.Rollout.Evidence.Canary.Calls - calls
	t.Logf("rolled back after %s and %d calls of the canary, %d suspicions", s.now.Sub(began), used, s.status.Rollout.Suspicions)
	if used > 1500 {
		t.Errorf("it took %d calls of the canary", used)
	}
	s.until(idle, time.Minute)
	s.run(time.Hour)
	s.golden("errors-rolled-back")
	if s.pods["v1"] != 4 || !s.held || s.pods["v2"] != 0 {
		t.Errorf("pods %v, held %t", s.pods, s.held)
	}
}

// A version that cannot serve at all is rolled back within two minutes.
func TestAVersionThatServesNothingIsRolledBackSoon(t *testing.T) {
	s := newScene(t)
	s.fail("v2", 1)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	began := s.now
	s.until(rollingBack, 3*time.Minute)
	s.until(idle, time.Minute)
	t.Logf("rolled back after %s and %d calls of the canary", s.now.Sub(began), s.status.Rollout.Evidence.Canary.Calls)
	s.golden("serves-nothing")
}

// What was a pause of a moment is no verdict: the canary is looked at again, from the first step on.
func TestAClumpOfErrorsIsNoVerdict(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, 10*time.Minute)
	s.run(20 * time.Second)
	s.fail("v2", 1)
	s.run(4 * time.Second)
	s.fail("v2", 0)
	s.until(idle, time.Hour)
	s.golden("suspected-once")
	if r := s.status.Rollout; r.Stable != "v2" {
		t.Errorf("%s is stable: %s", r.Stable, s.reasons())
	}
}

func TestNoTrafficHolds(t *testing.T) {
	s := newScene(t)
	s.rate, s.scrape = 0, 5*time.Second
	s.ship("v2")
	s.run(3 * time.Hour)
	s.golden("no-traffic")
	if s.phase() != stepping || s.status.Rollout.Step != 1 {
		t.Errorf("%s, step %d", s.phase(), s.status.Rollout.Step)
	}
}

func TestApprovalIsForOneStepOfOneRevision(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	required := v1alpha1.ApprovalRequired
	s.spec.Rollout.Steps[0].Approval, s.spec.Rollout.Steps[1].Approval = &required, &required
	s.ship("v2")
	s.until(awaitingApproval, 10*time.Minute)
	for _, not := range []string{"v2", "v2/2", "v3/1", "1", "v2/1 "} {
		s.approve = not
		s.run(time.Minute)
		if s.phase() != awaitingApproval {
			t.Fatalf("%q was taken for an approval", not)
		}
	}
	s.say("approve: v2/1")
	s.approve = "v2/1"
	s.untilStep(2, time.Minute)
	s.until(awaitingApproval, 10*time.Minute)
	s.say("approve: v2/2")
	s.approve = "v2/2"
	s.until(idle, 10*time.Minute)
	s.golden("approval")
}

func TestAnotherTemplateInTheMiddleStartsOver(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(3, time.Hour)
	s.ship("v3")
	s.until(idle, time.Minute)
	s.untilStep(1, time.Minute)
	if r := s.status.Rollout; r.Revision != "v3" || len(r.Verdicts) != 0 || r.Evidence.Canary.Calls != 0 {
		t.Errorf("v3 begins with %+v", r)
	}
	s.untilStep(2, time.Hour)
	s.ship("v1")
	s.until(idle, time.Minute)
	s.run(time.Minute)
	s.golden("template-changed")
	if s.status.Rollout.Stable != "v1" || len(s.pods) != 1 {
		t.Errorf("in the end %+v, pods %v", s.status.Rollout, s.pods)
	}
}

func TestFailoverInTheMiddleSuspends(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, time.Hour)
	s.failOver("backup")
	if s.phase() != suspended || s.shares() != "backup 1000000" {
		t.Errorf("%s, %s", s.phase(), s.shares())
	}
	s.run(10 * time.Minute)
	s.failOver("primary")
	s.until(promoting, time.Hour)
	s.golden("failover-in-the-middle")
}

func TestUndecidedDoesAsItIsTold(t *testing.T) {
	for policy, want := range map[v1alpha1.UndecidedPolicy]v1alpha1.RolloutPhase{
		v1alpha1.UndecidedHold: stepping, v1alpha1.UndecidedAdvance: idle, v1alpha1.UndecidedRollBack: idle,
	} {
		t.Run(string(policy), func(t *testing.T) {
			s := newScene(t)
			s.rate, s.scrape = 0.1, 5*time.Second
			s.spec.Rollout.Steps = steps("10", "50")
			s.spec.Rollout.Analysis.WhenUndecided, s.spec.Rollout.Analysis.MaxHold = &policy, long(30*time.Minute)
			s.ship("v2")
			s.run(3 * time.Hour)
			s.golden("undecided-" + strings.ToLower(string(policy)))
			if s.phase() != want {
				t.Errorf("%s", s.phase())
			}
		})
	}
}

func TestCrashLoopIsRolledBackInThePodsWords(t *testing.T) {
	s := newScene(t)
	s.trouble["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: `container "greeter": CrashLoopBackOff: back-off 20s, last exit code 1`}
	s.ship("v2")
	s.run(time.Minute)
	s.golden("crash-loop")
	if f := s.status.Rollout.Failed; f == nil || f.Reason != "CrashLoop" || !strings.Contains(f.Message, "exit code 1") {
		t.Errorf("failed: %+v", f)
	}
}

func TestOwnCanaryServesAllAndAwaitsTheSwap(t *testing.T) {
	s := newOwnCanary(t, "2.4.0")
	s.spec.Rollout.Steps = steps("10", "50")
	s.until(awaitingSwap, time.Hour)
	if s.shares() != "canary 1000000" {
		t.Errorf("weights: %s", s.shares())
	}
	s.run(time.Minute)
	s.say("swapped: 2.4.0")
	s.swapped = "2.4.0"
	s.until(idle, 10*time.Minute)
	s.run(time.Minute)
	s.golden("own-canary")
	if s.status.Rollout.Stable != "2.4.0" || s.shares() != "primary 1000000" {
		t.Errorf("in the end %s, %+v", s.shares(), s.status.Rollout)
	}
}
