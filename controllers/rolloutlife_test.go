package controllers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/shop"
)

// approvingFirst keeps a rollout in its first step until somebody approves.
func approvingFirst(exs *v1alpha1.ExposedService) {
	exs.Spec.Rollout.Steps[0].Approval = ptr.To(v1alpha1.ApprovalRequired)
}

// approvingLast keeps it in its last step.
func approvingLast(exs *v1alpha1.ExposedService) {
	exs.Spec.Rollout.Steps[1].Approval = ptr.To(v1alpha1.ApprovalRequired)
}

// say sets an annotation by which people speak to a rollout.
func (s *shipper) say(annotation, value string) {
	s.t.Helper()
	edit(s.world, s.exs, func(exs *v1alpha1.ExposedService) {
		if exs.Annotations == nil {
			exs.Annotations = map[string]string{}
		}
		exs.Annotations[annotation] = value
	})
}

// approve lets it leave the step that it is in.
func (s *shipper) approve() {
	s.t.Helper()
	r := s.exs.Status.Rollout
	value := fmt.Sprintf("%s/%d", r.Revision, r.Step)
	if r.Attempt > 1 {
		value += fmt.Sprintf("/%d", r.Attempt)
	}
	s.say(v1alpha1.AnnotationApprove, value)
}

// Network policies, budgets and monitors that select the application see the canary, and so does the user's own Service.
func TestACanaryIsTheDeploymentsOwnReplicaSet(t *testing.T) {
	s := newShipper(t, approvingFirst)
	s.scale(4)
	s.open()
	s.expose()
	blue, err := s.slotService(v1alpha1.SlotBlue)
	if err != nil || blue.Spec.Selector[workload.LabelTemplateHash] != "" {
		t.Errorf("at rest the stable side selects %v: %v", blue.Spec.Selector, err)
	}
	s.ship("app:2")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	s.untilPods("app:1 4, app:2 1")
	canary, traffic := s.canary(), s.exs.Status.Traffic
	if !metav1.IsControlledBy(canary, s.deployment) || canary.Spec.Template.Labels[workload.LabelTemplateHash] != traffic.CanaryHash {
		t.Errorf("the canary is %s, owned by %v; its hash is %s", canary.Name, canary.OwnerReferences, traffic.CanaryHash)
	}
	if budget := labels.SelectorFromSet(s.deployment.Spec.Selector.MatchLabels); !budget.Matches(labels.Set(canary.Spec.Template.Labels)) {
		t.Errorf("what selects the application does not see %v", canary.Spec.Template.Labels)
	}
	s.eventually("each side's Service has its own pods, and the user's all", func() error {
		for service, want := range map[string]string{"greeter-primary-gw": "app:1 4", "greeter-primary-green": "app:2 1", shop.Primary: "app:1 4, app:2 1"} {
			if got := shop.Images(s.workloads.Ready(service)); got != want {
				return fmt.Errorf("%s has %s", service, got)
			}
		}
		return nil
	})
	s.untilRouteHas(s.exs, "greeter-primary-gw 800000", "greeter-primary-green 200000")
	if err := s.read(s.deployment); err != nil || !s.deployment.Spec.Paused {
		t.Errorf("the Deployment is not held any more: %v", err)
	}
}

// Both versions take turns in the two places.
func TestARolloutStartsEachPodOnceAndChangesNoPlace(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.scale(4)
		s.open()
		s.expose()
		for _, c := range []struct {
			image string
			slot  v1alpha1.Slot
		}{{"app:2", v1alpha1.SlotGreen}, {"app:3", ""}} {
			s.ship(c.image)
			s.promoted(c.image)
			if slot := s.exs.Status.Traffic.Slot; slot != c.slot {
				s.t.Errorf("%s is in the slot %q", c.image, slot)
			}
			s.untilPods(c.image + " 4")
			if started := s.workloads.Started()[c.image]; started != 4 {
				s.t.Errorf("%d pods of %s were started", started, c.image)
			}
		}
		s.eventually("the other place is given up", func() error {
			_, err := s.slotService(v1alpha1.SlotGreen)
			if client.IgnoreNotFound(err) != nil || err == nil {
				return fmt.Errorf("it is there: %w", err)
			}
			return nil
		})
	})
}

func TestAnotherTemplateInTheMiddleOfAStepStartsOver(t *testing.T) {
	s := newShipper(t, approvingLast)
	s.open()
	s.expose()
	s.ship("app:2")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	second := s.exs.Status.Rollout.Revision
	s.ship("app:3")
	s.until("the first step of another revision", func(r *v1alpha1.RolloutStatus) bool {
		return r.Step == 1 && r.Revision != second && len(r.Verdicts) == 0
	})
	if !has(s.exs, v1alpha1.DecisionRolloutReplaced) {
		t.Errorf("there were %v", reasonsOf(s.exs))
	}
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	s.approve()
	s.promoted("app:3")
}

func TestATemplateThatIsPutBackEndsTheRollout(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		stable := s.exs.Status.Rollout.Stable
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.ship("app:1")
		s.until("the end", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Progress == "-" })
		if r := s.exs.Status.Rollout; r.Stable != stable || r.Failed != nil || !has(s.exs, v1alpha1.DecisionRolloutReverted) {
			s.t.Errorf("%+v; there were %v", r, reasonsOf(s.exs))
		}
		s.nothingIsLeft()
		s.runs("app:1")
		if started := s.workloads.Started()["app:1"]; started > 3 {
			s.t.Errorf("%d pods of the stable version were started", started)
		}
	}, approvingFirst)
}

func TestADeploymentThatIsDeletedEndsItsRolloutAndItsSuccessorIsHeld(t *testing.T) {
	s := newShipper(t, approvingFirst)
	s.open()
	s.expose()
	s.ship("app:2")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	s.delete(s.deployment)
	s.until("nothing is stable any more", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Stable == "" })
	s.nothingIsLeft()
	s.untilNotAccepted(s.exs, v1alpha1.ReasonWorkloadNotFound, shop.Primary)

	s.deployment = s.world.deployment(shop.Primary)
	s.deployment.Spec.Template.Spec.Containers[0].Image = "app:3"
	s.create(s.deployment)
	s.untilAtRest()
	if p := s.exs.Status.Rollout.Progress; p != "-" {
		t.Errorf("progress %s", p)
	}
}

// What an autoscaler does, and what a GitOps tool does, go on as ever.
func TestScalingAndApplyingInTheMiddleChangeNothingOfTheRollout(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.scale(4)
		s.open()
		s.expose()
		s.ship("app:2")
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		s.scale(10)
		s.apply("app:2")
		// Half of the thirteen pods that a rolling update may have.
		s.untilPods("app:1 6, app:2 7")
		s.scale(4)
		s.apply("app:2")
		s.untilPods("app:1 2, app:2 3")
		s.approve()
		s.promoted("app:2")
		s.untilPods("app:2 4")
		if has(s.exs, v1alpha1.DecisionRolloutReplaced) || has(s.exs, v1alpha1.DecisionCanaryLost) {
			s.t.Errorf("there were %v", reasonsOf(s.exs))
		}
	}, approvingLast)
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

// The template stays the user's; what was made for it goes.
func TestABadCanaryIsTakenOutAndItsTemplateStaysHeld(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.scale(4)
		s.open()
		s.expose()
		stable := s.exs.Status.Rollout.Stable
		s.counts.Spoil("app:2")
		s.ship("app:2")
		s.until("it is rolled back", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Failed != nil })
		if r := s.exs.Status.Rollout; r.Stable != stable || r.Failed.Revision != r.Revision || r.Progress != "failed" {
			s.t.Errorf("%+v", r)
		}
		s.nothingIsLeft()
		s.untilPods("app:1 4")
		if err := s.read(s.deployment); err != nil || !s.deployment.Spec.Paused || s.deployment.Spec.Template.Spec.Containers[0].Image != "app:2" {
			s.t.Errorf("paused %t, %v", s.deployment.Spec.Paused, err)
		}
		s.ship("app:1")
		s.untilAtRest()
		if started := s.workloads.Started()["app:1"]; started > 5 {
			s.t.Errorf("%d pods of the stable version were started", started)
		}
	})
}

// Each operator dies after its fifth write, and another one comes, until the version is promoted.
func TestARolloutEndsThoughTheOperatorDiesAtEachFifthWrite(t *testing.T) {
	inBothModes(t, func(s *shipper) { s.shipThoughOperatorsDieAfter(5) })
}

// A crash after every single write of a rollout.
func TestARolloutEndsThoughTheOperatorDiesAtEachWrite(t *testing.T) {
	if !runs(false) {
		t.Skip("make test-long has it")
	}
	inModes(t, func(int) bool { return true }, func(s *shipper) { s.shipThoughOperatorsDieAfter(1) })
}

// shipThoughOperatorsDieAfter ships a version with operators that die after so many writes each.
func (s *shipper) shipThoughOperatorsDieAfter(writes int) {
	s.scale(3)
	s.create(s.exs)
	lives, shipped := 0, false
	for !s.over(shipped) {
		lives++
		if lives > 400 {
			s.t.Fatalf("no end in sight: %+v; there were %v", s.exs.Status.Rollout, reasonsOf(s.exs))
		}
		o := s.open(func(_ *Config, transport *transport) { transport.cutAfter = writes })
		s.eventually("the crash, or the end without one", func() error {
			if !o.transport.isCut() && !s.over(shipped) && (shipped || s.atRest() != nil) {
				return fmt.Errorf("%+v; there were %v\n%s", s.exs.Status.Rollout, reasonsOf(s.exs), s.sets())
			}
			return nil
		})
		o.stop()
		if !shipped && s.atRest() == nil {
			s.ship("app:2")
			shipped = true
		}
	}
	s.t.Logf("%d operators died", lives)
	s.open()
	s.promoted("app:2")
	if started := s.workloads.Started()["app:2"]; started != 3 {
		s.t.Errorf("%d pods were started", started)
	}
	s.wentItsWay()
}

// wentItsWay fails the test unless the history has each decision of a rollout in two steps once.
func (s *shipper) wentItsWay() {
	s.t.Helper()
	want := []v1alpha1.DecisionReason{
		v1alpha1.DecisionRolloutStarted, v1alpha1.DecisionStepStarted, v1alpha1.DecisionStepPassed, v1alpha1.DecisionStepAdvanced,
		v1alpha1.DecisionStepStarted, v1alpha1.DecisionStepPassed, v1alpha1.DecisionPromotionStarted, v1alpha1.DecisionRolloutReleased,
		v1alpha1.DecisionPromoted,
	}
	var got []v1alpha1.DecisionReason
	for _, d := range s.exs.Status.History {
		if slices.Contains(want, d.Reason) {
			got = append(got, d.Reason)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("there were %v", reasonsOf(s.exs))
	}
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
	return errors.Join(s.nothingLeft(), s.atRest()) == nil
}

// An API server that is away for a while changes nothing but the time that it takes.
func TestARolloutGetsOnWhenTheAPIServerIsBack(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		o := s.open()
		s.expose()
		outage := func() {
			o.transport.outage(true)
			s.clock.Sleep(outageTime)
			o.transport.outage(false)
		}
		s.ship("app:2")
		s.untilStep(1)
		outage()
		s.untilStep(2)
		outage()
		s.promoted("app:2")
		s.wentItsWay()
		if started := s.workloads.Started()["app:2"]; started != 2 {
			s.t.Errorf("%d pods were started", started)
		}
	})
}

// Kubernetes replaces the pods of a restart at once: nothing is to be proved.
func TestARestartAtRestReplacesThePodsAtOnce(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		s.restart("2026-01-01T00:00:00Z")
		s.restarted()
		s.runs("app:1")
		s.nothingIsLeft()
		s.restart("2026-01-02T00:00:00Z")
		s.eventually("the pods are new again", func() error {
			if n := s.workloads.Started()["app:1"]; n != 6 {
				return fmt.Errorf("%d were started", n)
			}
			return nil
		})
		s.runs("app:1")
		if has(s.exs, v1alpha1.DecisionRolloutStarted) || !has(s.exs, v1alpha1.DecisionRestartReleased) {
			s.t.Errorf("there were %v", reasonsOf(s.exs))
		}
	})
}

func TestARestartIsShippedWhereThatIsAskedFor(t *testing.T) {
	s := newShipper(t, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.Restarts = ptr.To(v1alpha1.RestartRollout) })
	s.open()
	s.expose()
	s.restart("2026-01-01T00:00:00Z")
	s.promoted("app:1")
	s.restarted()
	if !has(s.exs, v1alpha1.DecisionStepPassed) {
		t.Errorf("there were %v", reasonsOf(s.exs))
	}
}

// restart does what `kubectl rollout restart` does.
func (s *shipper) restart(at string) {
	s.t.Helper()
	edit(s.world, s.deployment, func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": at}
	})
}

// restarted waits until both pods were replaced.
func (s *shipper) restarted() {
	s.t.Helper()
	s.eventually("the pods are new", func() error {
		if n := s.workloads.Started()["app:1"]; n != 4 {
			return fmt.Errorf("%d were started; there were %v\n%s", n, reasonsOf(s.exs), s.sets())
		}
		return nil
	})
}

// What was stable a short time ago needs no proof: `kubectl rollout undo` ends an incident.
func TestTheVersionBeforeIsBackAtOnce(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		s.ship("app:2")
		s.promoted("app:2")
		s.ship("app:1")
		s.promoted("app:1")
		passed := 0
		for _, d := range s.exs.Status.History {
			if d.Reason == v1alpha1.DecisionStepPassed {
				passed++
			}
		}
		if passed != 2 || !has(s.exs, v1alpha1.DecisionProofWaived) {
			s.t.Errorf("there were %v", reasonsOf(s.exs))
		}
	})
}

// People who speak to a rollout are heard, and named.
func TestPeopleHurryARolloutAndEndIt(t *testing.T) {
	s := newShipper(t, approvingFirst)
	s.open()
	s.expose()
	s.ship("app:2")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	s.say(v1alpha1.AnnotationAbort, s.exs.Status.Rollout.Revision)
	s.until("it is rolled back", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Failed != nil })
	s.nothingIsLeft()

	s.ship("app:3")
	s.untilPhase(v1alpha1.RolloutAwaitingApproval)
	s.say(v1alpha1.AnnotationPromote, s.exs.Status.Rollout.Revision)
	s.promoted("app:3")
	if !slices.ContainsFunc(s.exs.Status.History, func(d v1alpha1.Decision) bool {
		return d.Reason == v1alpha1.DecisionProofWaived
	}) {
		t.Errorf("there were %v", reasonsOf(s.exs))
	}
}

// Whoever stops rollouts goes on with what came meanwhile.
func TestWhatCameWhileRolloutsWerePausedIsShippedAfterwards(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		s.open()
		s.expose()
		pause := func(paused *bool) {
			edit(s.world, s.exs, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.Paused = paused })
		}
		pause(ptr.To(true))
		s.ship("app:2")
		s.eventually("it waits", func() error {
			if err := s.read(s.exs); err != nil {
				return err
			}
			if said := meta.FindStatusCondition(s.exs.Status.Conditions, v1alpha1.ConditionProgressing); said == nil || !strings.Contains(said.Message, "paused before") {
				return fmt.Errorf("it says %+v", said)
			}
			return nil
		})
		pause(nil)
		s.promoted("app:2")
	})
}
