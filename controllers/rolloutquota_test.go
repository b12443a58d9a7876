package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/shop"
)

// A quota that is used up is told in the words of Kubernetes. Nothing counts as failed, and when there is room the rollout goes on.
func TestPodsThatAQuotaForbidsAreSaidAndMadeLater(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = ptr.To[int32](10) })
		s.scale(4)
		s.open()
		s.expose()
		quota := s.useUp(corev1.ResourcePods)
		s.ship("app:2")
		waits := func(words ...string) func() error {
			return func() error {
				return s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonPodsNotReady, words...)
			}
		}
		s.eventually("a condition says so", waits("exceeded quota: small", "0 of 1 ready"))
		s.delete(quota)
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)

		// In the promotion, too.
		s.scale(10)
		s.untilPods("app:1 6, app:2 7")
		quota = s.useUp(corev1.ResourcePods)
		s.approve()
		s.untilPhase(v1alpha1.RolloutPromoting)
		s.eventually("a condition says so again", waits("exceeded quota: small"))
		if r := s.exs.Status.Rollout; r.Phase != v1alpha1.RolloutPromoting || r.Failed != nil {
			s.t.Errorf("%+v", r)
		}
		s.delete(quota)
		s.promoted("app:2")
		s.untilPods("app:2 10")
	}, approvingLast)
}

// useUp makes a quota of the world's namespace that is used up.
func (w *world) useUp(what corev1.ResourceName) *corev1.ResourceQuota {
	w.t.Helper()
	all := corev1.ResourceList{what: *resource.NewQuantity(1, resource.DecimalSI)}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small", Namespace: w.namespace}, Spec: corev1.ResourceQuotaSpec{Hard: all}}
	w.create(quota)
	// No test has the controller that counts what is used.
	quota.Status = corev1.ResourceQuotaStatus{Hard: all, Used: all}
	if err := w.kube.Status().Update(w.t.Context(), quota); err != nil {
		w.t.Fatal(err)
	}
	w.eventually("the API server knows the quota", func() error {
		object := client.Object(shop.Pod(w.namespace, "try", "10.1.7.1"))
		if what != corev1.ResourcePods {
			object = w.anyReplicaSet()
		}
		if err := w.kube.Create(w.t.Context(), object, client.DryRunAll); !apierrors.IsForbidden(err) {
			return fmt.Errorf("it answers %w", err)
		}
		return nil
	})
	return quota
}

// anyReplicaSet is marked like a canary.
func (w *world) anyReplicaSet() *appsv1.ReplicaSet {
	labels := map[string]string{"app": "try"}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "try", Namespace: w.namespace, Annotations: map[string]string{workload.AnnotationCanaryOf: "try"}},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: ptr.To[int32](0), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}}},
		},
	}
}

// forbidCanaries is an admission rule that refuses the ReplicaSets of canaries in the world's namespace as invalid.
func (w *world) forbidCanaries() func() {
	w.t.Helper()
	name := "no-canaries-in-" + w.namespace
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"replicasets"}},
				},
			}}},
			Validations: []admissionv1.Validation{{
				Expression: "!has(object.metadata.annotations) || !('" + workload.AnnotationCanaryOf + "' in object.metadata.annotations)",
				Message:    "not on a Friday", Reason: ptr.To(metav1.StatusReasonInvalid),
			}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace},
			}},
		},
	}
	for _, object := range []client.Object{policy, binding} {
		if err := w.kube.Create(w.t.Context(), object); err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = w.kube.Delete(context.Background(), object) })
	}
	w.eventually("the admission rule is in force", func() error {
		err := w.kube.Create(w.t.Context(), w.anyReplicaSet(), client.DryRunAll)
		if apierrors.IsInvalid(err) {
			return nil
		}
		return errors.Join(errors.New("a canary is not refused"), err)
	})
	return func() {
		w.delete(binding)
		w.eventually("the admission rule is gone", func() error { return w.kube.Create(w.t.Context(), w.anyReplicaSet(), client.DryRunAll) })
	}
}

// Without a Gateway, too, Progressing and the status of the rollout say which object is refused and why: a canary that a quota
// forbids, and one that an admission rule takes for invalid. Calls are not concerned, and the rollout goes on when the cause is gone.
func TestWhatIsRefusedOfARolloutIsSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		refuse func(*world) (allow func())
		words  string
	}{
		"403": {func(w *world) func() {
			quota := w.useUp("count/replicasets.apps")
			return func() { w.delete(quota) }
		}, "exceeded quota: small"},
		"422": {(*world).forbidCanaries, "not on a Friday"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShipper(t, overXDS(9090), func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.Analysis = nil })
			p := newXDSPKI(t)
			option, _ := servingXDS(t, p, "replica-a")
			o := s.open(option)
			s.expose()
			allow := test.refuse(s.world)
			s.ship("app:2")
			words := []string{"ReplicaSet", shop.Primary, test.words}
			s.eventually("it is said", func() error {
				if err := s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, words...); err != nil {
					return err
				}
				for _, words := range words {
					if !strings.Contains(s.exs.Status.Rollout.Message, words) {
						return fmt.Errorf("status.rollout does not say %q: %s", words, s.exs.Status.Rollout.Message)
					}
				}
				return s.conditionIs(s.exs, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, words...)
			})
			if err := s.conditionIs(s.exs, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
				t.Error(err)
			}
			o.stop()
			// Whoever starts now does not know yet what is refused.
			option, address := servingXDS(t, p, "replica-b")
			s.open(option)
			s.eventually("it is said again", func() error {
				return s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, words...)
			})
			if s.exs.Status.Rollout.Weight != 0 || has(s.exs, v1alpha1.DecisionStepStarted) {
				t.Errorf("the canary has weight %d: %v", s.exs.Status.Rollout.Weight, reasonsOf(s.exs))
			}
			allow()
			p.connect(s.world, address, "envoy-1", nil)
			s.untilStep(1)
			s.eventually("nothing is refused any more", func() error {
				return s.conditionIs(s.exs, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			})
		})
	}
}
