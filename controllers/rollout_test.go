package controllers

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/test/shop"
)

// shipping asks for a rollout of a Deployment.
func shipping(deployment string) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: deployment}}
	}
}

// deployment is the one whose pods the Service of that name selects.
func (w *world) deployment(name string) *appsv1.Deployment {
	return shop.Deployment(w.namespace, name)
}

// controlDeployment writes what the Deployment's controller, which no test has, would: all pods are of
// the template, or none when it was changed while the Deployment is held.
func (w *world) controlDeployment(d *appsv1.Deployment, image string) error {
	if err := w.read(d); err != nil {
		return err
	}
	updated := int32(0)
	if d.Spec.Template.Spec.Containers[0].Image == image {
		updated = 2
	}
	want := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation, Replicas: 2, UpdatedReplicas: updated, ReadyReplicas: 2, AvailableReplicas: 2,
	}
	if d.Status.ObservedGeneration == want.ObservedGeneration && d.Status.UpdatedReplicas == updated {
		return nil
	}
	d.Status = want
	return w.kube.Status().Update(w.t.Context(), d)
}

// untilHeld waits until the Deployment is held and what it runs is known.
func (w *world) untilHeld(exs *v1alpha1.ExposedService, d *appsv1.Deployment) {
	w.t.Helper()
	w.eventually("the Deployment is held", func() error {
		if err := w.controlDeployment(d, "app:1"); err != nil {
			return err
		}
		if err := w.read(exs); err != nil {
			return err
		}
		if !d.Spec.Paused || exs.Status.Rollout == nil || exs.Status.Rollout.Stable == "" {
			return fmt.Errorf("paused: %t, rollout: %+v", d.Spec.Paused, exs.Status.Rollout)
		}
		return nil
	})
}

func (w *world) ownsPaused(d *appsv1.Deployment) bool {
	return slices.ContainsFunc(d.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == deployments.FieldManager })
}

func TestAChangedTemplateStartsACanaryAndDeletionGivesTheDeploymentUp(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator()
	d := w.deployment("primary-svc")
	w.create(d)
	exs := w.exposedService("greeter", shipping(d.Name))
	w.create(exs)
	w.untilHeld(exs, d)
	if !w.ownsPaused(d) || !slices.Contains(exs.Finalizers, v1alpha1.Finalizer) {
		t.Errorf("managed by %v, finalizers %v", d.ManagedFields, exs.Finalizers)
	}

	edit(w, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "app:2" })
	canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "primary-svc-canary", Namespace: w.namespace}}
	front := &corev1.Service{ObjectMeta: canary.ObjectMeta}
	w.eventually("the canary is made", func() error {
		return errors.Join(w.controlDeployment(d, "app:1"), w.read(canary), w.read(front))
	})
	if image := canary.Spec.Template.Spec.Containers[0].Image; image != "app:2" {
		t.Errorf("the canary runs %s", image)
	}
	if app := front.Spec.Selector["app"]; app != "primary-svc-canary" || canary.Spec.Template.Labels["app"] != app {
		t.Errorf("the canary's Service selects %v, its pods have %v", front.Spec.Selector, canary.Spec.Template.Labels)
	}
	w.eventually("the route names the canary with no weight", func() error {
		weights, err := w.routeWeights(exs)
		if err == nil && !slices.Contains(weights, "greeter-canary-gw 0") {
			err = fmt.Errorf("weights are %v", weights)
		}
		return err
	})
	if err := w.read(d); err != nil || !d.Spec.Paused {
		t.Errorf("the Deployment is not held any more: %v", err)
	}

	w.delete(exs)
	w.eventually("the ExposedService is gone", func() error { return gone(w, exs) })
	if err := w.read(d); err != nil || d.Spec.Paused || w.ownsPaused(d) {
		t.Errorf("the Deployment was not given up: paused %t, managed by %v, %v", d.Spec.Paused, d.ManagedFields, err)
	}
}

func TestARolloutGetsOnWhereAnOperatorDied(t *testing.T) {
	t.Parallel()
	for writes := 1; writes <= 6; writes++ {
		t.Run(fmt.Sprintf("after write %d", writes), func(t *testing.T) {
			w := newWorld(t).withDataPlane().withBackends()
			d := w.deployment("primary-svc")
			w.create(d)
			if err := w.controlDeployment(d, "app:1"); err != nil {
				t.Fatal(err)
			}
			exs := w.exposedService("greeter", shipping(d.Name))
			w.create(exs)
			first := w.startOperator(func(_ *Config, transport *transport) { transport.cutAfter = writes })
			w.eventually("the crash", func() error {
				if err := w.controlDeployment(d, "app:1"); err != nil {
					return err
				}
				if !first.transport.isCut() {
					return fmt.Errorf("%d writes", len(first.transport.written()))
				}
				return nil
			})
			first.stop()
			w.startOperator()
			w.untilHeld(exs, d)
			if exs.Status.Rollout.Phase != v1alpha1.RolloutIdle {
				t.Errorf("the rollout is %s", exs.Status.Rollout.Phase)
			}
		})
	}
}

func TestAnUnknownDeploymentIsSaid(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator()
	exs := w.exposedService("greeter", shipping("nobody"))
	w.create(exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonWorkloadNotFound, "nobody")
	if _, err := w.routeWeights(exs); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
}

func TestTheYoungerOfTwoWithOneDeploymentIsRefused(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	w.startOperator()
	d := w.deployment("primary-svc")
	w.create(d)
	older := w.exposedService("aaa", shipping(d.Name))
	w.create(older)
	w.untilHeld(older, d)
	younger := w.exposedService("zzz", shipping(d.Name))
	w.create(younger)
	w.untilNotAccepted(younger, v1alpha1.ReasonWorkloadConflict, "aaa")
}
