package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/shop"
)

func releasing(exs *v1alpha1.ExposedService) {
	exs.Spec.Rollout.OnRemoval = ptr.To(v1alpha1.RemovalRelease)
}

// middles bring a rollout of app:2 into each of its phases, with four pods.
var middles = []struct {
	phase v1alpha1.RolloutPhase
	with  func(*v1alpha1.ExposedService)
	get   func(*shipper)
}{
	{v1alpha1.RolloutPreparing, approvingFirst, func(s *shipper) {
		s.workloads.Behave("app:2", shop.Behaviour{NeverReady: true})
		s.ship("app:2")
		s.untilWanted("app:1 4, app:2 1")
	}},
	{v1alpha1.RolloutStepping, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Rollout.Steps[0].Hold = ptr.To(v1alpha1.LongDuration("24h"))
	}, func(s *shipper) { s.ship("app:2") }},
	{v1alpha1.RolloutAwaitingApproval, approvingLast, func(s *shipper) {
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.untilPods("app:1 2, app:2 3")
	}},
	{v1alpha1.RolloutRechecking, approvingFirst, func(s *shipper) {
		s.counts.Spoil("app:2")
		s.ship("app:2")
	}},
	{v1alpha1.RolloutPromoting, approvingLast, func(s *shipper) {
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.scale(10)
		s.untilPods("app:1 6, app:2 7")
		s.useUp(corev1.ResourcePods)
		s.approve()
		s.untilPhase(v1alpha1.RolloutPromoting)
	}},
	{v1alpha1.RolloutRollingBack, approvingFirst, func(s *shipper) {
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.say(v1alpha1.AnnotationAbort, s.exs.Status.Rollout.Revision)
	}},
	{v1alpha1.RolloutSuspended, approvingFirst, func(s *shipper) {
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.scale(0)
	}},
}

// eachMiddle runs a test in each phase.
func eachMiddle(t *testing.T, test func(*shipper), with ...func(*v1alpha1.ExposedService)) {
	t.Helper()
	t.Parallel()
	eachMiddleOf(t, 10, test, with...)
}

// eachMiddleOf has a Deployment that keeps so many old ReplicaSets.
func eachMiddleOf(t *testing.T, history int32, test func(*shipper), with ...func(*v1alpha1.ExposedService)) {
	t.Helper()
	for i, middle := range middles {
		if !runs(i == share(t, len(middles))) {
			continue // `make test-long` has the others.
		}
		t.Run(string(middle.phase), func(t *testing.T) {
			with := append([]func(*v1alpha1.ExposedService){middle.with}, with...)
			var s *shipper
			if i%2 == 0 {
				s = newShipper(t, with...)
			} else {
				s = newShipperWithoutPolicy(t, with...)
			}
			edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Replicas, d.Spec.RevisionHistoryLimit = ptr.To[int32](4), &history })
			s.open()
			s.expose()
			middle.get(s)
			s.untilPhase(middle.phase)
			test(s)
		})
	}
}

// roomAgain deletes the quota that keeps a promotion.
func (s *shipper) roomAgain() {
	quota := &corev1.ResourceQuota{}
	quota.Name, quota.Namespace = "small", s.namespace
	if s.read(quota) == nil {
		s.delete(quota)
	}
}

// backTo waits until there are as many pods as the Deployment is to have, of one image.
func (s *shipper) backTo(image string) {
	s.t.Helper()
	if err := s.read(s.deployment); err != nil {
		s.t.Fatal(err)
	}
	if n := *s.deployment.Spec.Replicas; n > 0 {
		s.untilPods(fmt.Sprintf("%s %d", image, n))
	} else {
		s.untilPods("")
	}
}

// A version that was not proved is not released because nobody proves anything any more.
func TestAnExposedServiceThatIsDeletedInTheMiddleKeepsTheStableVersion(t *testing.T) {
	eachMiddle(t, func(s *shipper) {
		s.delete(s.exs)
		s.roomAgain()
		s.eventually("it is gone", func() error { return gone(s.world, s.exs) })
		s.backTo("app:1")
		if err := s.read(s.deployment); err != nil || !s.deployment.Spec.Paused || s.ownsPaused(s.deployment) || s.deployment.Labels[v1alpha1.LabelRollout] != "" {
			s.t.Errorf("paused %t, labels %v, managed by %v, %v", s.deployment.Spec.Paused, s.deployment.Labels, s.deployment.ManagedFields, err)
		}
		if set := s.canary(); set != nil {
			s.t.Errorf("%s is left", set.Name)
		}
		s.eventually("somebody is told how to release it", func() error {
			if notes := s.eventNotes(s.exs, kube.ReasonLeftHeld); len(notes) == 0 || !strings.Contains(notes[0], "rollout resume deployment "+shop.Primary) {
				return fmt.Errorf("there are %q", notes)
			}
			return nil
		})
		// Whoever resumes it gets what it has.
		s.workloads.Behave("app:2", shop.Behaviour{})
		s.pauseAs("people", ptr.To(false))
		if *s.deployment.Spec.Replicas == 0 {
			s.scale(2)
		}
		s.backTo("app:2")
	})
}

func TestAnExposedServiceThatIsDeletedInTheMiddleReleasesWhatItIsToldTo(t *testing.T) {
	eachMiddle(t, func(s *shipper) {
		s.delete(s.exs)
		s.roomAgain()
		s.eventually("it is gone", func() error { return gone(s.world, s.exs) })
		if s.workloads.Behave("app:2", shop.Behaviour{}); *s.deployment.Spec.Replicas == 0 {
			s.scale(2)
		}
		s.backTo("app:2")
		if err := s.read(s.deployment); err != nil || s.deployment.Spec.Paused || s.ownsPaused(s.deployment) {
			s.t.Errorf("paused %t, managed by %v, %v", s.deployment.Spec.Paused, s.deployment.ManagedFields, err)
		}
	}, releasing)
}

// The same when spec.rollout goes and the ExposedService stays: no call is lost on the way, and nothing is left.
func TestARolloutThatIsRemovedInTheMiddleKeepsTheStableVersion(t *testing.T) {
	eachMiddle(t, func(s *shipper) {
		edit(s.world, s.exs, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout = nil })
		s.roomAgain()
		s.untilRemoved()
		s.backTo("app:1")
		if err := s.read(s.deployment); err != nil || !s.deployment.Spec.Paused || s.ownsPaused(s.deployment) {
			s.t.Errorf("paused %t, managed by %v, %v", s.deployment.Spec.Paused, s.deployment.ManagedFields, err)
		}
		s.nothingIsLeft()
	})
}

func (s *shipper) untilRemoved() {
	s.t.Helper()
	s.eventually("the rollout is removed", func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if s.exs.Status.Rollout != nil {
			return fmt.Errorf("%+v; there were %v\n%s", s.exs.Status.Rollout, reasonsOf(s.exs), s.sets())
		}
		return nil
	})
}

func TestARolloutThatIsRemovedInTheMiddleReleasesWhatItIsToldTo(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		edit(s.world, s.exs, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout = nil })
		s.untilRemoved()
		s.backTo("app:2")
		if err := s.read(s.deployment); err != nil || s.deployment.Spec.Paused || s.ownsPaused(s.deployment) {
			s.t.Errorf("paused %t, managed by %v, %v", s.deployment.Spec.Paused, s.deployment.ManagedFields, err)
		}
		s.nothingIsLeft()
	}, approvingFirst, releasing)
}

// Scaled to zero in any phase, and back: the version that was proved comes first.
func TestARolloutComesBackFromNoPodsWithTheStableVersion(t *testing.T) {
	t.Parallel()
	for _, history := range []int32{10, 0} {
		t.Run(fmt.Sprintf("with %d old ReplicaSets", history), func(t *testing.T) {
			eachMiddleOf(t, history, func(s *shipper) {
				s.scale(0)
				s.roomAgain()
				s.untilPods("")
				s.eventually("what Headgate has made is gone", func() error {
					if s.canary() != nil || s.standIn() != nil {
						return errors.New(s.sets())
					}
					return nil
				})
				before := s.workloads.Started()["app:2"]
				s.workloads.Behave("app:2", shop.Behaviour{})
				s.scale(4)
				s.eventually("stable has its pods", func() error {
					started := s.workloads.Started()["app:2"]
					if got := s.workloads.Ready(shop.Primary)["app:1"]; got < 4 {
						if started > before {
							s.t.Fatalf("the other version has pods first: %s", s.sets())
						}
						return fmt.Errorf("%d are ready; %+v\n%s", got, s.exs.Status.Rollout, s.sets())
					}
					return nil
				})
			})
		})
	}
}

// Scaled to zero and back before anybody could act: Kubernetes may have started the other version, which loses what is not its share, and is
// not taken for proved.
func TestARolloutThatIsScaledToZeroAndBackAtOnceProvesNothing(t *testing.T) {
	t.Parallel()
	for _, history := range []int32{10, 0} {
		t.Run(fmt.Sprintf("with %d old ReplicaSets", history), func(t *testing.T) {
			eachMiddleOf(t, history, func(s *shipper) {
				stable := s.exs.Status.Rollout.Stable
				s.scale(0)
				s.untilPods("")
				s.scale(4)
				s.roomAgain()
				s.workloads.Behave("app:2", shop.Behaviour{})
				s.eventually("stable has its pods", func() error {
					if err := s.read(s.exs); err != nil {
						return err
					}
					if now := s.exs.Status.Rollout.Stable; now != stable {
						s.t.Fatalf("%s is stable, after %v\n%s", now, messagesOf(s.exs), s.sets())
					}
					if got := s.workloads.Ready(shop.Primary)["app:1"]; got < 3 {
						return fmt.Errorf("%d are ready; %+v\n%s", got, s.exs.Status.Rollout, s.sets())
					}
					return nil
				})
			})
		})
	}
}

// What was rolled back, and has all pods of a Deployment that is held, is not adopted by its pods alone, but taken back. So it is after a
// scaling to zero and back, when Kubernetes has started the newest version that it knew before anybody could act.
func TestAFailedVersionThatHasAllPodsIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, history := range []int32{10, 0} {
		t.Run(fmt.Sprintf("with %d old ReplicaSets", history), func(t *testing.T) {
			inBothModes(t, func(s *shipper) {
				edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Replicas, d.Spec.RevisionHistoryLimit = ptr.To[int32](4), &history })
				o := s.open()
				s.expose()
				stable := s.exs.Status.Rollout.Stable
				s.ship("app:2")
				s.untilPhase(v1alpha1.RolloutAwaitingApproval)
				s.say(v1alpha1.AnnotationAbort, s.exs.Status.Rollout.Revision)
				s.until("it is rolled back", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Failed != nil })
				s.nothingIsLeft()
				o.stop()
				s.pause(false)
				s.untilPods("app:2 4")
				s.pause(true)
				s.open()
				s.untilPods("app:1 4")
				s.until("it is over", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle })
				s.nothingIsLeft()
				if r := s.exs.Status.Rollout; r.Stable != stable || r.Failed == nil || !has(s.exs, v1alpha1.DecisionPodsTakenBack) {
					s.t.Errorf("%+v, after %v", r, messagesOf(s.exs))
				}
			}, approvingFirst)
		})
	}
}

// pause has Headgate's own field say whether the Deployment is paused.
func (s *shipper) pause(paused bool) {
	s.t.Helper()
	if err := s.read(s.deployment); err != nil {
		s.t.Fatal(err)
	}
	owned := workload.Own(s.deployment, workload.Owned{Mark: s.exs.Name, Paused: &paused})
	if err := s.kube.Apply(s.t.Context(), client.ApplyConfigurationFromUnstructured(owned), client.FieldOwner(deployments.FieldManager), client.ForceOwnership); err != nil {
		s.t.Fatal(err)
	}
}

// A version that comes while there are no pods is compared with the one before, though a backup serves when the pods are back.
func TestAVersionThatComesWhileThereAreNoPodsIsComparedWithStable(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		s.scale(0)
		s.untilPods("")
		s.eventually("the backup serves", func() error {
			if err := s.read(s.exs); err != nil || s.exs.Status.Active != "backup" {
				return fmt.Errorf("%s serves, %w", s.exs.Status.Active, err)
			}
			return nil
		})
		s.ship("app:2")
		s.scale(4)
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.untilPods("app:1 4, app:2 1")
	}, approvingFirst)
}

// A Deployment of one pod has the canary beside it, and it is handed over without another start.
func TestADeploymentOfOnePodIsShipped(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.scale(1)
		s.open()
		s.expose()
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.untilPods("app:1 1, app:2 1")
		if set := s.canary(); !metav1.IsControlledBy(set, s.exs) {
			s.t.Errorf("the canary belongs to %v", set.OwnerReferences)
		}
		s.approve()
		s.promoted("app:2")
		s.untilPods("app:2 1")
		if started := s.workloads.Started(); started["app:2"] != 1 {
			s.t.Errorf("%v were started", started)
		}
	}, approvingFirst)
}

// Scaled to one pod and back in the middle, the rollout goes on, at its first step if it has lost its pods.
func TestARolloutIsScaledToOnePodAndBack(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.scale(4)
		s.open()
		s.expose()
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.scale(1)
		s.untilPods("app:1 1, app:2 1")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.scale(4)
		s.untilPods("app:1 4, app:2 1")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.approve()
		s.promoted("app:2")
		s.untilPods("app:2 4")
	}, approvingFirst)
}

// A template that comes while another one is being promoted never gets a pod before its own rollout has begun.
func TestATemplateThatComesInAPromotionWaitsForItsTurn(t *testing.T) {
	for _, replicas := range []int32{10, 2} {
		t.Run(fmt.Sprintf("of %d pods", replicas), func(t *testing.T) {
			s := newShipper(t, approvingLast)
			s.scale(replicas)
			s.open()
			s.expose()
			s.ship("app:2")
			s.untilPhase(v1alpha1.RolloutAwaitingApproval)
			s.eventually("the pods are there", func() error {
				if _, ready := s.pods(); !ready {
					return errors.New(s.sets())
				}
				return nil
			})
			s.useUp(corev1.ResourcePods)
			s.approve()
			// With ten pods the canary asks for more first; with two it has as many as it may have before the Deployment is released.
			phase := v1alpha1.RolloutPromoting
			if replicas == 2 {
				phase = v1alpha1.RolloutReleasing
			}
			s.untilPhase(phase)
			s.ship("app:3")
			s.roomAgain()
			revision := ""
			s.eventually("its own rollout waits for approval", func() error {
				started := s.workloads.Started()["app:3"]
				if err := errors.Join(s.read(s.exs), s.read(s.deployment)); err != nil {
					return err
				}
				var err error
				if revision, err = workload.Revision(&s.deployment.Spec.Template, ""); err != nil {
					return err
				}
				r := s.exs.Status.Rollout
				if started > 0 && r.Revision != revision {
					s.t.Fatalf("%d pods were started in the rollout of %s: %v", started, r.Revision, reasonsOf(s.exs))
				}
				if r.Revision != revision || r.Phase != v1alpha1.RolloutAwaitingApproval {
					return fmt.Errorf("%+v; there were %v\n%s", r, reasonsOf(s.exs), s.sets())
				}
				return nil
			})
			s.approve()
			s.promoted("app:3")
		})
	}
}
