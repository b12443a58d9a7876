package controllers

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/shop"
)

func TestAPauseOfSomebodyElsesIsLeftToThem(t *testing.T) {
	s := newShipper(t)
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Paused = true })
	s.open()
	s.create(s.exs)
	s.until("what it runs is known", func(r *v1alpha1.RolloutStatus) bool { return r.Stable != "" })
	s.ship("app:2")
	s.eventually("the condition says what to do", func() error {
		return s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonWorkloadPaused,
			"was paused by somebody-else: resume it (spec.paused: false)")
	})
	if err := s.read(s.deployment); err != nil || !s.deployment.Spec.Paused || s.ownsPaused(s.deployment) {
		t.Errorf("paused %t, managed by %v, %v", s.deployment.Spec.Paused, s.deployment.ManagedFields, err)
	}

	// They withdraw the rollout: it ends, and the pause is still theirs.
	edit(s.world, s.exs, func(exs *v1alpha1.ExposedService) { exs.Spec.Rollout = nil })
	s.eventually("the rollout is removed", func() error {
		if err := s.read(s.exs); err != nil {
			return err
		}
		if s.exs.Status.Rollout != nil {
			return fmt.Errorf("%+v", s.exs.Status.Rollout)
		}
		return s.read(s.deployment)
	})
	if !s.deployment.Spec.Paused || s.images() != "app:1" {
		t.Errorf("paused %t, pods of %s", s.deployment.Spec.Paused, s.images())
	}
}

func TestAPauseThatSomebodyEndsBecomesHeadgates(t *testing.T) {
	s := newShipper(t)
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Paused = true })
	s.open()
	s.create(s.exs)
	s.until("what it runs is known", func(r *v1alpha1.RolloutStatus) bool { return r.Stable != "" })
	edit(s.world, s.deployment, func(d *appsv1.Deployment) { d.Spec.Paused = false })
	s.untilAtRest()
	if !s.ownsPaused(s.deployment) {
		t.Errorf("managed by %v", s.deployment.ManagedFields)
	}
	s.ship("app:2")
	s.promoted("app:2")
}

// A pause that a manifest asks for as well is waited for when the version is to be rolled out.
func TestAPauseThatIsAlsoSomebodysKeepsThePromotion(t *testing.T) {
	s := newShipper(t)
	s.open()
	s.expose()
	s.pauseAs("gitops", ptr.To(true))
	s.ship("app:2")
	s.eventually("the condition says what to do", func() error {
		return s.conditionIs(s.exs, v1alpha1.ConditionProgressing, metav1.ConditionFalse, v1alpha1.ReasonWorkloadPaused, "was paused by gitops")
	})
	// Until it is held again Kubernetes rolls it out. If that came to its end, there would be nothing left to ship.
	s.workloads.Behave("app:2", shop.Behaviour{NeverReady: true})
	s.pauseAs("gitops", nil)
	s.untilPhase(v1alpha1.RolloutPreparing)
	s.workloads.Behave("app:2", shop.Behaviour{})
	s.promoted("app:2")
}

// pauseAs applies spec.paused, or gives it up.
func (s *shipper) pauseAs(manager string, paused *bool) {
	s.t.Helper()
	spec := map[string]any{}
	if paused != nil {
		spec["paused"] = *paused
	}
	manifest := map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": shop.Primary, "namespace": s.namespace}, "spec": spec,
	}
	err := s.kube.Apply(s.t.Context(), client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: manifest}),
		client.FieldOwner(manager), client.ForceOwnership)
	if err != nil {
		s.t.Fatal(err)
	}
}

// The kinds of Flagger and Argo Rollouts come while Headgate runs.
func TestADeploymentThatOthersShipIsLeftToThem(t *testing.T) {
	w := newWorld(t).withDataPlane()
	w.withPods()
	w.startOperator()
	options := envtest.CRDInstallOptions{CRDs: []*apiextensionsv1.CustomResourceDefinition{
		anyKind("flagger.app", "v1beta1", "Canary", "canaries"), anyKind("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
	}}
	if _, err := envtest.InstallCRDs(w.config, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := envtest.UninstallCRDs(w.config, options); err != nil {
			t.Error(err)
		}
		// An operator that starts while a kind goes would wait for its objects.
		for _, version := range []string{kube.KindFlaggerCanary.GVK.GroupVersion().String(), kube.KindArgoRollout.GVK.GroupVersion().String()} {
			if err := apiserver.Poll(context.Background(), patience, func() error { return notServed(w.config, version) }); err != nil {
				t.Error(err)
			}
		}
	})
	kube, err := client.New(w.config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := w.deployment("primary-svc")
	w.create(d)
	for _, test := range []struct{ apiVersion, kind, field, want string }{
		{"flagger.app/v1beta1", "Canary", "targetRef", "is managed by Canary " + w.namespace + "/theirs (flagger.app), and left alone: delete it"},
		{"argoproj.io/v1alpha1", "Rollout", "workloadRef", "is managed by Rollout " + w.namespace + "/theirs (argoproj.io), and left alone: delete it"},
	} {
		t.Run(test.kind, func(t *testing.T) {
			theirs := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": test.apiVersion, "kind": test.kind, "metadata": map[string]any{"name": "theirs", "namespace": w.namespace},
				"spec": map[string]any{test.field: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": d.Name}},
			}}
			if err := kube.Create(t.Context(), theirs); err != nil {
				t.Fatal(err)
			}
			exs := w.exposedService("greeter-"+test.field[:4], shipping(d.Name))
			w.create(exs)
			w.untilNotAccepted(exs, v1alpha1.ReasonWorkloadConflict, test.want)
			if err := w.read(d); err != nil || d.Spec.Paused {
				t.Errorf("paused %t, %v", d.Spec.Paused, err)
			}
			if err := kube.Delete(t.Context(), theirs); err != nil {
				t.Fatal(err)
			}
			w.untilHeld(exs, d)
			w.delete(exs)
			w.eventually("it is gone", func() error { return gone(w, exs) })
		})
	}
}

// notServed is nil when the API server says that it has no kinds of a version.
func notServed(config *rest.Config, version string) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	_, err = client.ServerResourcesForGroupVersion(version)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("ask for %s: %w", version, err)
	}
	return fmt.Errorf("%s is served", version)
}

// anyKind is a namespaced kind that takes anything.
func anyKind(group, version, kind, plural string) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, ListKind: kind + "List", Plural: plural},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: version, Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: ptr.To(true),
				}},
			}},
		},
	}
}
