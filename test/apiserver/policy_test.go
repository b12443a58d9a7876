package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	if err := Poll(t.Context(), Patience, f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// holdTemplates is a policy that pauses the Deployments of a namespace in the write that changes their template.
func holdTemplates(namespace string) (*admissionregistrationv1.MutatingAdmissionPolicy, *admissionregistrationv1.MutatingAdmissionPolicyBinding) {
	name := metav1.ObjectMeta{Name: "hold-" + namespace}
	policy := &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: name,
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
				}}},
			},
			MatchConditions: []admissionregistrationv1.MatchCondition{
				{Name: "another-template", Expression: "object.spec.template != oldObject.spec.template"},
			},
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType:          admissionregistrationv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: "Object{spec: Object.spec{paused: true}}"},
			}},
			FailurePolicy:      ptr.To(admissionregistrationv1.Fail),
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
		},
	}
	return policy, &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: name, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name.Name},
	}
}

// applied is a Deployment as a GitOps tool applies it, which says nothing of spec.paused.
func applied(namespace, image string) runtime.ApplyConfiguration {
	labels := map[string]any{"app": "web"}
	return client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": namespace},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "app", "image": image}}},
			},
		},
	}})
}

func TestAPolicyHoldsAChangedTemplate(t *testing.T) {
	kube := Client(t)
	namespace := Namespace(t, kube)
	Controllers(t, kube, namespace)
	policy, binding := holdTemplates(namespace)
	for _, object := range []client.Object{policy, binding} {
		if err := kube.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := kube.Delete(context.Background(), object); err != nil {
				t.Error(err)
			}
		})
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace}}
	apply := func(image string) {
		t.Helper()
		if err := kube.Apply(t.Context(), applied(namespace, image), client.FieldOwner("gitops"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
		if err := kube.Get(t.Context(), client.ObjectKeyFromObject(d), d); err != nil {
			t.Fatal(err)
		}
	}
	// sets waits until the controller has seen the Deployment, and counts its ReplicaSets.
	sets := func() int {
		t.Helper()
		var list appsv1.ReplicaSetList
		eventually(t, "the controller sees the Deployment", func() error {
			if err := errors.Join(kube.Get(t.Context(), client.ObjectKeyFromObject(d), d), kube.List(t.Context(), &list, client.InNamespace(namespace))); err != nil {
				return err
			}
			if d.Status.ObservedGeneration != d.Generation {
				return fmt.Errorf("it has seen generation %d of %d", d.Status.ObservedGeneration, d.Generation)
			}
			return nil
		})
		return len(list.Items)
	}
	apply("app:1")
	if d.Spec.Paused {
		t.Fatal("a Deployment is paused from the start")
	}
	sets()
	// The API server gets to know the policy some time after it has stored it.
	version := 1
	eventually(t, "the policy acts", func() error {
		version++
		apply(fmt.Sprintf("app:%d", version))
		if !d.Spec.Paused {
			return errors.New("a changed template is not held")
		}
		return nil
	})
	before := sets()

	image := d.Spec.Template.Spec.Containers[0].Image
	apply(image)
	if !d.Spec.Paused {
		t.Error("applied again, it is held no more")
	}
	apply(image + "-next")
	if n := sets(); !d.Spec.Paused || n != before {
		t.Errorf("held by the policy: %t, ReplicaSets: %d, then %d", d.Spec.Paused, before, n)
	}
	unpaused := d.DeepCopy()
	unpaused.Spec.Paused = false
	if err := kube.Patch(t.Context(), unpaused, client.MergeFrom(d)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "released, it is rolled out", func() error {
		if n := sets(); n != before+1 {
			return fmt.Errorf("there are %d ReplicaSets", n)
		}
		return nil
	})
}
