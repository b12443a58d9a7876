package deployments

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
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
func (f *Follower) rivalFor(ctx context.Context, exs *v1alpha1.ExposedService, d *appsv1.Deployment, name types.NamespacedName) (*rival, error) {
	older, err := f.olderFor(ctx, exs, name)
	if err != nil || older != nil {
		return older, err
	}
	if made := madeBy(d); made != nil {
		return made, nil
	}
	for _, k := range []kube.Kind{kube.KindFlaggerCanary, kube.KindArgoRollout} {
		if !f.Kinds.Has(k) {
			continue
		}
		list := k.NewList()
		if err := f.Client.List(ctx, list, client.InNamespace(name.Namespace), client.MatchingFields{index.ByManaged: name.String()},
			client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list the %ss that manage Deployment %s: %w", k.GVK.Kind, name, err)
		}
		if found := kube.FirstName(list); found != "" {
			what := fmt.Sprintf("%s %s/%s (%s)", k.GVK.Kind, name.Namespace, found, k.GVK.Group)
			return &rival{name: what, remedy: "delete it, or remove spec.rollout"}, nil
		}
	}
	return nil, nil
}

// olderFor is an older ExposedService with the same workload.
func (f *Follower) olderFor(ctx context.Context, exs *v1alpha1.ExposedService, name types.NamespacedName) (*rival, error) {
	var list v1alpha1.ExposedServiceList
	if err := f.Client.List(ctx, &list, client.MatchingFields{index.ByWorkload: name.String()}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the ExposedServices of Deployment %s: %w", name, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.Name != exs.Name && refs.ByAge(other, exs) < 0 {
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
	for _, k := range []kube.Kind{kube.KindFlaggerCanary, kube.KindArgoRollout} {
		if owner.Kind == k.GVK.Kind && kube.GroupOf(owner.APIVersion) == k.GVK.Group {
			return &rival{
				name:   fmt.Sprintf("%s %s/%s (%s), which has made it", owner.Kind, d.Namespace, owner.Name, k.GVK.Group),
				remedy: "name a Deployment of your own, and delete the " + owner.Kind + " of it",
			}
		}
	}
	return nil
}
