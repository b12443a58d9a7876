package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// labelHolds marks the namespaces of HoldTemplates.
const labelHolds = "headgate.test/hold-templates"

// HoldTemplates puts the admission policy that the chart installs into force in a namespace. Elsewhere nothing is held.
func HoldTemplates(t testing.TB, kube client.Client, namespace string) {
	t.Helper()
	policy, binding := productPolicy(t)
	if err := holdTemplatesIn(t.Context(), kube, namespace, policy, binding, "true"); err != nil {
		t.Fatalf("hold changed pod templates in %s: %v", namespace, err)
	}
}

// HoldTemplatesApart does so by a policy that no other namespace has. It returns what keeps the API server from evaluating it from then on.
func HoldTemplatesApart(t testing.TB, kube client.Client, namespace string) (breaks func()) {
	t.Helper()
	policy, binding := productPolicy(t)
	policy.Name += "-" + namespace
	binding.Name, binding.Spec.PolicyName = policy.Name, policy.Name
	if err := holdTemplatesIn(t.Context(), kube, namespace, policy, binding, namespace); err != nil {
		t.Fatalf("hold changed pod templates in %s: %v", namespace, err)
	}
	t.Cleanup(func() {
		if err := errors.Join(kube.Delete(context.Background(), binding), kube.Delete(context.Background(), policy)); err != nil {
			t.Error(err)
		}
	})
	return func() {
		t.Helper()
		// There is no such element, which is found out when it is looked for.
		policy.Spec.Mutations[0].ApplyConfiguration.Expression = "Object{spec: Object.spec{paused: [true][object.spec.replicas + 100]}}"
		if err := kube.Update(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		if err := untilHeld(t.Context(), kube, namespace, false); err != nil {
			t.Fatal(err)
		}
	}
}

// holdTemplatesIn marks the namespace as one that holds by this binding.
func holdTemplatesIn(
	ctx context.Context, kube client.Client, namespace string,
	policy *admissionregistrationv1.MutatingAdmissionPolicy, binding *admissionregistrationv1.MutatingAdmissionPolicyBinding, holds string,
) error {
	binding.Spec.MatchResources = &admissionregistrationv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelHolds: holds}},
	}
	mark := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, labelHolds, holds))
	err := errors.Join(
		client.IgnoreAlreadyExists(kube.Create(ctx, policy)), client.IgnoreAlreadyExists(kube.Create(ctx, binding)),
		kube.Patch(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, mark),
	)
	if err != nil {
		return err
	}
	return untilHeld(ctx, kube, namespace, true)
}

// untilHeld waits until a changed pod template is held, or is no longer: the API server gets to know a policy, and the label of a namespace,
// some time after it has stored them.
func untilHeld(ctx context.Context, kube client.Client, namespace string, held bool) error {
	probe := probeDeployment(namespace)
	if err := kube.Create(ctx, probe); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, controllersPatience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		changed := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: probe.Name}}
		template := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"template":{"metadata":{"annotations":{"probe":"2"}}}}}`))
		if err := kube.Patch(ctx, changed, template, client.DryRunAll); err != nil {
			return err
		}
		if changed.Spec.Paused == held {
			return kube.Delete(ctx, probe)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a changed pod template is held: %t", !held)
		case <-ticker.C:
		}
	}
}

// probeDeployment is one that Headgate seems to ship. It has no pods.
func probeDeployment(namespace string) *appsv1.Deployment {
	labels := map[string]string{"app": "hold-probe"}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "hold-probe", Namespace: namespace, Labels: map[string]string{v1alpha1.LabelRollout: "nobody"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](0), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
			},
		},
	}
}

// productPolicy is what config/admission-policy has.
func productPolicy(t testing.TB) (*admissionregistrationv1.MutatingAdmissionPolicy, *admissionregistrationv1.MutatingAdmissionPolicyBinding) {
	t.Helper()
	file, err := os.Open(filepath.Join(root(), "config", "admission-policy", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	policy, binding := &admissionregistrationv1.MutatingAdmissionPolicy{}, &admissionregistrationv1.MutatingAdmissionPolicyBinding{}
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	if err := errors.Join(decoder.Decode(policy), decoder.Decode(binding)); err != nil {
		t.Fatalf("read the admission policy: %v", err)
	}
	return policy, binding
}
