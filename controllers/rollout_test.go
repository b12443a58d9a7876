package controllers

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/test/apiserver"
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

// untilHeld waits until the Deployment is held, as it is between rollouts where no policy holds changed pod templates, and what it runs
// is known.
func (w *world) untilHeld(exs *v1alpha1.ExposedService, d *appsv1.Deployment) {
	w.t.Helper()
	w.eventually("the Deployment is held", func() error {
		if err := errors.Join(w.read(d), w.read(exs)); err != nil {
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
	w := newWorld(t).withDataPlane()
	w.withPods()
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

// Without the policy a condition says what that costs, and the spec is served all the same.
func TestADeploymentThatIsPausedAtRestIsExplained(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		want := v1alpha1.ReasonAccepted
		if !s.policy {
			want = v1alpha1.ReasonPausedAtRest
		}
		s.eventually("the condition says which it is", func() error {
			return s.conditionIs(s.exs, v1alpha1.ConditionAccepted, metav1.ConditionTrue, want)
		})
		if !slices.Contains(s.exs.Finalizers, v1alpha1.Finalizer) || !s.ownsPaused(s.deployment) {
			s.t.Errorf("finalizers %v, managed by %v", s.exs.Finalizers, s.deployment.ManagedFields)
		}
	})
}

// The policy fails open. What it lets through is paused as soon as it is seen, gets no call without evidence, and the Deployment is paused at
// rest from then on.
func TestAPolicyThatCannotBeEvaluatedLetsTheWritePass(t *testing.T) {
	s := newShipperWithoutPolicy(t, approvingFirst)
	breaks := apiserver.HoldTemplatesApart(t, s.kube, s.namespace)
	s.policy = true
	s.scale(4)
	s.open()
	s.expose()
	breaks()
	s.policy = false
	s.ship("app:2")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	s.untilPods("app:1 4, app:2 1")
	s.approve()
	s.promoted("app:2")
	s.eventually("the condition says what it costs", func() error {
		return s.conditionIs(s.exs, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonPausedAtRest)
	})
}

// Recreate asks for never two versions at once.
func TestRecreateIsRefusedAndLeftAlone(t *testing.T) {
	s := newShipper(t, approvingFirst)
	recreate := func(d *appsv1.Deployment) {
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	edit(s.world, s.deployment, recreate)
	s.open()
	s.create(s.exs)
	s.untilNotAccepted(s.exs, v1alpha1.ReasonWorkloadNotSupported, "Recreate", "RollingUpdate")
	s.ship("app:2")
	s.eventually("Kubernetes rolls it out", func() error {
		if got := s.images(); got != "app:2" {
			return fmt.Errorf("pods of %s", got)
		}
		return nil
	})

	// It becomes one that rolls, and is changed back in the middle of a rollout.
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Strategy = appsv1.DeploymentStrategy{} })
	s.untilAtRest()
	s.eventually("the first backend serves again", func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if f := s.exs.Status.Failover; s.exs.Status.Active != "primary" || f.State.Ramp != nil {
			return fmt.Errorf("%s serves, %+v", s.exs.Status.Active, f)
		}
		return nil
	})
	s.ship("app:3")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	edit(s.world, s.deployment, recreate)
	s.untilNotAccepted(s.exs, v1alpha1.ReasonWorkloadNotSupported, "Recreate")
	s.eventually("it is let go", func() error {
		if err := s.read(s.deployment); err != nil {
			return err
		}
		if got := s.images(); s.deployment.Spec.Paused || s.ownsPaused(s.deployment) || got != "app:3" {
			return fmt.Errorf("paused %t, managed by %v, pods of %s", s.deployment.Spec.Paused, s.deployment.ManagedFields, got)
		}
		return nil
	})
}

// Pods that no selector tells apart cannot have two places.
func TestAFirstBackendWithoutPlacesIsSaid(t *testing.T) {
	s := newShipperWithoutPolicy(t)
	edit(s.world, s.service(shop.Primary), func(service *corev1.Service) { service.Spec.Selector = nil })
	s.create(s.slice(shop.Primary, shop.Address(0, 1)))
	s.open()
	s.create(s.exs)
	s.untilNotAccepted(s.exs, v1alpha1.ReasonRolloutNotSupported, "spec.rollout.workloadRef", "selector")
	s.untilRouteNames(s.exs, "greeter-primary-gw")

	edit(s.world, s.service(shop.Primary), func(service *corev1.Service) { service.Spec.Selector = map[string]string{"app": shop.Primary} })
	s.untilAtRest()
	s.ship("app:2")
	s.promoted("app:2")
}

// untilRouteNames waits until the route leads to a Service with all calls.
func (w *world) untilRouteNames(exs *v1alpha1.ExposedService, service string) {
	w.t.Helper()
	w.untilRouteHas(exs, service+" 1000000")
}

func TestAProtectedServiceHasTheStableVersionAlone(t *testing.T) {
	s := newShipper(t, approvingFirst, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.WorkloadRef.ProtectService = ptr.To(true) })
	s.open()
	s.expose()
	s.ship("app:2")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	s.eventually("the user's Service has the stable version alone", func() error {
		if got := shop.Images(s.workloads.Ready(shop.Primary)); got != "app:1 2" {
			return fmt.Errorf("it has %s", got)
		}
		return nil
	})
	s.approve()
	s.promoted("app:2")
	s.eventually("it has all pods again", func() error {
		if got := shop.Images(s.workloads.Ready(shop.Primary)); got != "app:2 2" {
			return fmt.Errorf("it has %s", got)
		}
		return nil
	})
}
