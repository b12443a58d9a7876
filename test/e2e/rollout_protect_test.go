package e2e

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// TestAProtectedServiceHasTheStableVersionAloneInARollout, and all pods again whatever ends it.
func TestAProtectedServiceHasTheStableVersionAloneInARollout(t *testing.T) {
	t.Parallel()
	trial := try(t, "protected", v1alpha1.StrategyAuto, nil)
	trial.ships(func(r *v1alpha1.Rollout) {
		held(r)
		r.WorkloadRef.ProtectService = ptr.To(true)
	}, 50)
	trial.untilServiceSelects("")
	trial.atStepOf(newVersion)
	trial.untilServiceSelects(trial.exs.Status.Traffic.StableHash)
	canary, err := cluster.VersionPods(trial.ctx, trial.space, primary, trial.canaryHash())
	must(t, err)
	for _, pod := range canary {
		if trial.inService(trial.ctx, pod.Status.PodIP) == nil {
			t.Errorf("%s is among the endpoints of the application's Service", pod.Name)
		}
	}
	trial.holds("1s")
	trial.promoted()
	trial.untilServiceSelects("")
	trial.atRest()

	trial.holds("1h")
	trial.atStepOf(thirdVersion)
	trial.untilServiceSelects(trial.exs.Status.Traffic.StableHash)
	trial.nothingFailed()
	must(t, cluster.Delete(trial.ctx, trial.exs))
	trial.untilServiceSelects("")
}

// untilServiceSelects waits until the primary's own Service selects by a pod-template-hash; empty: by none.
func (t *trial) untilServiceSelects(hash string) {
	t.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: t.space, Name: primary}}
	must(t.T, scene.Until(t.ctx, fmt.Sprintf("the Service to select by %q", hash), func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
			return err
		}
		have, found := service.Spec.Selector[appsv1.DefaultDeploymentUniqueLabelKey]
		if have != hash || found != (hash != "") || service.Spec.Selector["app"] != primary {
			return fmt.Errorf("%w: %v", errUnderWay, service.Spec.Selector)
		}
		return nil
	}))
}
