package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// A canary is a part of the application, as any new version is in a rolling update.

// TestPodsAreStartedOnceAndNoEndpointChangesItsPlace in two rollouts after each other, so that both places of a version take their turns.
func TestPodsAreStartedOnceAndNoEndpointChangesItsPlace(t *testing.T) {
	t.Parallel()
	trial := try(t, "places", v1alpha1.StrategyAuto, nil)
	trial.has(4)
	trial.ships(nil, 25, 50)
	follower := trial.follow()
	for _, version := range []string{newVersion, thirdVersion} {
		trial.promotes(version)
		follower.startedOnce(trial.canaryHash(), 4)
		trial.atRest()
		trial.answered(primary)
	}
	follower.nobodyMoved(3 * 4)
	trial.nothingFailed()
}

func TestWithoutSurgeThereAreNeverMorePodsThanReplicas(t *testing.T) {
	t.Parallel()
	trial := try(t, "surgeless", v1alpha1.StrategyAuto, nil)
	trial.change(`{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}}}}`)
	trial.has(4)
	trial.ships(nil, 25, 50)
	follower := trial.follow()
	trial.promotes(newVersion)
	// A pod that is made while another one is told to end does not run yet.
	if most := follower.pods.MostRunning(""); most > 4 {
		t.Errorf("%d pods ran at the same time", most)
	}
	follower.startedOnce(trial.canaryHash(), 4)
	trial.nothingFailed()
}

// TestADeploymentOfOnePodHasASecondOneBesideIt until the new version is proved: Kubernetes would take the old one away for it.
func TestADeploymentOfOnePodHasASecondOneBesideIt(t *testing.T) {
	t.Parallel()
	trial := try(t, "single", v1alpha1.StrategyAuto, nil)
	trial.has(1)
	trial.ships(held, 50)
	follower := trial.follow()
	trial.atStepOf(newVersion)
	stable, canary := trial.exs.Status.Traffic.StableHash, trial.canaryHash()
	for hash, kind := range map[string]string{stable: "Deployment", canary: v1alpha1.KindExposedService} {
		pods, err := cluster.VersionPods(trial.ctx, trial.space, primary, hash)
		must(t, err)
		if owner := metav1.GetControllerOf(trial.set(hash)); len(pods) != 1 || owner == nil || owner.Kind != kind {
			t.Errorf("%s has %d pods and belongs to %+v, want one and a %s", hash, len(pods), owner, kind)
		}
	}
	trial.holds("1s")
	trial.promoted()
	trial.atRest()
	if owner := metav1.GetControllerOf(trial.set(canary)); owner == nil || owner.Kind != "Deployment" {
		t.Errorf("the new version belongs to %+v in the end", owner)
	}
	follower.startedOnce(stable, 1)
	follower.startedOnce(canary, 1)
	follower.nobodyMoved(2)
	trial.nothingFailed()
}

// TestWhatSelectsTheApplicationSelectsTheCanary: nobody has to know of a second name.
func TestWhatSelectsTheApplicationSelectsTheCanary(t *testing.T) {
	t.Parallel()
	trial := try(t, "selected", v1alpha1.StrategyAuto, nil)
	whole := metav1.LabelSelector{MatchLabels: map[string]string{"app": primary}}
	named := metav1.ObjectMeta{Namespace: trial.space, Name: primary}
	network := &networkingv1.NetworkPolicy{ObjectMeta: named, Spec: networkingv1.NetworkPolicySpec{
		PodSelector: whole, PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}},
	}}
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: named, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &whole, MinAvailable: ptr.To(intstr.FromInt32(1))}}
	must(t, cluster.Put(trial.ctx, network, budget))
	trial.ships(held, 50)
	trial.atStepOf(newVersion)
	canary, err := cluster.VersionPods(trial.ctx, trial.space, primary, trial.canaryHash())
	must(t, err)
	if len(canary) != 1 {
		t.Fatalf("the canary has %d pods", len(canary))
	}

	service, deployment := &corev1.Service{ObjectMeta: named}, primaryIn(trial.space)
	for _, object := range []client.Object{network, budget, service, deployment} {
		must(t, cluster.Get(trial.ctx, client.ObjectKeyFromObject(object), object))
	}
	for what, selector := range map[string]*metav1.LabelSelector{
		"NetworkPolicy": &network.Spec.PodSelector, "PodDisruptionBudget": budget.Spec.Selector, "Deployment": deployment.Spec.Selector,
		"Service": {MatchLabels: service.Spec.Selector},
	} {
		selects, err := metav1.LabelSelectorAsSelector(selector)
		must(t, err)
		if !selects.Matches(labels.Set(canary[0].Labels)) {
			t.Errorf("the selector of the %s, %s, does not match the canary's labels %v", what, selects, canary[0].Labels)
		}
	}
	// Two pods of stable, and the canary's.
	must(t, scene.Until(trial.ctx, "the budget counts three pods", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(budget), budget); err != nil {
			return err
		}
		if budget.Status.ExpectedPods != 3 || budget.Status.CurrentHealthy != 3 {
			return fmt.Errorf("%w: %+v", errUnderWay, budget.Status)
		}
		return nil
	}))
	must(t, scene.Until(trial.ctx, "the application's Service has the canary", func(ctx context.Context) error {
		return trial.inService(ctx, canary[0].Status.PodIP)
	}))
	trial.nothingFailed()
}

// inService says that an address is among the endpoints of the primary's Service, or what is there instead.
func (t *trial) inService(ctx context.Context, address string) error {
	var found discoveryv1.EndpointSliceList
	if err := cluster.List(ctx, &found, client.InNamespace(t.space), client.MatchingLabels{discoveryv1.LabelServiceName: primary}); err != nil {
		return err
	}
	var have []string
	for _, slice := range found.Items {
		for _, endpoint := range slice.Endpoints {
			have = append(have, endpoint.Addresses...)
		}
	}
	if !slices.Contains(have, address) {
		return fmt.Errorf("%w: %s is not among %v", errUnderWay, address, have)
	}
	return nil
}

// TestAnEvictedCanaryDelaysTheRolloutAndFailsNothing: a node that is drained says nothing of the version that runs on it.
func TestAnEvictedCanaryDelaysTheRolloutAndFailsNothing(t *testing.T) {
	t.Parallel()
	trial := try(t, "evicted", v1alpha1.StrategyAuto, nil)
	trial.ships(held, 10, 50)
	trial.atStepOf(newVersion)
	pods, err := cluster.VersionPods(trial.ctx, trial.space, primary, trial.canaryHash())
	must(t, err)
	if len(pods) != 1 {
		t.Fatalf("the canary has %d pods", len(pods))
	}
	trial.mark("the canary is evicted")
	must(t, cluster.SubResource("eviction").Create(trial.ctx, &pods[0], &policyv1.Eviction{}))
	must(t, scene.Until(trial.ctx, "another pod", func(ctx context.Context) error {
		now, err := cluster.VersionPods(ctx, trial.space, primary, trial.canaryHash())
		if err != nil || len(now) != 1 || now[0].Name == pods[0].Name {
			return errors.Join(err, fmt.Errorf("%w: %d pods", errUnderWay, len(now)))
		}
		return nil
	}))
	trial.holds("1s")
	trial.promoted()
	if trial.decisions(v1alpha1.DecisionRolloutFailed) > 0 {
		t.Errorf("history: %v", scene.History(trial.exs))
	}
	trial.nothingFailed()
}
