package faults

import (
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// shipper is a world's Deployment behind the primary, whose canaries have endpoints, and whose calls are counted.
type shipper struct {
	w          *world
	deployment *appsv1.Deployment
	workloads  *shop.Workloads
	counts     *shop.Counts
}

// newShipper makes the Deployment and all that plays with it, until the test ends.
func newShipper(w *world) *shipper {
	w.Helper()
	s := &shipper{w: w, deployment: shop.Deployment(w.namespace, shop.Primary), counts: shop.NewCounts(w.namespace)}
	w.create(s.deployment, shop.Proxies(w.namespace, shop.Name))
	w.pages = s.counts
	s.workloads = shop.StartWorkloads(w.T, w.kube, w.namespace)
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
	canary := metav1.ObjectMeta{Name: shop.Canary, Namespace: s.w.namespace}
	for _, object := range []client.Object{&appsv1.Deployment{ObjectMeta: canary}, &corev1.Service{ObjectMeta: canary}} {
		if err := s.w.read(object); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%T of the canary: %w", object, errors.Join(err, errors.New("it is there")))
		}
	}
	return nil
}

// rolledBack is nil when the canary has failed and has no pods, and those of the Deployment are the old ones.
func (s *shipper) rolledBack() error {
	if err := errors.Join(s.isOver(func(r *v1alpha1.RolloutStatus) bool { return r.Failed != nil }), s.runs(shop.FirstImage)); err != nil {
		return err
	}
	canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: shop.Canary, Namespace: s.w.namespace}}
	if err := s.w.read(canary); err != nil {
		return err
	}
	if n := *canary.Spec.Replicas; n > 0 {
		return fmt.Errorf("the canary has %d pods", n)
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
