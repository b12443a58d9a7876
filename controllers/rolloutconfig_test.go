package controllers

import (
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
)

func trackingConfig(exs *v1alpha1.ExposedService) { exs.Spec.Rollout.TrackConfig = ptr.To(true) }

// newConfiguredShop has a Deployment that reads a ConfigMap, and a Secret if there is one.
func newConfiguredShop(t *testing.T) (*shipper, *corev1.ConfigMap) {
	t.Helper()
	s := newShipper(t, trackingConfig)
	return s, s.configure()
}

// configure has the Deployment's pods read both.
func (s *shipper) configure() *corev1.ConfigMap {
	s.t.Helper()
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: s.namespace}, Data: map[string]string{"mode": "a"}}
	s.create(settings)
	edit(s.world, s.deployment, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "keys"}, Optional: ptr.To(true)}},
		}
	})
	s.eventually("Kubernetes has rolled it out", func() error {
		if err := s.read(s.deployment); err != nil {
			return err
		}
		if d := s.deployment; d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != 2 || d.Status.Replicas != 2 || d.Status.AvailableReplicas != 2 {
			return fmt.Errorf("%+v", d.Status)
		}
		return nil
	})
	return settings
}

func TestChangedConfigurationIsShipped(t *testing.T) {
	s, settings := newConfiguredShop(t)
	s.open()
	s.expose()
	before := s.workloads.Started()["app:1"]
	if err := s.read(s.deployment); err != nil || s.deployment.Spec.Template.Annotations[workload.AnnotationConfig] != "" {
		t.Errorf("its template was changed at rest: %v, %v", s.deployment.Spec.Template.Annotations, err)
	}

	edit(s.world, settings, func(c *corev1.ConfigMap) { c.Data["mode"] = "b" })
	s.untilStep(1)
	shipped := rollout.ConfigOf(s.exs.Status.Rollout.Revision)
	if got := s.canary().Spec.Template.Annotations[workload.AnnotationConfig]; shipped == "" || got != shipped {
		t.Errorf("the canary's pods are started with %q, not %q", got, shipped)
	}
	s.promoted("app:1")
	s.untilConfig(shipped)
	if started := s.workloads.Started()["app:1"] - before; started != 2 {
		t.Errorf("%d pods were started", started)
	}

	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "keys", Namespace: s.namespace}, StringData: map[string]string{"k": "v"}})
	s.until("a Secret that comes to be is shipped", func(r *v1alpha1.RolloutStatus) bool {
		return r.Phase == v1alpha1.RolloutStepping && rollout.ConfigOf(r.Revision) != shipped
	})
	s.promoted("app:1")
}

// untilConfig waits until all pods were started with a configuration.
func (s *shipper) untilConfig(want string) {
	s.t.Helper()
	s.eventually("the Deployment's pods are replaced", func() error {
		if got := s.configs(); got != want {
			return fmt.Errorf("they were started with %q, not %q", got, want)
		}
		return nil
	})
}

func TestConfigurationThatIsPutBackEndsTheRollout(t *testing.T) {
	inBothModes(t, func(s *shipper) {
		settings := s.configure()
		s.open()
		s.expose()
		before := s.workloads.Started()["app:1"]
		edit(s.world, settings, func(c *corev1.ConfigMap) { c.Data["mode"] = "b" })
		s.untilPhase(v1alpha1.RolloutAwaitingApproval)
		edit(s.world, settings, func(c *corev1.ConfigMap) { c.Data["mode"] = "a" })
		s.until("the end", func(r *v1alpha1.RolloutStatus) bool { return r.Phase == v1alpha1.RolloutIdle && r.Progress == "-" })
		if !has(s.exs, v1alpha1.DecisionRolloutReverted) {
			s.t.Errorf("there were %v", reasonsOf(s.exs))
		}
		s.nothingIsLeft()
		s.runs("app:1")
		s.untilPods("app:1 2")
		if started := s.workloads.Started()["app:1"] - before; started != 1 {
			s.t.Errorf("%d pods were started", started)
		}
	}, trackingConfig, approvingFirst)
}

// Neither an object that is left out, nor one that was made again with what it had, is a new version.
func TestConfigurationThatIsTheSameIsNotShipped(t *testing.T) {
	s, settings := newConfiguredShop(t)
	token := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "token", Namespace: s.namespace, Annotations: map[string]string{v1alpha1.AnnotationTrack: "false"}},
		Data:       map[string]string{"t": "1"},
	}
	s.create(token)
	edit(s.world, s.deployment, func(d *appsv1.Deployment) {
		c := &d.Spec.Template.Spec.Containers[0]
		c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "token"}}})
	})
	s.untilPods("app:1 2")
	o := s.open()
	s.expose()
	stable := s.exs.Status.Rollout.Stable
	edit(s.world, token, func(c *corev1.ConfigMap) { c.Data["t"] = "2" })
	s.delete(settings)
	s.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: s.namespace}, Data: map[string]string{"mode": "a"}})
	s.eventually("it is at rest with what it had", func() error {
		if err := s.atRest(); err != nil {
			return err
		}
		if r := s.exs.Status.Rollout; r.Stable != stable || r.Progress != "-" {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	s.untilQuiet(o)
	if has(s.exs, v1alpha1.DecisionStepStarted) {
		t.Errorf("there were %v", reasonsOf(s.exs))
	}
	edit(s.world, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings", Namespace: s.namespace}}, func(c *corev1.ConfigMap) { c.Data["mode"] = "b" })
	s.promoted("app:1")
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
