package stripped

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// annotationTemplate is, in the cache alone, the pod template of a Deployment as the API server writes it. Most of a
// Deployment is its template, and most Deployments are not rolled out by Headgate: packed it takes a fraction of the
// memory, and whoever reads it unpacks it.
var annotationTemplate = v1alpha1.GroupVersion.Group + "/packed-template"

// StripDeployment is for Deployments. Who owns which of their fields is another's to strip.
func (s *Stripper) StripDeployment(object any) (any, error) {
	deployment, ok := object.(*appsv1.Deployment)
	if !ok || isMarked(deployment) || isPacked(deployment) {
		return object, nil
	}
	fields, owners := deployment.ManagedFields, deployment.OwnerReferences
	s.stripMetadata(deployment)
	deployment.ManagedFields, deployment.OwnerReferences = fields, owners
	// Nobody reads what its conditions say.
	deployment.Status.Conditions = nil
	packed, err := deployment.Spec.Template.Marshal()
	if err != nil {
		return nil, fmt.Errorf("pack the pod template of Deployment %s/%s: %w", deployment.Namespace, deployment.Name, err)
	}
	deployment.Annotations = map[string]string{annotationTemplate: string(packed)}
	deployment.Spec.Template = corev1.PodTemplateSpec{}
	return deployment, nil
}

// isPacked: the API server admits no pod template without containers.
func isPacked(deployment *appsv1.Deployment) bool {
	return deployment.Annotations[annotationTemplate] != "" && len(deployment.Spec.Template.Spec.Containers) == 0
}

// Unpack gives a Deployment from the cache its pod template back. One that was read past it has its own.
func Unpack(deployment *appsv1.Deployment) error {
	if deployment == nil || !isPacked(deployment) {
		return nil
	}
	if err := deployment.Spec.Template.Unmarshal([]byte(deployment.Annotations[annotationTemplate])); err != nil {
		return fmt.Errorf("unpack the pod template of Deployment %s/%s: %w", deployment.Namespace, deployment.Name, err)
	}
	delete(deployment.Annotations, annotationTemplate)
	return nil
}
