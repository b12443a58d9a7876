package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// Nobody ships a version by taking away who would have proved it.

// leftHeld says that a Deployment runs its stable version and no other, and that Headgate owns nothing of it.
func leftHeld(d *appsv1.Deployment) bool {
	return d.Spec.Paused && !ownedByHeadgate(d) && d.Status.UpdatedReplicas == 0 && d.Status.Replicas == 2 && d.Status.ReadyReplicas == 2
}

func ownedByHeadgate(d *appsv1.Deployment) bool {
	return d.Labels[v1alpha1.LabelRollout] != "" ||
		slices.ContainsFunc(d.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == "headgate-workload" })
}

// TestDeletionInTheMiddleOfARolloutKeepsTheStableVersion, says so, and leaves it to people to go on.
func TestDeletionInTheMiddleOfARolloutKeepsTheStableVersion(t *testing.T) {
	t.Parallel()
	trial := try(t, "givenup", v1alpha1.StrategyAuto, nil)
	trial.ships(held, 10, 50)
	trial.atStepOf(newVersion)
	must(t, cluster.Delete(trial.ctx, trial.exs))
	trial.untilPrimary("the stable version alone", leftHeld)
	must(t, scene.Until(trial.ctx, "an event that says so", func(ctx context.Context) error {
		var events corev1.EventList
		if err := cluster.List(ctx, &events, client.InNamespace(trial.space)); err != nil {
			return err
		}
		for _, event := range events.Items {
			if event.Reason == "LeftHeld" && strings.Contains(event.Message, "rollout resume deployment "+primary) {
				t.Log(event.Message)
				return nil
			}
		}
		return fmt.Errorf("%w among %d events", errUnderWay, len(events.Items))
	}))
	trial.kubectl("rollout", "resume", "deployment/"+primary)
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
}

// TestRemovalOfTheRolloutInTheMiddleLosesNoCall, whatever is to become of the version that is not proved.
func TestRemovalOfTheRolloutInTheMiddleLosesNoCall(t *testing.T) {
	t.Parallel()
	for policy, done := range map[v1alpha1.RemovalPolicy]func(*appsv1.Deployment) bool{
		v1alpha1.RemovalKeepStable: leftHeld,
		v1alpha1.RemovalRelease: func(d *appsv1.Deployment) bool {
			return !d.Spec.Paused && !ownedByHeadgate(d) && d.Status.UpdatedReplicas == 2 && d.Status.Replicas == 2 && d.Status.ReadyReplicas == 2
		},
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			trial := try(t, "removed-"+strings.ToLower(string(policy)), v1alpha1.StrategyAuto, nil)
			trial.ships(func(r *v1alpha1.Rollout) {
				held(r)
				r.OnRemoval = ptr.To(policy)
			}, 10, 50)
			trial.atStepOf(newVersion)
			trial.mark("spec.rollout removed")
			must(t, cluster.Change(trial.ctx, trial.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.Rollout = nil }))
			trial.untilPrimary("what is wanted of the Deployment", done)
			trial.answered(primary)
			trial.nothingFailed()
		})
	}
}
