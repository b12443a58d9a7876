package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// suspect lets all calls of the canary fail until it is suspected, and none after.
func (s *scene) suspect() {
	s.t.Helper()
	revision := s.status.Rollout.Revision
	s.fail(revision, 1)
	s.until(rechecking, time.Minute)
	s.fail(revision, 0)
}

// expectRechecking: the canary has no calls, and what it was is remembered.
func (s *scene) expectRechecking(suspicions int32) {
	s.t.Helper()
	r := s.status.Rollout
	if r.Phase != rechecking || r.Weight != 0 || s.live != 0 || r.Suspicions != suspicions || r.Failed != nil || r.Progress != "rechecking" {
		s.t.Errorf("%s with weight %d (%d live), suspicions %d, failed %+v, %q: %s", r.Phase, r.Weight, s.live, r.Suspicions, r.Failed, r.Progress, s.reasons())
	}
	if want := fmt.Sprintf("%s looked worse than is tolerated and has no calls until ", r.Revision); !strings.HasPrefix(s.message(), want) {
		s.t.Errorf("it says %q, not %q", s.message(), want)
	}
	if got := s.last.Condition; got.Reason != "Rechecking" || got.Status != "True" {
		s.t.Errorf("the condition is %+v", got)
	}
}

func TestASuspectedCanaryLosesItsCallsInAnyPhase(t *testing.T) {
	required := v1alpha1.ApprovalRequired
	for name, test := range map[string]struct {
		phase v1alpha1.RolloutPhase
		scene func(*testing.T) *scene
	}{
		"in a step": {stepping, func(t *testing.T) *scene {
			s := newScene(t)
			s.spec.Rollout.Steps = steps("10", "50")
			s.ship("v2")
			s.untilStep(2, 5*time.Minute)
			s.run(10 * time.Second)
			return s
		}},
		"while somebody is asked to approve": {awaitingApproval, func(t *testing.T) *scene {
			s := newScene(t)
			s.spec.Rollout.Steps = steps("10", "50")
			s.spec.Rollout.Steps[0].Approval = &required
			s.ship("v2")
			s.until(awaitingApproval, 5*time.Minute)
			return s
		}},
		"between two steps": {preparing, func(t *testing.T) *scene {
			s := newScene(t)
			s.replicas, s.pods["v1"] = 20, 20
			s.spec.Rollout.Steps = steps("10", "50")
			s.ship("v2")
			s.untilStep(1, time.Minute)
			s.pace = time.Hour // The pods of the second step do not come.
			s.until(preparing, 5*time.Minute)
			return s
		}},
		"in a promotion": {promoting, func(t *testing.T) *scene {
			s := newScene(t)
			s.replicas, s.pods["v1"] = 20, 20
			s.spec.Rollout.Steps = steps("50")
			s.ship("v2")
			s.until(promoting, 5*time.Minute)
			s.pace = time.Hour // No other pod is replaced.
			return s
		}},
		// With all calls there is nothing to compare with, but for the bound.
		"while it waits for the swap": {awaitingSwap, func(t *testing.T) *scene {
			s := newOwnCanary(t, "v2")
			s.spec.Rollout.Steps = steps("50")
			s.spec.Rollout.Analysis.Errors = &v1alpha1.ErrorTolerance{MaxPercent: ptr.To("5")}
			s.until(awaitingSwap, 5*time.Minute)
			return s
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.scene(t)
			if s.phase() != test.phase {
				t.Fatalf("it is %s: %s", s.phase(), s.reasons())
			}
			began := s.now
			s.suspect()
			if took := s.now.Sub(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			s.expectRechecking(1)
			if got := s.last.Intents.Workload; !s.own && got != WorkloadHeld {
				t.Errorf("the Deployment is to be %s", got)
			}
			s.pace = time.Second
			s.run(recheckTime - time.Second)
			s.expectRechecking(1)
			if !s.own && (s.ready("v1") < s.replicas || !s.held) {
				t.Errorf("pods %v, held %t", s.pods, s.held)
			}
			s.approve = s.status.Rollout.Revision + "/1/2"
			s.untilStep(1, time.Minute)
		})
	}
}

// It starts from the beginning. Stable has its own pods back meanwhile.
func TestARecheckedCanaryStartsAtTheFirstStep(t *testing.T) {
	s := newScene(t)
	s.replicas, s.pods["v1"] = 10, 10
	s.spec.Rollout.Steps = steps("10", "50")
	s.ship("v2")
	s.untilStep(2, 5*time.Minute)
	s.run(20 * time.Second)
	calls := s.status.Rollout.Evidence.Canary.Calls
	s.suspect()
	s.run(20 * time.Second)
	if s.pods["v2"] != 3 {
		t.Errorf("while it has no calls the pods are %v", s.pods)
	}
	s.until(preparing, time.Minute)
	r := s.status.Rollout
	if r.Step != 1 || r.Weight != 0 || len(r.Verdicts) != 0 || r.StepStarted != nil || r.Attempt != 2 || r.Suspicions != 1 {
		t.Errorf("it goes on with %+v", r)
	}
	if e := r.Evidence; e.Percent != 0 || e.StepObserved != nil || e.Step.Calls != 0 || e.Canary.Calls <= calls {
		t.Errorf("it goes on with %+v", e)
	}
	s.untilStep(1, time.Minute)
	s.run(10 * time.Second)
	if s.status.Rollout.Weight != 100_000 || s.pods["v2"] != 2 {
		t.Errorf("weight %d, %d pods", s.status.Rollout.Weight, s.pods["v2"])
	}
	s.until(idle, time.Hour)
	s.expectStable("v2")
	if r := s.status.Rollout; r.Suspicions != 0 {
		t.Errorf("in the end there are %d suspicions", r.Suspicions)
	}
}

// The time begins when the data plane has taken the calls away.
func TestACanaryIsRecheckedAfterItHadNoCallsForAWhile(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(10 * time.Second)
	s.fail("v2", 1)
	for s.phase() != rechecking {
		s.run(time.Second)
	}
	s.deaf = true
	s.status.Rollout.LiveSince = nil
	s.fail("v2", 0)
	s.run(5 * time.Minute)
	s.expectRechecking(1)
	if want := "waits for the data plane to serve the weight: the route is not accepted"; !strings.HasSuffix(s.message(), want) {
		t.Errorf("it says %q", s.message())
	}
	s.deaf = false
	s.run(recheckTime)
	s.expectRechecking(1)
	s.until(preparing, 2*time.Second)
}

// What was counted until the calls were taken away is judged while it has none.
func TestTheVerdictMayComeWhileTheCanaryHasNoCalls(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.fail("v2", 1)
	s.ship("v2")
	s.until(rollingBack, 5*time.Minute)
	at := len(s.all) - 1
	if s.all[at].Reason != v1alpha1.DecisionRolloutFailed || s.all[at-1].Reason != v1alpha1.DecisionCanarySuspected {
		t.Fatalf("%s", s.reasons())
	}
	if f := s.status.Rollout.Failed; f == nil || f.Reason != FailureWorse || !strings.Contains(f.Message, "100 % of its calls, 0 % of stable's") {
		t.Errorf("failed: %+v", f)
	}
	n := strings.Count(s.reasons(), string(v1alpha1.DecisionCanarySuspected))
	if n < partsOfAVerdict-1 || n > partsOfAVerdict {
		t.Errorf("there were %d suspicions: %s", n, s.reasons())
	}
}

// partsOfAVerdict is how many moments at least it takes to roll a canary back, as the judge has it.
const partsOfAVerdict = 4

func TestWhatEndsARolloutEndsARecheck(t *testing.T) {
	for name, test := range map[string]struct {
		happen func(*scene)
		reason v1alpha1.DecisionReason
		phase  v1alpha1.RolloutPhase
	}{
		"withdrawn":              {func(s *scene) { s.spec.Rollout = nil }, v1alpha1.DecisionRolloutWithdrawn, rollingBack},
		"another target":         {func(s *scene) { s.spec.Rollout.WorkloadRef.Name = "other" }, v1alpha1.DecisionRolloutWithdrawn, rollingBack},
		"another revision":       {func(s *scene) { s.template = "v3" }, v1alpha1.DecisionRolloutReplaced, rollingBack},
		"the stable one":         {func(s *scene) { s.template = "v1" }, v1alpha1.DecisionRolloutReverted, rollingBack},
		"the Deployment is gone": {func(s *scene) { s.exists = false }, v1alpha1.DecisionWorkloadDeleted, rollingBack},
		"scaled to zero":         {func(s *scene) { s.replicas = 0 }, v1alpha1.DecisionRolloutSuspended, suspended},
		"another backend serves": {func(s *scene) { s.failOver("backup") }, v1alpha1.DecisionRolloutSuspended, suspended},
		"its pods cannot run": {
			func(s *scene) { s.trouble["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"} }, v1alpha1.DecisionRolloutFailed, rollingBack,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.spec.Rollout.Steps = steps("10", "50")
			s.ship("v2")
			s.untilStep(1, time.Minute)
			s.run(10 * time.Second)
			s.suspect()
			s.run(5 * time.Second)
			test.happen(s)
			s.look()
			if last := s.all[len(s.all)-1]; last.Reason != test.reason || s.phase() != test.phase {
				t.Errorf("%s, and it is %s", last.Reason, s.phase())
			}
			if test.phase != suspended {
				return
			}
			s.replicas = 4
			if s.status.Active != "primary" {
				s.failOver("primary")
			}
			s.untilStep(1, time.Minute)
			if r := s.status.Rollout; r.Suspicions != 1 || r.Attempt != 2 {
				t.Errorf("resumed with %d suspicions, attempt %d", r.Suspicions, r.Attempt)
			}
		})
	}
}

func TestAPausedRolloutTakesCallsFromWhatItSuspects(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.spec.Rollout.Paused = ptr.To(true)
	s.run(10 * time.Second)
	s.suspect()
	s.expectRechecking(1)
	s.run(10 * time.Minute)
	if s.phase() != preparing || s.status.Rollout.Weight != 0 || !strings.HasSuffix(s.message(), "paused") {
		t.Errorf("%s with weight %d: %s", s.phase(), s.status.Rollout.Weight, s.message())
	}
	s.spec.Rollout.Paused = nil
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

// It is not sure that such a canary is worse, and it is that it never gets anywhere.
func TestTheFifthSuspicionRollsBack(t *testing.T) {
	for before, want := range map[int32]string{3: "", 4: FailureSuspected} {
		s := newScene(t)
		s.spec.Rollout.Steps = steps("10", "50")
		s.ship("v2")
		s.untilStep(1, time.Minute)
		s.run(10 * time.Second)
		s.status.Rollout.Suspicions = before
		s.fail("v2", 1)
		s.runUntil(time.Minute, func() bool { return s.phase() != stepping })
		switch failed := s.status.Rollout.Failed; {
		case want == "":
			s.expectRechecking(before + 1)
		case s.phase() != rollingBack || failed == nil || failed.Reason != want || !strings.HasPrefix(failed.Message, "suspected for the 5. time: "):
			t.Errorf("%s after %d suspicions, failed: %+v", s.phase(), before, failed)
		}
	}
}

func TestANewRevisionBeginsWithoutSuspicions(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(10 * time.Second)
	s.suspect()
	s.ship("v3")
	s.untilStep(1, time.Minute)
	if r := s.status.Rollout; r.Revision != "v3" || r.Suspicions != 0 || r.Attempt != 1 || r.Evidence.Canary.Errors != 0 {
		t.Errorf("v3 begins with %+v", r)
	}
}

// An approval is for one attempt: what somebody agreed to before the canary was doubted is not what is asked now.
func TestAnApprovalOfAnEarlierAttemptDoesNotCount(t *testing.T) {
	required := v1alpha1.ApprovalRequired
	const gone = "v2/1"
	approved := func(t *testing.T) *scene {
		s := newScene(t)
		s.spec.Rollout.Steps = steps("10", "50")
		s.spec.Rollout.Steps[0].Approval = &required
		s.approve = gone
		s.ship("v2")
		s.untilStep(2, 5*time.Minute)
		return s
	}
	for name, again := range map[string]func(*scene){
		"it was rolled back, and is tried again": func(s *scene) {
			s.trouble["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
			s.until(idle, time.Minute)
			s.trouble = map[string]*Trouble{}
			s.retry = "now"
			s.untilStep(1, time.Minute)
		},
		"its pods were lost": func(s *scene) {
			s.kill("v2", s.now)
			s.untilStep(1, time.Minute)
		},
		"it was suspected": func(s *scene) {
			s.run(10 * time.Second)
			s.suspect()
		},
		"another backend served": func(s *scene) {
			s.failOver("backup")
			s.run(time.Minute)
			s.failOver("primary")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := approved(t)
			again(s)
			s.until(awaitingApproval, time.Hour)
			s.run(time.Minute)
			r := s.status.Rollout
			if s.phase() != awaitingApproval || r.Step != 1 || r.Attempt != 2 || !strings.HasSuffix(s.message(), "waits for the annotation headgate.dev/approve: v2/1/2") {
				t.Fatalf("%s in step %d, attempt %d: %s", s.phase(), r.Step, r.Attempt, s.message())
			}
			for _, not := range []string{"v2/1", "v2/1/1", "v2/1/3", "v2/2/2", "v2/1/2 "} {
				s.approve = not
				if s.run(2 * time.Second); s.phase() != awaitingApproval {
					t.Fatalf("%q was taken for an approval", not)
				}
			}
			s.approve = "v2/1/2"
			s.untilStep(2, time.Minute)
		})
	}
}

// Going back by a step is another attempt.
func TestADoubtedStepIsAnotherAttempt(t *testing.T) {
	s := newScene(t)
	s.replicas, s.pods["v1"] = 20, 20
	required := v1alpha1.ApprovalRequired
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Steps[0].Approval = &required
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.pace = time.Hour
	s.approve = "v2/1"
	s.until(preparing, 5*time.Minute)
	s.raiseDoubt()
	s.run(time.Second)
	if r := s.status.Rollout; !decided(s.all, v1alpha1.DecisionStepDoubted) || r.Step != 1 || r.Attempt != 2 {
		t.Fatalf("step %d, attempt %d: %s", r.Step, r.Attempt, s.reasons())
	}
	s.until(awaitingApproval, time.Hour)
	if want := "headgate.dev/approve: v2/1/2"; !strings.HasSuffix(s.message(), want) {
		t.Errorf("it says %q, not %q", s.message(), want)
	}
}

// raiseDoubt lets just so many calls of the canary fail that it must not advance, and is not suspected.
func (s *scene) raiseDoubt() {
	s.t.Helper()
	for _, share := range []float64{0.05, 0.1, 0.2, 0.4, 1} {
		s.fail("v2", share)
		s.run(time.Second)
		if s.doubtful() || s.phase() == rechecking {
			break
		}
	}
	s.fail("v2", 0)
	if s.phase() == rechecking {
		s.t.Fatalf("it is suspected: %s", s.message())
	}
}

// Evidence for a canary does not suffice while something speaks against it: the message has both.
func TestADoubtIsSaidBesideTheEvidence(t *testing.T) {
	s := newScene(t)
	s.rate = 4000
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Steps[0].Hold = long(time.Second)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(10 * time.Second)
	s.leaveInDoubt()
	s.run(5 * time.Second)
	if want := "; something speaks against the canary, odds that it is worse "; !s.doubtful() || !strings.Contains(s.message(), want) {
		t.Errorf("doubtful %t: %q", s.doubtful(), s.message())
	}
	s.runUntil(time.Hour, func() bool { return !s.doubtful() })
	if strings.Contains(s.message(), "speaks against") {
		t.Errorf("no doubt is left, and it says %q", s.message())
	}
}
