package controllers

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/controllers/kube"
)

// What Kubernetes has begun to roll out before Headgate could hold it is taken back.
func TestWhatHasBegunToRollOutIsUndone(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	d := w.deployment("primary-svc")
	w.create(d)
	exs := w.exposedService("greeter", shipping(d.Name))
	w.create(exs)
	w.startOperator()
	w.untilHeld(exs, d)

	stable, newer := w.replicaSet(d, "app:1", 2), w.replicaSet(d, "app:2", 1)
	stranger := w.replicaSet(d, "app:2", 1)
	edit(w, stranger, func(set *appsv1.ReplicaSet) { set.OwnerReferences = nil })
	edit(w, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "app:2" })
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 3, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2}
	if err := w.kube.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	w.eventually("the newer ReplicaSet has no pods", func() error {
		if err := errors.Join(w.read(stable), w.read(newer), w.read(stranger)); err != nil {
			return err
		}
		if n := *newer.Spec.Replicas; n != 0 {
			return fmt.Errorf("it has %d", n)
		}
		return nil
	})
	if *stable.Spec.Replicas != 2 || *stranger.Spec.Replicas != 1 {
		t.Errorf("stable has %d pods, one that is none of the Deployment's has %d", *stable.Spec.Replicas, *stranger.Spec.Replicas)
	}
	w.eventually("it is told", func() error {
		if notes := w.eventNotes(exs, kube.ReasonScaled); len(notes) != 1 {
			return fmt.Errorf("events %q", notes)
		}
		return nil
	})
}

// replicaSet makes one of the Deployment, with so many pods that are ready.
func (w *world) replicaSet(d *appsv1.Deployment, image string, pods int32) *appsv1.ReplicaSet {
	w.t.Helper()
	template := *d.Spec.Template.DeepCopy()
	template.Spec.Containers[0].Image = image
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: d.Name + "-", Namespace: d.Namespace, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To(pods), Selector: d.Spec.Selector, Template: template},
	}
	w.create(set)
	set.Status = appsv1.ReplicaSetStatus{Replicas: pods, ReadyReplicas: pods, FullyLabeledReplicas: pods}
	if err := w.kube.Status().Update(w.t.Context(), set); err != nil {
		w.t.Fatal(err)
	}
	return set
}
