package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Owned is what Headgate applies to the user's Deployment, and nothing else of it. What is left out is given up.
type Owned struct {
	// Mark is the name of the ExposedService, by which the admission policy knows the Deployment; empty: none.
	Mark string
	// Paused is spec.paused; nil: it is left to others.
	Paused *bool
	// Config is an annotation of the pod template, which changes with the configuration so that the Deployment rolls it out; empty: none.
	Config string
	// Annotation is a further annotation of the pod template, by which somebody asks what a changed one comes to; empty: none.
	Annotation string
	// Version is the resource version that the Deployment has to have; empty: any.
	Version string
}

// Own is the apply of what Headgate owns. It carries the UID: a Deployment that was deleted is not made again.
func Own(deployment *appsv1.Deployment, owned Owned) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: map[string]any{}}
	out.SetAPIVersion(appsv1.SchemeGroupVersion.String())
	out.SetKind("Deployment")
	out.SetNamespace(deployment.Namespace)
	out.SetName(deployment.Name)
	out.SetUID(deployment.UID)
	out.SetResourceVersion(owned.Version)
	if owned.Mark != "" {
		out.SetLabels(map[string]string{v1alpha1.LabelRollout: owned.Mark})
	}
	spec := map[string]any{}
	if owned.Paused != nil {
		spec["paused"] = *owned.Paused
	}
	annotations := map[string]any{}
	if owned.Config != "" {
		annotations[AnnotationConfig] = owned.Config
	}
	if owned.Annotation != "" {
		annotations[owned.Annotation] = "true"
	}
	if len(annotations) > 0 {
		spec["template"] = map[string]any{"metadata": map[string]any{"annotations": annotations}}
	}
	if len(spec) > 0 {
		out.Object["spec"] = spec
	}
	return out
}
