package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// What may still happen when a version is promoted, and Kubernetes rolls it out.

// slowVersion differs in nothing that matters but that each pod takes some seconds to become ready, so that a promotion has a middle.
const slowVersion = `{"spec":{"template":{"metadata":{"annotations":{"version":"2"}},"spec":{"containers":[` +
	`{"name":"greeter","readinessProbe":{"initialDelaySeconds":5}}]}}}}`

// thirdVersion is another one.
const thirdVersion = `{"spec":{"template":{"metadata":{"annotations":{"version":"3"}}}}}`

// promoting is a trial in a phase of a promotion: some of the primary's four pods run the new version, and others are to come.
func promoting(t *testing.T, name string, phase v1alpha1.RolloutPhase) (*trial, *follower) {
	t.Helper()
	trial := try(t, name, v1alpha1.StrategyAuto, nil)
	trial.has(4)
	trial.ships(nil, 25)
	follower := trial.follow()
	trial.ship(slowVersion)
	trial.rollout("the promotion is under way", func(status v1alpha1.RolloutStatus) bool { return status.Phase == phase })
	return trial, follower
}

// has gives the primary so many pods, at rest, and waits for them.
func (t *trial) has(replicas int32) {
	t.Helper()
	must(t.T, cluster.Scale(t.ctx, t.space, primary, replicas))
	must(t.T, cluster.UntilReady(t.ctx, t.space, primary))
	must(t.T, scene.Until(t.ctx, fmt.Sprintf("%d pods", replicas), func(ctx context.Context) error {
		var pods corev1.PodList
		if err := cluster.List(ctx, &pods, client.InNamespace(t.space), client.MatchingLabels{"app": primary}); err != nil {
			return err
		}
		if len(pods.Items) != int(replicas) {
			return fmt.Errorf("there are %d", len(pods.Items))
		}
		return nil
	}))
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

// TestATemplateInTheMiddleOfAPromotionGetsNoPod before its own rollout has begun, whoever is faster: it is held in the write that brings it.
func TestATemplateInTheMiddleOfAPromotionGetsNoPod(t *testing.T) {
	t.Parallel()
	for name, phase := range map[string]v1alpha1.RolloutPhase{"growing": v1alpha1.RolloutPromoting, "releasing": v1alpha1.RolloutReleasing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial, follower := promoting(t, "overtaken-"+name, phase)
			first := trial.exs.Status.Rollout.Revision
			trial.holds("60s")
			shipped := trial.ship(thirdVersion)
			trial.rollout("the newer revision is tried", func(status v1alpha1.RolloutStatus) bool {
				return status.Phase == v1alpha1.RolloutStepping && status.Revision != first
			})
			began := trial.decided(v1alpha1.DecisionRolloutStarted, shipped)
			pods := follower.pods.Pods(trial.canaryHash())
			t.Logf("its own rollout began after %.1f s, and it has %d pods", began.Time.Sub(shipped).Seconds(), len(pods))
			for _, pod := range pods {
				if pod.Annotations["version"] != "3" || pod.Seen.Before(began.Time.Time) {
					t.Errorf("%+v was there %.1f s before its rollout began", pod, began.Time.Sub(pod.Seen).Seconds())
				}
			}
			if len(pods) == 0 || len(pods) > 2 {
				t.Errorf("a quarter of five pods are %d", len(pods))
			}
			for _, pod := range follower.pods.Pods("") {
				if pod.Annotations["version"] == "3" && pod.Hash != trial.canaryHash() {
					t.Errorf("%+v is of the third version, and not the canary", pod)
				}
			}
			trial.nothingFailed()
		})
	}
}

// TestAPromotionThatTurnsOutBadIsTakenBack: errors begin when some pods run the new version already.
func TestAPromotionThatTurnsOutBadIsTakenBack(t *testing.T) {
	t.Parallel()
	trial, _ := promoting(t, "takenback", v1alpha1.RolloutPromoting)
	canary := trial.canaryHash()
	marked := trial.mark("50 % INTERNAL of the canary")
	must(t, cluster.OrderVersion(trial.ctx, trial.space, primary, canary, "errors", "share", "0.5", "code", "INTERNAL"))
	trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool { return status.Failed != nil })
	t.Logf("rolled back after %.1f s: %s", time.Since(marked).Seconds(), trial.exs.Status.Rollout.Failed.Message)
	trial.untilPrimary("all of the primary's pods are old ones", func(d *appsv1.Deployment) bool {
		return d.Spec.Paused && d.Status.UpdatedReplicas == 0 && d.Status.AvailableReplicas >= 4
	})
	t.Logf("all pods run the stable version again after %.1f s", time.Since(marked).Seconds())
	for call := range trial.report().Calls() {
		if call.Failed() && call.Pod != "" && scene.HashOf(call.Pod, primary) != canary {
			t.Errorf("failed: %+v", call)
		}
	}
}
