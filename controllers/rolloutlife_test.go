package controllers

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// promoted: the Deployment runs what was shipped, is held again, and nothing is left of the canary.
func (s *shipper) promoted(image string) {
	s.t.Helper()
	s.until(image+" is stable", func(r *v1alpha1.RolloutStatus) bool {
		return r.Phase == v1alpha1.RolloutIdle && r.Stable == r.Revision && r.Failed == nil
	})
	s.nothingIsLeft()
	s.eventually("the Deployment is held and runs "+image, func() error {
		if err := s.read(s.deployment); err != nil {
			return err
		}
		if got := s.images(); !s.deployment.Spec.Paused || got != image {
			return fmt.Errorf("paused %t, pods of %s", s.deployment.Spec.Paused, got)
		}
		return nil
	})
}

func TestAnotherTemplateInTheMiddleOfAStepStartsOver(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	s.ship("app:2")
	s.untilStep(2)
	second := s.exs.Status.Rollout.Revision
	s.ship("app:3")
	s.until("the first step of another revision", func(r *v1alpha1.RolloutStatus) bool {
		return r.Step == 1 && r.Revision != second && len(r.Verdicts) == 0
	})
	if !has(s.exs, v1alpha1.DecisionRolloutReplaced) {
		t.Errorf("there were %v", reasonsOf(s.exs))
	}
	s.promoted("app:3")
}

func TestATemplateThatIsPutBackEndsTheRollout(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	stable := s.exs.Status.Rollout.Stable
	s.ship("app:2")
	s.untilStep(1)
	s.ship("app:1")
	s.until("the end", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Progress == "-" })
	if r := s.exs.Status.Rollout; r.Stable != stable || r.Failed != nil || !has(s.exs, v1alpha1.DecisionRolloutReverted) {
		t.Errorf("%+v; there were %v", r, reasonsOf(s.exs))
	}
	s.nothingIsLeft()
	if got := s.images(); got != "app:1" {
		t.Errorf("pods of %s", got)
	}
}

func TestADeploymentThatIsDeletedEndsItsRolloutAndItsSuccessorIsHeld(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	s.ship("app:2")
	s.untilStep(1)
	s.delete(s.deployment)
	s.until("nothing is stable any more", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Stable == "" })
	s.nothingIsLeft()
	s.untilNotAccepted(s.exs, v1alpha1.ReasonWorkloadNotFound, shop.Primary)

	s.deployment = s.world.deployment(shop.Primary)
	s.deployment.Spec.Template.Spec.Containers[0].Image = "app:3"
	s.create(s.deployment)
	s.eventually("the new one is held", func() error {
		if err := errors.Join(s.read(s.deployment), s.read(s.exs)); err != nil {
			return err
		}
		if r := s.exs.Status.Rollout; !s.deployment.Spec.Paused || r.Stable == "" || r.Progress != "-" {
			return fmt.Errorf("paused %t, %+v", s.deployment.Spec.Paused, r)
		}
		return nil
	})
}

func TestAnExposedServiceThatIsDeletedInTheMiddleLetsGoOfEverything(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	s.ship("app:2")
	s.untilStep(1)
	s.delete(s.exs)
	s.eventually("it is gone", func() error { return gone(s.world, s.exs) })
	if err := s.read(s.deployment); err != nil || s.deployment.Spec.Paused || s.ownsPaused(s.deployment) {
		t.Errorf("paused %t, managed by %v, %v", s.deployment.Spec.Paused, s.deployment.ManagedFields, err)
	}
	// The garbage collector, which no test has, removes what it owns.
	for _, object := range []client.Object{&appsv1.Deployment{}, &corev1.Service{}} {
		object.SetName(shop.Canary)
		object.SetNamespace(s.namespace)
		if err := s.read(object); err != nil || len(object.GetOwnerReferences()) != 1 || object.GetOwnerReferences()[0].UID != s.exs.UID {
			t.Errorf("%T: %v, owned by %v", object, err, object.GetOwnerReferences())
		}
	}
	s.eventually("Kubernetes rolls out what it has", func() error {
		if got := s.images(); got != "app:2" {
			return fmt.Errorf("pods of %s", got)
		}
		return nil
	})
}

// What an autoscaler does, and what a GitOps tool does, go on as ever.
func TestScalingAndApplyingInTheMiddleChangeNothingOfTheRollout(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](4) })
	s.ship("app:2")
	s.untilStep(2)
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](10) })
	s.apply("app:2")
	canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: shop.Canary, Namespace: s.namespace}}
	s.eventually("the canary grows with it", func() error {
		if err := s.read(canary); err != nil {
			return err
		}
		if n := *canary.Spec.Replicas; n != 5 {
			return fmt.Errorf("%d pods for half of 10", n)
		}
		// What is decided is in the status before it is done, and is read after it therefore.
		return errors.Join(s.read(s.deployment), s.read(s.exs))
	})
	if r := s.exs.Status.Rollout; !s.deployment.Spec.Paused && r.Phase == v1alpha1.RolloutStepping {
		t.Errorf("the Deployment was released in step %d", r.Step)
	}
	s.promoted("app:2")
	if n := *s.deployment.Spec.Replicas; n != 10 {
		t.Errorf("%d pods", n)
	}
	if has(s.exs, v1alpha1.DecisionRolloutReplaced) || has(s.exs, v1alpha1.DecisionCanaryLost) {
		t.Errorf("there were %v", reasonsOf(s.exs))
	}
}

// apply is a GitOps tool that applies the Deployment without saying whether it is paused, or how many pods it has.
func (s *shipper) apply(image string) {
	s.t.Helper()
	manifest := map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": shop.Primary, "namespace": s.namespace},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"app": shop.Primary}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": shop.Primary}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "image": image}}},
			},
		},
	}
	err := s.kube.Apply(s.t.Context(), client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: manifest}),
		client.FieldOwner("gitops"), client.ForceOwnership)
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestABadCanaryIsTakenOutAndTheDeploymentIsNotTouched(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	stable := s.exs.Status.Rollout.Stable
	s.counts.SpoilCanary()
	s.ship("app:2")
	s.until("it is rolled back", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Failed != nil })
	if r := s.exs.Status.Rollout; r.Stable != stable || r.Failed.Revision != r.Revision || r.Progress != "failed" {
		t.Errorf("%+v", r)
	}
	if got := s.images(); got != "app:1" {
		t.Errorf("pods of %s", got)
	}
}

// Each operator dies after its first write, and another one comes, until the version is promoted: a crash after
// every single write of a rollout; in the short run, with the race detector, after every fifth.
func TestARolloutEndsThoughTheOperatorDiesAtEachWrite(t *testing.T) {
	s := newShipper(t)
	s.create(s.exs)
	writes := 1
	if testing.Short() {
		writes = 5
	}
	lives, shipped := 0, false
	for !s.over(shipped) {
		lives++
		if lives > 400 {
			t.Fatalf("no end in sight: %+v; there were %v", s.exs.Status.Rollout, reasonsOf(s.exs))
		}
		o := s.open(func(_ *Config, transport *transport) { transport.cutAfter = writes })
		s.eventually("the crash, or the end without one", func() error {
			if !o.transport.isCut() && !s.over(shipped) && (shipped || !s.held()) {
				return fmt.Errorf("%+v; there were %v", s.exs.Status.Rollout, reasonsOf(s.exs))
			}
			return nil
		})
		o.stop()
		if !shipped && s.held() {
			s.ship("app:2")
			shipped = true
		}
	}
	t.Logf("%d operators died", lives)
	s.open()
	s.promoted("app:2")
	want := []v1alpha1.DecisionReason{
		v1alpha1.DecisionRolloutStarted, v1alpha1.DecisionStepStarted, v1alpha1.DecisionStepPassed, v1alpha1.DecisionStepAdvanced,
		v1alpha1.DecisionStepStarted, v1alpha1.DecisionStepPassed, v1alpha1.DecisionPromotionStarted, v1alpha1.DecisionPromoted,
	}
	var got []v1alpha1.DecisionReason
	for _, d := range s.exs.Status.History {
		if slices.Contains(want, d.Reason) {
			got = append(got, d.Reason)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("there were %v", reasonsOf(s.exs))
	}
}

// held: the Deployment is, and what it runs is known.
func (s *shipper) held() bool {
	if err := errors.Join(s.read(s.exs), s.read(s.deployment)); err != nil {
		s.t.Fatal(err)
	}
	r := s.exs.Status.Rollout
	return r != nil && r.Stable != "" && s.deployment.Spec.Paused
}

// over: the version is promoted, and all that follows it is done.
func (s *shipper) over(shipped bool) bool {
	if err := s.read(s.exs); err != nil {
		s.t.Fatal(err)
	}
	r := s.exs.Status.Rollout
	if !shipped || r == nil || r.Phase != v1alpha1.RolloutIdle || r.Revision == "" || r.Stable != r.Revision {
		return false
	}
	return gone(s.world, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: shop.Canary, Namespace: s.namespace}}) == nil
}
