package controllers

import (
	"errors"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
	"github.com/headgate/headgate/test/shop"
)

func trackingConfig(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.TrackConfig = ptr.To(true) }

// newConfiguredShop has a Deployment that reads a ConfigMap, and a Secret if there is one.
func newConfiguredShop(t *testing.T) (*shipper, *corev1.ConfigMap) {
	s := newShipper(t, trackingConfig)
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: s.namespace}, Data: map[string]string{"mode": "a"}}
	s.create(settings)
	edit(s.world, s.deployment, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}, Optional: ptr.To(true)}},
		}
	})
	return s, settings
}

func TestChangedConfigurationIsShipped(t *testing.T) {
	s, settings := newConfiguredShop(t)
	s.open()
	s.expose()
	if err := s.read(s.deployment); err != nil || s.deployment.Spec.Template.Annotations[workload.AnnotationConfig] != "" {
		t.Errorf("holding it has changed its template: %v, %v", s.deployment.Spec.Template.Annotations, err)
	}

	edit(s.world, settings, func(c *corev1.ConfigMap) { c.Data["mode"] = "b" })
	s.untilStep(1)
	shipped := rollout.ConfigOf(s.exs.Status.Rollout.Revision)
	canary := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: shop.Canary, Namespace: s.namespace}}
	if err := errors.Join(s.read(canary), s.read(s.deployment)); err != nil {
		t.Fatal(err)
	}
	if got := canary.Spec.Template.Annotations[workload.AnnotationConfig]; shipped == "" || got != shipped {
		t.Errorf("the canary's pods are started with %q, not %q", got, shipped)
	}
	if got := s.configs(); got != "" {
		t.Errorf("pods of the Deployment were replaced: %q", got)
	}
	s.promoted("app:1")
	s.eventually("the Deployment's pods are replaced", func() error {
		if got := s.configs(); got != shipped {
			return fmt.Errorf("they were started with %q, not %q", got, shipped)
		}
		return nil
	})

	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys", Namespace: s.namespace}, StringData: map[string]string{"k": "v"}})
	s.until("a Secret that comes to be is shipped", func(r *v1alpha1.RolloutStatus) bool {
		return r.Phase == v1alpha1.RolloutStepping && rollout.ConfigOf(r.Revision) != shipped
	})
	s.promoted("app:1")
}

func TestConfigurationThatIsPutBackEndsTheRollout(t *testing.T) {
	s, settings := newConfiguredShop(t)
	s.open()
	s.expose()
	edit(s.world, settings, func(c *corev1.ConfigMap) { c.Data["mode"] = "b" })
	s.untilStep(1)
	edit(s.world, settings, func(c *corev1.ConfigMap) { c.Data["mode"] = "a" })
	s.until("the end", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Progress == "-" })
	if !has(s.exs, v1alpha1.DecisionRolloutReverted) || s.configs() != "" {
		t.Errorf("there were %v; pods started with %q", reasonsOf(s.exs), s.configs())
	}
}

func TestConfigurationThatMayNotBeReadHoldsAndSaysWhy(t *testing.T) {
	s, _ := newConfiguredShop(t)
	user := "headgate-in-" + s.namespace
	s.create(
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: generatedRules(t)},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		},
	)
	s.config = rest.CopyConfig(s.config)
	s.config.Impersonate = rest.ImpersonationConfig{UserName: user}
	s.open()
	s.create(s.exs)
	s.eventually("the condition says what to do", func() error {
		return s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonRolloutWaiting,
			"Headgate may not read ConfigMap "+s.namespace+"/settings", "rbac.trackConfig")
	})

	// A Role that names them is enough.
	s.create(
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: s.namespace}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"settings"}, Verbs: []string{"get", "list", "watch"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"keys"}, Verbs: []string{"get", "list", "watch"}},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: s.namespace},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		},
	)
	s.until("what it runs is known", func(r *v1alpha1.RolloutStatus) bool { return rollout.ConfigOf(r.Stable) != "" })
}
