package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Hold is all that Headgate applies to the user's Deployment: whether it is paused, and with a config hash an annotation of its pod
// template, which changes with the configuration so that the Deployment rolls it out. It carries the UID: a Deployment that was deleted
// is not made again.
func Hold(deployment *appsv1.Deployment, paused bool, config string) *unstructured.Unstructured {
	out := GiveUp(deployment)
	spec := map[string]any{"paused": paused}
	if config != "" {
		spec["template"] = map[string]any{"metadata": map[string]any{"annotations": map[string]any{AnnotationConfig: config}}}
	}
	out.Object["spec"] = spec
	return out
}

// GiveUp gives all of that up: server-side apply removes the fields that it leaves out, and an unpaused Deployment rolls out what it
// has. Kubernetes replaces the pods once if the annotation was there.
func GiveUp(deployment *appsv1.Deployment) *unstructured.Unstructured {
	out := &unstructured.Unstructured{Object: map[string]any{}}
	out.SetAPIVersion(appsv1.SchemeGroupVersion.String())
	out.SetKind("Deployment")
	out.SetNamespace(deployment.Namespace)
	out.SetName(deployment.Name)
	out.SetUID(deployment.UID)
	return out
}
