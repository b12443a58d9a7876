package faults

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	versions "github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/shop"
)

// shipper is a world's Deployment behind the primary, whose canaries have endpoints, and whose calls are counted.
type shipper struct {
	w          *world
	deployment *appsv1.Deployment
	workloads  *shop.Workloads
	counts     *shop.Counts
}

// newShipper makes the Services, whose endpoints are pods, the Deployment, and all that plays with it, until the test ends.
func newShipper(w *world) *shipper {
	w.Helper()
	s := &shipper{w: w, deployment: shop.Deployment(w.namespace, shop.Primary), workloads: shop.StartWorkloads(w.T, w.kube, w.namespace)}
	s.workloads.MakeBackends()
	w.create(
		shop.Service(w.namespace, spareSvc), shop.Pod(w.namespace, spareSvc, shop.Address(2, 1)), shop.Pod(w.namespace, spareSvc, shop.Address(2, 2)),
		s.deployment, shop.Proxies(w.namespace, shop.Name),
	)
	s.counts = shop.NewCounts(s.workloads)
	w.pages = s.counts
	return s
}

// ship changes the image of the Deployment.
func (s *shipper) ship(image string) {
	s.w.Helper()
	edit(s.w, s.deployment, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

func (s *shipper) isHeld(exs *v1alpha1.ExposedService) error {
	if err := errors.Join(s.w.read(exs), s.w.read(s.deployment)); err != nil {
		return err
	}
	if r := exs.Status.Rollout; !s.deployment.Spec.Paused || r == nil || r.Stable == "" {
		return fmt.Errorf("paused %t, rollout %+v", s.deployment.Spec.Paused, r)
	}
	return nil
}

func (s *shipper) isAtStep(exs *v1alpha1.ExposedService, step int32) error {
	if err := s.w.read(exs); err != nil {
		return err
	}
	if r := exs.Status.Rollout; r == nil || r.Phase != v1alpha1.RolloutStepping || r.Step != step {
		return fmt.Errorf("rollout %+v", r)
	}
	return nil
}

// promoted is nil when an image is stable, the Deployment is held again, and nothing is left of the canary.
func (s *shipper) promoted(image string) error {
	isStable := func(r *v1alpha1.RolloutStatus) bool { return r.Stable == r.Revision && r.Failed == nil }
	if err := errors.Join(s.isOver(isStable), s.runs(image)); err != nil {
		return err
	}
	return s.nothingIsLeft()
}

// rolledBack is nil when the canary has failed and is deleted, and the pods of the Deployment are the old ones.
func (s *shipper) rolledBack() error {
	if err := errors.Join(s.isOver(func(r *v1alpha1.RolloutStatus) bool { return r.Failed != nil }), s.runs(shop.FirstImage)); err != nil {
		return err
	}
	return s.nothingIsLeft()
}

// nothingIsLeft is nil when no ReplicaSet is a canary or was one.
func (s *shipper) nothingIsLeft() error {
	var sets appsv1.ReplicaSetList
	if err := s.w.kube.List(s.w.Context(), &sets, client.InNamespace(s.w.namespace)); err != nil {
		return err
	}
	for i := range sets.Items {
		if set := &sets.Items[i]; set.Annotations[versions.AnnotationCanaryOf] != "" || set.Annotations[versions.AnnotationStandInOf] != "" || versions.IsMarked(set) {
			return fmt.Errorf("ReplicaSet %s is a canary", set.Name)
		}
	}
	return nil
}

func (s *shipper) isOver(as func(*v1alpha1.RolloutStatus) bool) error {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: shop.Name, Namespace: s.w.namespace}}
	if err := s.w.read(exs); err != nil {
		return err
	}
	if r := exs.Status.Rollout; r == nil || r.Phase != v1alpha1.RolloutIdle || r.Revision == "" || !as(r) {
		return fmt.Errorf("rollout %+v", r)
	}
	if t := exs.Status.Traffic; t == nil || t.StableHash != "" || t.CanaryHash != "" {
		return fmt.Errorf("traffic %+v", t)
	}
	return nil
}

// runs is nil when all pods are of an image, and the Deployment is held.
func (s *shipper) runs(image string) error {
	if err := s.w.read(s.deployment); err != nil {
		return err
	}
	for _, template := range s.workloads.Templates(s.deployment) {
		if running := template.Spec.Containers[0].Image; running != image {
			return fmt.Errorf("pods of %s", running)
		}
	}
	if !s.deployment.Spec.Paused {
		return errors.New("the Deployment is not held")
	}
	return nil
}
