package e2e

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// What people do to a Deployment with kubectl goes on to work.

func TestARestartAtRestReplacesThePodsAtOnce(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "restarted", 10, 50)
	follower := trial.follow()
	trial.atRest()
	at := trial.mark("restart")
	trial.kubectl("rollout", "restart", "deployment/"+primary)
	trial.decided(v1alpha1.DecisionRestartReleased, at)
	trial.untilPrimary("new pods alone", func(d *appsv1.Deployment) bool {
		return !d.Spec.Paused && d.Status.UpdatedReplicas == 2 && d.Status.Replicas == 2 && d.Status.ReadyReplicas == 2
	})
	t.Logf("restarted in %.1f s", time.Since(at).Seconds())
	trial.atRest()
	if n := trial.decisions(v1alpha1.DecisionRolloutStarted); n > 0 {
		t.Errorf("a restart was taken for a new version: %v", scene.History(trial.exs))
	}
	if pods := follower.pods.Pods(""); len(pods) != 4 {
		t.Errorf("there have been %d pods, want two and two: %+v", len(pods), pods)
	}
	follower.nobodyMoved(4)
	trial.nothingFailed()
}

// TestUndoAtRestBringsThePreviousVersionBackInOneStep, and the bad one has no calls any more.
func TestUndoAtRestBringsThePreviousVersionBackInOneStep(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "undone", 10, 50)
	first := trial.exs.Status.Rollout.Stable
	trial.promotes(newVersion)
	trial.atRest()
	steps := trial.decisions(v1alpha1.DecisionStepPassed)
	bad := trial.mark("20 % INTERNAL")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "errors", "share", "0.2", "code", "INTERNAL"))
	at := trial.mark("undo")
	trial.kubectl("rollout", "undo", "deployment/"+primary)
	trial.rollout("the previous version", func(status v1alpha1.RolloutStatus) bool { return isPromoted(status) && status.Stable == first })
	back := time.Now()
	t.Logf("back in %.1f s: %v", back.Sub(at).Seconds(), scene.History(trial.exs))
	once(trial, v1alpha1.DecisionProofWaived)
	if n := trial.decisions(v1alpha1.DecisionStepPassed) - steps; n > 0 {
		t.Errorf("%d steps asked for evidence", n)
	}
	trial.atRest()
	trial.answered(primary)
	trial.onlyFailedBetween(bad, back)
}

// TestADeploymentAtRestIsHealthyToGitOpsTools before and after a rollout. What they say in the middle is printed.
func TestADeploymentAtRestIsHealthyToGitOpsTools(t *testing.T) {
	t.Parallel()
	trial := try(t, "gitops", v1alpha1.StrategyAuto, nil)
	trial.ships(held, 50)
	trial.atRest()
	trial.healthy()
	trial.atStepOf(newVersion)
	argo, flux, err := scene.Opinions(trial.ctx, trial.space, primary)
	must(t, err)
	t.Logf("in a step: Argo CD %+v, kstatus %+v", argo, flux)
	if argo.Status == "Degraded" || flux.Status == "Failed" {
		t.Errorf("a rollout looks like a failure")
	}
	trial.holds("1s")
	trial.promoted()
	trial.atRest()
	trial.healthy()

	before := trial.template()
	trial.fails(stopping)
	argo, flux, err = scene.Opinions(trial.ctx, trial.space, primary)
	must(t, err)
	t.Logf("rolled back: Argo CD %+v, kstatus %+v", argo, flux)
	trial.putBack(before)
	trial.healthy()
	trial.nothingFailed()
}

// healthy fails the test unless both tools are content with the Deployment.
func (t *trial) healthy() {
	t.Helper()
	argo, flux, err := scene.Opinions(t.ctx, t.space, primary)
	must(t.T, err)
	if argo.Status != "Healthy" || flux.Status != "Current" {
		t.Errorf("at rest: Argo CD %+v, kstatus %+v", argo, flux)
	}
}

// TestWhoResumesInTheMiddleLosesNoCall: somebody releases what is held, and Headgate and Kubernetes pull at the same pods.
func TestWhoResumesInTheMiddleLosesNoCall(t *testing.T) {
	t.Parallel()
	trial := try(t, "resumed", v1alpha1.StrategyAuto, nil)
	trial.has(4)
	trial.ships(held, 25)
	trial.atStepOf(newVersion)
	trial.kubectl("rollout", "resume", "deployment/"+primary)
	trial.holds("1s")
	trial.promoted()
	trial.atRest()
	trial.answered(primary)
	trial.nothingFailed()
}

// TestWithoutHeadgateADeploymentThatRollsLosesNoCall, at rest and in the middle of a step. The whole of it is served, whatever it runs.
func TestWithoutHeadgateADeploymentThatRollsLosesNoCall(t *testing.T) {
	resting := shipping(t, "alone-rest", 10)
	resting.atRest()
	stepping := try(t, "alone-step", v1alpha1.StrategyAuto, nil)
	stepping.ships(held, 10)
	stepping.atStepOf(newVersion)

	t.Cleanup(func() { headgateHas(t, 2) })
	headgateHas(t, 0)
	// Its label would have the API server hold the new pod template for somebody who is not there.
	resting.kubectl("label", "deployment", primary, v1alpha1.LabelRollout+"-")
	resting.ship(newVersion)
	stepping.kubectl("rollout", "resume", "deployment/"+primary)
	for _, trial := range []*trial{resting, stepping} {
		must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
		trial.answered(primary)
	}
	headgateHas(t, 2)
	// What was released at rest is taken as it is. What is not proved yet is taken back, and goes on step by step.
	stepping.holds("1s")
	for _, trial := range []*trial{resting, stepping} {
		before := trial.exs.Status.Rollout.Stable
		trial.rollout("what runs is stable", func(status v1alpha1.RolloutStatus) bool {
			return status.Phase == v1alpha1.RolloutIdle && status.Stable != before
		})
		trial.atRest()
		trial.answered(primary)
		trial.nothingFailed()
	}
}

// TestPeopleSkipHurryAndStopARollout by annotations, each for one revision, and the history says who.
func TestPeopleSkipHurryAndStopARollout(t *testing.T) {
	t.Parallel()
	trial := try(t, "spoken-to", v1alpha1.StrategyAuto, nil)
	trial.ships(held, 10, 50)
	say := func(annotation, value string) {
		trial.kubectl("annotate", "exposedservice", trial.exs.Name, annotation+"="+value)
	}
	trial.atStepOf(newVersion)
	revision := trial.exs.Status.Rollout.Revision
	say(v1alpha1.AnnotationSkip, revision+"/1")
	trial.atStep(2)
	say(v1alpha1.AnnotationPromote, revision)
	trial.promoted()
	trial.atRest()
	trial.atStepOf(thirdVersion)
	say(v1alpha1.AnnotationAbort, trial.exs.Status.Rollout.Revision)
	trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool {
		return status.Failed != nil && status.Phase == v1alpha1.RolloutIdle
	})
	if failed := trial.exs.Status.Rollout.Failed; failed.Reason != "Aborted" {
		t.Errorf("failed is %+v", failed)
	}
	history := strings.Join(scene.History(trial.exs), "\n")
	for _, annotation := range []string{v1alpha1.AnnotationPromote, v1alpha1.AnnotationAbort} {
		if !strings.Contains(history, annotation+" was set by kubectl-annotate") {
			t.Errorf("the history does not say who has set %s:\n%s", annotation, history)
		}
	}
	trial.nothingFailed()
}
