package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	"github.com/headgate/headgate/test/shop"
)

// A quota that forbids the canary is told in the API server's words, and when it is gone the rollout goes on.
func TestACanaryThatAQuotaForbidsIsSaidAndMadeLater(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	quota := s.allowDeployments(1)
	s.ship("app:2")
	s.eventually("a condition says so", func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if !slices.ContainsFunc(s.exs.Status.Conditions, func(c metav1.Condition) bool {
			return strings.Contains(c.Message, shop.Canary) && strings.Contains(c.Message, "exceeded quota: small")
		}) {
			return fmt.Errorf("conditions are %+v", s.exs.Status.Conditions)
		}
		return nil
	})
	s.delete(quota)
	s.promoted("app:2")
}

// allowDeployments is a quota of the world's namespace that is used up.
func (w *world) allowDeployments(n int64) *corev1.ResourceQuota {
	w.t.Helper()
	all := corev1.ResourceList{"count/deployments.apps": *resource.NewQuantity(n, resource.DecimalSI)}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small", Namespace: w.namespace}, Spec: corev1.ResourceQuotaSpec{Hard: all}}
	w.create(quota)
	// No test has the controller that counts what is used.
	quota.Status = corev1.ResourceQuotaStatus{Hard: all, Used: all}
	if err := w.kube.Status().Update(w.t.Context(), quota); err != nil {
		w.t.Fatal(err)
	}
	return quota
}

// forbidCanaryServices is an admission rule that refuses the Services of canaries in the world's namespace as invalid.
func (w *world) forbidCanaryServices() {
	w.t.Helper()
	name := "no-canaries-in-" + w.namespace
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
				},
			}}},
			Validations: []admissionv1.Validation{{
				Expression: "!object.metadata.name.endsWith('-canary')", Message: "not on a Friday", Reason: ptr.To(metav1.StatusReasonInvalid),
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
		err := w.kube.Create(w.t.Context(), w.service("try-canary"), client.DryRunAll)
		if apierrors.IsInvalid(err) {
			return nil
		}
		return fmt.Errorf("a Service is answered with %w", cmp.Or(err, errors.New("yes")))
	})
}

// Without a Gateway, too, Progressing and the status of the rollout say which object is refused and why: a canary that a
// quota forbids, and a Service that an admission rule takes for invalid. Calls are not concerned.
func TestWhatIsRefusedOfARolloutOverXDSIsSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		refuse func(*world)
		words  []string
	}{
		"403": {func(w *world) { w.allowDeployments(1) }, []string{"Deployment", "primary-svc-canary", "exceeded quota: small"}},
		"422": {(*world).forbidCanaryServices, []string{"Service", "primary-svc-canary", "not on a Friday"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := newWorld(t).withBackends(), newXDSPKI(t)
			option, _ := servingXDS(t, p, "replica-a")
			o := w.startOperator(option)
			d := w.deployment("primary-svc")
			w.create(d)
			exs := w.exposedService("greeter", overXDS(9090), shipping(d.Name))
			w.create(exs)
			w.untilHeld(exs, d)
			test.refuse(w)
			edit(w, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "app:2" })
			w.eventually("it is said", func() error {
				if err := w.controlDeployment(d, "app:1"); err != nil {
					return err
				}
				if err := w.conditionIs(exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, test.words...); err != nil {
					return err
				}
				for _, words := range test.words {
					if !strings.Contains(exs.Status.Rollout.Message, words) {
						return fmt.Errorf("status.rollout does not say %q: %s", words, exs.Status.Rollout.Message)
					}
				}
				return w.conditionIs(exs, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, test.words...)
			})
			w.untilQuiet(o)
			if err := w.conditionIs(exs, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
				t.Error(err)
			}
			o.stop()
			// Whoever starts now does not know yet what is refused.
			canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "primary-svc-canary", Namespace: w.namespace}}
			if w.read(canary) == nil {
				if err := w.controlCanary(canary, w.slice("primary-svc-canary", "10.1.2.1")); err != nil {
					t.Fatal(err)
				}
			}
			option, _ = servingXDS(t, p, "replica-b")
			w.untilQuiet(w.startOperator(option))
			if err := w.conditionIs(exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, test.words...); err != nil {
				t.Error(err)
			}
			if exs.Status.Rollout.Weight != 0 || has(exs, v1alpha1.DecisionStepStarted) {
				t.Errorf("the canary has weight %d: %v", exs.Status.Rollout.Weight, reasonsOf(exs))
			}
		})
	}
}
