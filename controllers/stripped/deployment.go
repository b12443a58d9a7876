package stripped

import (
	appsv1 "k8s.io/api/apps/v1"
)

// StripDeployment is for Deployments, whose pod template is read as a whole. Who owns which of their fields is another's to
// strip.
func (s *Stripper) StripDeployment(object any) (any, error) {
	deployment, ok := object.(*appsv1.Deployment)
	if !ok || isMarked(deployment) {
		return object, nil
	}
	fields, owners := deployment.ManagedFields, deployment.OwnerReferences
	s.stripMetadata(deployment)
	deployment.ManagedFields, deployment.OwnerReferences = fields, owners
	// Only what the canary's conditions say is read, and that is Headgate's.
	deployment.Status.Conditions = nil
	return deployment, nil
}
