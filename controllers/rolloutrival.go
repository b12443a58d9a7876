package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// rival is somebody else who manages the Deployment of a rollout. Two that hold and release it, or scale
// it, would undo each other's work: Headgate leaves it alone.
type rival struct {
	// name is what it is, for people.
	name string
	// remedy is what to do.
	remedy string
}

// rivalFor is who else manages the Deployment; nil: nobody.
func (r *exposureReconciler) rivalFor(ctx context.Context, exs *v1alpha1.ExposedService, d *appsv1.Deployment, name types.NamespacedName) (*rival, error) {
	older, err := r.olderFor(ctx, exs, name)
	if err != nil || older != nil {
		return older, err
	}
	if made := madeBy(d); made != nil {
		return made, nil
	}
	for _, k := range []kind{kindFlaggerCanary, kindArgoRollout} {
		if !r.kinds.has(k) {
			continue
		}
		list := k.newList()
		if err := r.client.List(ctx, list, client.InNamespace(name.Namespace), client.MatchingFields{indexManaged: name.String()}); err != nil {
			return nil, fmt.Errorf("list the %ss that manage Deployment %s: %w", k.gvk.Kind, name, err)
		}
		if found := firstName(list); found != "" {
			what := fmt.Sprintf("%s %s/%s (%s)", k.gvk.Kind, name.Namespace, found, k.gvk.Group)
			return &rival{name: what, remedy: "delete it, or remove spec.rollout"}, nil
		}
	}
	return nil, nil
}

// olderFor is an older ExposedService with the same workload.
func (r *exposureReconciler) olderFor(ctx context.Context, exs *v1alpha1.ExposedService, name types.NamespacedName) (*rival, error) {
	var list v1alpha1.ExposedServiceList
	if err := r.client.List(ctx, &list, client.MatchingFields{indexWorkload: name.String()}); err != nil {
		return nil, fmt.Errorf("list the ExposedServices of Deployment %s: %w", name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.Name != exs.Name && isOlder(other, exs) {
			return &rival{name: "the older ExposedService " + other.Name, remedy: "remove rollout from one of them"}, nil
		}
	}
	return nil, nil
}

// madeBy is the controller that has made the Deployment, such as Flagger the one called <name>-primary: it
// puts back what others change of it.
func madeBy(d *appsv1.Deployment) *rival {
	if d == nil {
		return nil
	}
	owner := metav1.GetControllerOf(d)
	if owner == nil {
		return nil
	}
	for _, k := range []kind{kindFlaggerCanary, kindArgoRollout} {
		if owner.Kind == k.gvk.Kind && groupOf(owner.APIVersion) == k.gvk.Group {
			return &rival{
				name:   fmt.Sprintf("%s %s/%s (%s), which has made it", owner.Kind, d.Namespace, owner.Name, k.gvk.Group),
				remedy: "name a Deployment of your own, and delete the " + owner.Kind + " of it",
			}
		}
	}
	return nil
}

func isOlder(a, b *v1alpha1.ExposedService) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}
