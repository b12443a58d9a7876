package controllers

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// TestWhatWasResumedWhileNobodyLookedIsStable: the Deployment has rolled out another version by the time that Headgate is back. It is held,
// and no canary of it is made.
func TestWhatWasResumedWhileNobodyLookedIsStable(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	d := w.deployment("primary-svc")
	w.create(d)
	exs := w.exposedService("greeter", shipping(d.Name))
	w.create(exs)
	w.untilHeld(exs, d)
	before := exs.Status.Rollout.Stable
	o.stop()
	edit(w, d, func(d *appsv1.Deployment) {
		d.Spec.Paused, d.Spec.Template.Spec.Containers[0].Image = false, "app:2"
	})
	if err := w.controlDeployment(d, "app:2"); err != nil {
		t.Fatal(err)
	}

	w.startOperator()
	w.eventually("the version that runs is stable", func() error {
		if err := w.controlDeployment(d, "app:2"); err != nil {
			return err
		}
		if err := w.read(exs); err != nil {
			return err
		}
		if r := exs.Status.Rollout; !d.Spec.Paused || r.Stable == before || r.Phase != v1alpha1.RolloutIdle {
			return fmt.Errorf("paused: %t, rollout: %+v", d.Spec.Paused, r)
		}
		return nil
	})
	if has(exs, v1alpha1.DecisionRolloutStarted) {
		t.Errorf("there were %v", reasonsOf(exs))
	}
	canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: d.Name + "-canary", Namespace: w.namespace}}
	if err := w.read(canary); !apierrors.IsNotFound(err) {
		t.Errorf("a canary was made: %v", err)
	}
}
