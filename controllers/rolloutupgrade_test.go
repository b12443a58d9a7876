package controllers

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/shop"
)

// The version before this one ran a canary in a Deployment of its own, beside the user's, which it paused for ever. Whatever it was doing
// ends in good order, and nothing is left of what it has made.
func TestARolloutOfTheVersionBeforeEndsInGoodOrder(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		phase  v1alpha1.RolloutPhase
		weight int32
		// released: Kubernetes rolls the Deployment out already; done: it has.
		released, done bool
		fails          bool
	}{
		{phase: v1alpha1.RolloutPreparing},
		{phase: v1alpha1.RolloutStepping, weight: 200_000},
		{phase: v1alpha1.RolloutAwaitingApproval, weight: 200_000},
		{phase: v1alpha1.RolloutRechecking},
		{phase: v1alpha1.RolloutSuspended},
		{phase: v1alpha1.RolloutPromoting, weight: 1_000_000},
		{phase: v1alpha1.RolloutPromoting, weight: 1_000_000, released: true},
		{phase: v1alpha1.RolloutHandingOver, weight: 1_000_000, released: true, done: true},
		{phase: v1alpha1.RolloutRollingBack, fails: true},
		{phase: v1alpha1.RolloutIdle, fails: true},
	} {
		for _, policy := range []bool{true, false} {
			if !runs(policy == (i%2 == 0) && i%3 == 0) {
				continue // `make test-long` has the others.
			}
			t.Run(fmt.Sprintf("%s, released %t, policy %t", c.phase, c.released, policy), func(t *testing.T) {
				s := newShipperWithoutPolicy(t)
				s.scale(4)
				before := s.open()
				s.expose()
				before.stop()
				if c.released && !c.done {
					s.workloads.Behave("app:2", shop.Behaviour{NeverReady: true})
				}
				edit(s.world, s.deployment, func(d *appsv1.Deployment) {
					d.Spec.Template.Spec.Containers[0].Image, d.Spec.Paused = "app:2", !c.released
					// It had no such label.
					delete(d.Labels, v1alpha1.LabelRollout)
				})
				if c.done {
					s.untilPods("app:2 4")
				}
				s.leaveCanary(c.fails)
				s.leaveStatus(func(r *v1alpha1.RolloutStatus, revision string) {
					r.Phase, r.Revision, r.Weight, r.Step, r.Attempt, r.Replicas = c.phase, revision, c.weight, 1, 1, 1
					r.Evidence = &v1alpha1.RolloutEvidence{CountedUntil: ptr.To(metav1.NewMicroTime(s.clock.Now()))}
					r.LiveSince = ptr.To(metav1.NewMicroTime(s.clock.Now()))
					if c.done {
						r.Stable = revision
					}
					if c.fails {
						r.Step, r.Replicas, r.Failed = 0, 0, &v1alpha1.FailedRevision{
							Revision: revision, Reason: rollout.FailureWorse, Message: "it was worse", Time: metav1.NewMicroTime(s.clock.Now()),
						}
					}
				})
				if s.policy = policy; policy {
					s.holdTemplates()
				}
				s.open()
				if c.fails {
					s.until("it has failed", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Failed != nil })
					s.nothingIsLeft()
					s.untilPods("app:1 4")
					return
				}
				if c.released && !c.done {
					s.until("it starts again", func(r *v1alpha1.RolloutStatus) bool { return has(s.exs, v1alpha1.DecisionRolloutUpgraded) })
					s.untilWanted("app:1 4, app:2 1")
					s.workloads.Behave("app:2", shop.Behaviour{})
				}
				s.promoted("app:2")
				s.untilPods("app:2 4")
				if upgraded := has(s.exs, v1alpha1.DecisionRolloutUpgraded); !upgraded {
					t.Errorf("there were %v", reasonsOf(s.exs))
				}
			})
		}
	}
}

// leaveCanary makes what the version before has of a canary.
func (s *shipper) leaveCanary(idle bool) {
	s.t.Helper()
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{
			Name: name, Namespace: s.namespace, OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(s.exs, v1alpha1.GroupVersion.WithKind(v1alpha1.KindExposedService))},
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: s.exs.Name, v1alpha1.LabelOwnerNamespace: s.namespace,
				v1alpha1.LabelBackend: v1alpha1.CanaryName,
			},
			Annotations: map[string]string{v1alpha1.AnnotationIntent: "of the version before"},
		}
	}
	labels := map[string]string{"app": shop.Canary}
	canary := &appsv1.Deployment{
		ObjectMeta: meta(shop.Canary),
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:2"}}},
			},
		},
	}
	if idle {
		canary.Spec.Replicas = ptr.To[int32](0)
	}
	front, slot := s.service(shop.Canary), s.service(s.exs.Name+"-canary-gw")
	front.ObjectMeta, slot.ObjectMeta = meta(front.Name), meta(slot.Name)
	front.Spec.Selector, slot.Spec.Selector = labels, nil
	s.create(canary, front, slot)
}

// leaveStatus writes what the version before has in the status.
func (s *shipper) leaveStatus(f func(r *v1alpha1.RolloutStatus, revision string)) {
	s.t.Helper()
	s.eventually("the status is written", func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		revision, err := workload.Revision(&s.deployment.Spec.Template, "")
		if err != nil {
			return err
		}
		status := &s.exs.Status
		f(status.Rollout, revision)
		status.Traffic.Slot, status.Traffic.StableHash, status.Traffic.CanaryHash = "", "", ""
		if status.Rollout.Phase != v1alpha1.RolloutIdle {
			canary := v1alpha1.BackendWeight{Name: v1alpha1.CanaryName, Weight: status.Rollout.Weight}
			status.Traffic.Weights[0].Weight -= canary.Weight
			status.Traffic.Weights = append(status.Traffic.Weights[:1:1], append([]v1alpha1.BackendWeight{canary}, status.Traffic.Weights[1:]...)...)
		}
		status.Traffic.Revision++
		return s.kube.Status().Update(s.t.Context(), s.exs)
	})
}
