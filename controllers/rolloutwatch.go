package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/headgate/headgate/api/v1alpha1"
)

// workloadKeys are the Deployments that an ExposedService rolls out.
func workloadKeys(exs *v1alpha1.ExposedService) []string {
	if name := workloadOf(exs); name.Name != "" {
		return []string{name.String()}
	}
	return nil
}

// usersOfDeployment are those that roll it out.
func (m mapper) usersOfDeployment(ctx context.Context, object client.Object) []types.NamespacedName {
	return m.find(ctx, indexWorkload, client.ObjectKeyFromObject(object).String())
}

// usersOfManaged are those that roll out a Deployment which an object of others manages.
func (m mapper) usersOfManaged(ctx context.Context, object client.Object) []types.NamespacedName {
	var out []types.NamespacedName
	for _, name := range managedDeployment(object) {
		out = append(out, m.find(ctx, indexWorkload, name)...)
	}
	return out
}

// peopleSpoke lets through changes of the annotations by which people speak to a rollout.
func peopleSpoke() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		for _, name := range []string{v1alpha1.AnnotationApprove, v1alpha1.AnnotationRetry, v1alpha1.AnnotationSwapped} {
			if before[name] != after[name] {
				return true
			}
		}
		return false
	}}
}
