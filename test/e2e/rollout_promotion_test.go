package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// What may still happen when a version is promoted, and Kubernetes rolls it out.

// promoting is a trial in the middle of a promotion: some of the primary's four pods run the new version, and a few seconds pass before the
// next one is replaced.
func promoting(t *testing.T, name string) *trial {
	t.Helper()
	trial := try(t, name, v1alpha1.StrategyAuto, nil)
	must(t, cluster.Patch(trial.ctx, primaryIn(trial.space), client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":4,"minReadySeconds":4}}`))))
	trial.untilPrimary("four pods", func(d *appsv1.Deployment) bool { return d.Status.AvailableReplicas == 4 })
	trial.ships(nil, 50)
	trial.ship(newVersion)
	trial.rollout("the promotion has begun", func(status v1alpha1.RolloutStatus) bool { return status.Phase == v1alpha1.RolloutPromoting })
	trial.untilPrimary("new pods", func(d *appsv1.Deployment) bool {
		return d.Status.UpdatedReplicas > 0 && d.Status.UpdatedReplicas < d.Status.Replicas
	})
	return trial
}

// untilPrimary waits until the primary is as it is to be.
func (t *trial) untilPrimary(what string, is func(*appsv1.Deployment) bool) {
	t.Helper()
	d := primaryIn(t.space)
	must(t.T, scene.UntilWithin(t.ctx, rolloutPatience, 20*time.Millisecond, what, func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return err
		}
		if d.Status.ObservedGeneration < d.Generation || !is(d) {
			return fmt.Errorf("%w: paused %t, %+v", errUnderWay, d.Spec.Paused, d.Status)
		}
		return nil
	}))
}

// untestedFor bounds how long pods of a version that nobody has tested answer calls. As a rule they are taken back before they are ready;
// but that is a race with Kubernetes, and on a busy node they win it.
const untestedFor = 10 * time.Second

// TestATemplateInTheMiddleOfAPromotion goes into pods before anybody can hold it. They are taken back at once, and it is shipped step by
// step as any other.
func TestATemplateInTheMiddleOfAPromotion(t *testing.T) {
	t.Parallel()
	trial := promoting(t, "overtaken")
	first := trial.exs.Status.Rollout.Revision
	trial.changeRollout(func(r *v1alpha1.Rollout) {
		hold := v1alpha1.LongDuration("60s")
		r.Steps[0].Hold = &hold
	})
	shipped := trial.mark("version 3")
	trial.ship(`{"spec":{"template":{"metadata":{"annotations":{"version":"3"}}}}}`)
	trial.rollout("the newer revision is tried", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutStepping && status.Revision != first
	})
	trial.untilPrimary("none of the primary's pods run it", func(d *appsv1.Deployment) bool {
		return d.Spec.Paused && d.Status.UpdatedReplicas == 0 && d.Status.AvailableReplicas >= 4
	})
	sets := &appsv1.ReplicaSetList{}
	must(t, cluster.List(trial.ctx, sets, client.InNamespace(trial.space)))
	calls := trial.report()
	for _, set := range sets.Items {
		if set.Spec.Template.Annotations["version"] != "3" || strings.HasPrefix(set.Name, canary) {
			continue
		}
		answered := 0
		for call := range calls.Calls() {
			if !strings.HasPrefix(call.Pod, set.Name+"-") {
				continue
			}
			answered++
			if late := call.Due.Sub(shipped); late > untestedFor {
				t.Errorf("%.1f s after it came a version that is not tested still answers: %+v", late.Seconds(), call)
			}
		}
		t.Logf("%s was scaled: %t; its pods answered %d of %d calls", set.Name, set.Generation > 1, answered, calls.Total)
	}
	trial.nothingFailed()
}

// TestAPromotionThatTurnsOutBadIsTakenBack: errors begin when some pods run the new version already.
func TestAPromotionThatTurnsOutBadIsTakenBack(t *testing.T) {
	t.Parallel()
	trial := promoting(t, "takenback")
	marked := trial.mark("50 % INTERNAL of the canary")
	must(t, cluster.Order(trial.ctx, trial.space, canary, "errors", "share", "0.5", "code", "INTERNAL"))
	trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool { return status.Failed != nil })
	t.Logf("rolled back after %.1f s: %s", time.Since(marked).Seconds(), trial.exs.Status.Rollout.Failed.Message)
	trial.untilPrimary("all of the primary's pods are old ones", func(d *appsv1.Deployment) bool {
		return d.Spec.Paused && d.Status.UpdatedReplicas == 0 && d.Status.AvailableReplicas >= 4
	})
	t.Logf("all pods run the stable version again after %.1f s", time.Since(marked).Seconds())
	for call := range trial.report().Calls() {
		if call.Failed() && call.Pod != "" && !strings.HasPrefix(call.Pod, canary+"-") {
			t.Errorf("failed: %+v", call)
		}
	}
}
