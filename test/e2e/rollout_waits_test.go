package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// Pods that do not come are nobody's failure: the rollout waits, and says for what in the words of Kubernetes.

// soon is how long pods may take until that is said.
const soon = `{"spec":{"progressDeadlineSeconds":5}}`

// waits fails the test if a rollout that waits has failed.
func (t *trial) waits(words string) {
	t.Helper()
	t.progressing(v1alpha1.ReasonPodsNotReady, words)
	if status := t.exs.Status.Rollout; status.Failed != nil || status.Weight != 0 {
		t.Errorf("it does not only wait: %+v", status)
	}
}

// TestAQuotaInTheMiddleHoldsTheRolloutUntilItIsRaised: what the canary would be too much for is no fault of its version.
func TestAQuotaInTheMiddleHoldsTheRolloutUntilItIsRaised(t *testing.T) {
	t.Parallel()
	trial := try(t, "quota", v1alpha1.StrategyAuto, nil)
	trial.change(soon)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: trial.space, Name: "small"}}
	allow := func(pods string) {
		quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}
		must(t, cluster.Put(trial.ctx, quota.DeepCopy()))
	}
	allow("3") // two primaries and a backup
	must(t, scene.Until(trial.ctx, "the quota is counted", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
			return err
		}
		if used := quota.Status.Used[corev1.ResourcePods]; used.Value() != 3 {
			return fmt.Errorf("%w: %s of 3 pods", errUnderWay, used.String())
		}
		return nil
	}))
	trial.ships(nil, 10, 50)
	trial.ship(newVersion)
	trial.waits("exceeded quota")
	trial.mark("quota raised")
	quota = &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: trial.space, Name: "small"}}
	allow("10")
	trial.promoted()
	once(trial, v1alpha1.DecisionRolloutStarted)
	trial.nothingFailed()
}

// TestRequiredAntiAffinityOnAFullNodeWaitsWithTheSchedulersWords, and what is put back was never away.
func TestRequiredAntiAffinityOnAFullNodeWaitsWithTheSchedulersWords(t *testing.T) {
	t.Parallel()
	ctx := onCluster(t)
	var nodes corev1.NodeList
	must(t, cluster.List(ctx, &nodes))
	if len(nodes.Items) > 1 {
		t.Skip("there is more than one node")
	}
	waitsUntilPutBack(t, "apart", `{"spec":{"template":{"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[`+
		`{"topologyKey":"kubernetes.io/hostname","labelSelector":{"matchLabels":{"app":"primary"}}}]}}}}}}`, "anti-affinity")
}

func TestPodsThatCannotStartHoldTheRolloutAndFailNothing(t *testing.T) {
	t.Parallel()
	for _, bad := range []struct{ name, patch, words string }{
		{"unpullable", `{"spec":{"template":{"spec":{"containers":[{"name":"greeter","image":"registry.invalid/no/such:image"}]}}}}`, "ImagePull"},
		{
			"neverready", `{"spec":{"template":{"spec":{"containers":[{"name":"greeter","readinessProbe":` +
				`{"grpc":{"port":50051,"service":"no.such.Service"},"periodSeconds":1}}]}}}}`, "unready",
		},
	} {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			waitsUntilPutBack(t, bad.name, bad.patch, bad.words)
		})
	}
}

// waitsUntilPutBack ships a version whose pods do not come.
func waitsUntilPutBack(t *testing.T, name, patch, words string) {
	t.Helper()
	trial := try(t, name, v1alpha1.StrategyAuto, nil)
	trial.change(soon)
	trial.ships(nil, 10, 50)
	before := trial.template()
	trial.ship(patch)
	trial.waits(words)
	trial.putBack(before)
	if status := trial.exs.Status.Rollout; status.Failed != nil || trial.decisions(v1alpha1.DecisionRolloutReverted) != 1 {
		t.Errorf("it is not as before: %+v, %v", status, scene.History(trial.exs))
	}
	trial.nothingFailed()
}

// TestRecreateIsRefused, which asks for never two versions at once, and leaves the Deployment alone.
func TestRecreateIsRefused(t *testing.T) {
	t.Parallel()
	ctx, space := apart(t, "recreate")
	must(t, shipIn(ctx, space, `{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}`))
	exs := scene.ExposedService(space, "greeter", primary)
	exs.Spec.Rollout = quickRollout(10, 50)
	must(t, cluster.Put(ctx, exs))
	condition, err := cluster.UntilCondition(ctx, exs, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, v1alpha1.ReasonWorkloadNotSupported)
	must(t, err)
	t.Log(condition.Message)
	d := primaryIn(space)
	must(t, cluster.Get(ctx, client.ObjectKeyFromObject(d), d))
	if _, marked := d.Labels[v1alpha1.LabelRollout]; marked || d.Spec.Paused {
		t.Errorf("the Deployment is marked (%t) or paused (%t)", marked, d.Spec.Paused)
	}
	must(t, shipIn(ctx, space, newVersion))
	must(t, cluster.UntilReady(ctx, space, primary))

	must(t, shipIn(ctx, space, `{"spec":{"strategy":{"$retainKeys":["type"],"type":"RollingUpdate"}}}`))
	must(t, scene.Until(ctx, "the stable revision", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		if status := exs.Status.Rollout; status == nil || status.Stable == "" {
			return fmt.Errorf("%w: %+v", errUnderWay, status)
		}
		return nil
	}))
}
