package controllers

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// slip ships an image that nobody holds: somebody has removed the label by which the policy knows the Deployment, and resumed it.
func (s *shipper) slip(image string) {
	s.t.Helper()
	edit(s.world, s.deployment, func(d *appsv1.Deployment) {
		delete(d.Labels, v1alpha1.LabelRollout)
		d.Spec.Paused = false
	})
	s.ship(image)
}

// The Deployment has rolled out another version by the time that Headgate is back. It is at rest, and no canary of it is made.
func TestWhatWasRolledOutWhileNobodyLookedIsStable(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		o := s.open()
		s.expose()
		before := s.exs.Status.Rollout.Stable
		o.stop()
		s.slip("app:2")
		s.untilPods("app:2 2")
		s.open()
		s.until("the version that runs is stable", func(r *v1alpha1.RolloutStatus) bool { return r.Stable != before && r.Phase == v1alpha1.RolloutIdle })
		s.runs("app:2")
		s.nothingIsLeft()
		if has(s.exs, v1alpha1.DecisionRolloutStarted) {
			s.t.Errorf("there were %v", reasonsOf(s.exs))
		}
	})
}

// What Kubernetes has begun to roll out before Headgate could hold it is taken back, and shipped step by step.
func TestWhatHasBegunToRollOutIsTakenBackAndShipped(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.scale(4)
		o := s.open()
		s.expose()
		o.stop()
		s.workloads.Behave("app:2", shop.Behaviour{NeverReady: true})
		s.slip("app:2")
		s.eventually("it has begun", func() error {
			if n := s.workloads.Started()["app:2"]; n == 0 {
				return fmt.Errorf("there are %s", s.sets())
			}
			return nil
		})
		s.open()
		s.until("it is shipped from the first step on", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutPreparing })
		s.untilWanted("app:1 4, app:2 1")
		s.workloads.Behave("app:2", shop.Behaviour{})
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.approve()
		s.promoted("app:2")
	}, approvingFirst)
}

// untilWanted waits until pods are wanted, ready or not.
func (s *shipper) untilWanted(want string) {
	s.t.Helper()
	s.eventually("there are to be the pods "+want, func() error {
		if got, _ := s.pods(); got != want {
			return fmt.Errorf("there are %s; %v\n%s", got, reasonsOf(s.exs), s.sets())
		}
		return nil
	})
}

// A label that somebody prunes comes back, at rest and in a rollout.
func TestALabelThatSomebodyPrunesComesBack(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		prune := func() {
			edit(s.world, s.deployment, func(d *appsv1.Deployment) { delete(d.Labels, v1alpha1.LabelRollout) })
			s.eventually("the label is back", func() error {
				if err := s.read(s.deployment); err != nil {
					return err
				}
				if s.deployment.Labels[v1alpha1.LabelRollout] != s.exs.Name {
					return fmt.Errorf("labels %v", s.deployment.Labels)
				}
				return nil
			})
		}
		prune()
		s.untilAtRest()
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		prune()
		s.approve()
		s.promoted("app:2")
	}, approvingFirst)
}

// Somebody resumes the Deployment in the middle of a rollout. It is held again, the new version gets back what it is to have, and the
// rollout goes on.
func TestARolloutThatSomebodyResumesGoesOn(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.scale(4)
		s.open()
		s.expose()
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		// What they would get slowly is taken back before it is there.
		s.workloads.Behave("app:1", shop.Behaviour{EndsAfter: time.Second})
		edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Paused = false })
		s.eventually("it is held again", func() error {
			if err := s.read(s.deployment); err != nil {
				return err
			}
			if !s.deployment.Spec.Paused {
				return fmt.Errorf("it is not paused")
			}
			return nil
		})
		s.untilPods("app:1 4, app:2 1")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.approve()
		s.promoted("app:2")
	}, approvingFirst)
}
