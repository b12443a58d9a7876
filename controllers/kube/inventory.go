package kube

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/gateway"
)

// Objects reads and writes the objects that Headgate makes.
type Objects struct {
	Client client.Client
	// Reader reads past the cache, for the few questions on which a stale answer does harm.
	Reader  client.Reader
	Kinds   *ServedKinds
	Metrics *metrics.Metrics
	Events  Events
	// Settled remembers what needs no apply; nil: nothing is remembered.
	Settled *Settled
}

// Inventory is what is there of the objects of one ExposedService, or has a name that it needs, and what
// writes them. It is for one run.
type Inventory struct {
	Objects

	owner *v1alpha1.ExposedService
	live  map[gateway.Ref]client.Object
}

// NewInventory knows of no object yet.
func (o Objects) NewInventory(exs *v1alpha1.ExposedService) *Inventory {
	return &Inventory{Objects: o, owner: exs, live: map[gateway.Ref]client.Object{}}
}

// ReadInventory reads the objects that carry our labels or owner reference, of every kind and in every
// namespace. byOwner is the name of the cache's index of objects by "namespace/name" of their owner.
func (o Objects) ReadInventory(ctx context.Context, exs *v1alpha1.ExposedService, byOwner string) (*Inventory, error) {
	out := o.NewInventory(exs)
	owner := client.MatchingFields{byOwner: client.ObjectKeyFromObject(exs).String()}
	for _, k := range MadeKinds() {
		if !o.Kinds.Has(k) {
			continue
		}
		list := k.NewList()
		if err := o.Client.List(ctx, list, owner); err != nil {
			return nil, fmt.Errorf("list objects of kind %s: %w", k.GVK.Kind, err)
		}
		if err := out.keepAll(k, list); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// keepAll notes the objects of a list.
func (i *Inventory) keepAll(k Kind, list client.ObjectList) error {
	err := meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("%T is not an object", item)
		}
		i.live[k.Ref(object)] = object
		return nil
	})
	if err != nil {
		return fmt.Errorf("list objects of kind %s: %w", k.GVK.Kind, err)
	}
	return nil
}

// Get is an object that was read; nil: it is not there.
func (i *Inventory) Get(ref gateway.Ref) client.Object { return i.live[ref] }

// Owned are the objects that were made for the ExposedService, or may be taken over.
func (i *Inventory) Owned() map[gateway.Ref]client.Object {
	out := maps.Clone(i.live)
	maps.DeleteFunc(out, func(_ gateway.Ref, object client.Object) bool {
		whose := OwnershipOf(object, i.owner)
		return whose != Ours && whose != Adoptable
	})
	return out
}

// Service is a Service that was made for the ExposedService; nil: there is none of that name.
func (i *Inventory) Service(name string) *corev1.Service {
	own, ok := i.live[gateway.Ref{Kind: gateway.KindService, Namespace: i.owner.Namespace, Name: name}].(*corev1.Service)
	if !ok || OwnershipOf(own, i.owner) != Ours {
		return nil
	}
	return own
}

// Elsewhere are the live objects of ours in other namespaces, which no owner reference reaches.
func (i *Inventory) Elsewhere() []gateway.Ref {
	var out []gateway.Ref
	for ref, object := range i.live {
		if ref.Namespace != i.owner.Namespace && OwnershipOf(object, i.owner) == Ours {
			out = append(out, ref)
		}
	}
	return out
}

// Find is the object that has a name, as the cache knows it; nil: none. What was made a moment ago may not be in it yet:
// Apply finds that out, and after that so does Find.
func (i *Inventory) Find(ctx context.Context, k Kind, ref gateway.Ref) (client.Object, error) {
	if live, found := i.live[ref]; found {
		return live, nil
	}
	key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
	live := k.NewObject()
	err := i.Client.Get(ctx, key, live)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s %s: %w", ref.Kind, key, err)
	}
	i.live[ref] = live
	return live, nil
}

// Remove deletes an object, if it is still the one that was read.
func (i *Inventory) Remove(ctx context.Context, k Kind, object client.Object) error {
	name := object.GetNamespace() + "/" + object.GetName()
	err := i.Client.Delete(ctx, object, client.Preconditions{
		UID: ptr.To(object.GetUID()), ResourceVersion: ptr.To(object.GetResourceVersion()),
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		i.Metrics.CountRemoval(k.GVK.Kind, resultFailed)
		return fmt.Errorf("remove %s %s: %w", k.GVK.Kind, name, err)
	}
	delete(i.live, k.Ref(object))
	i.Metrics.CountRemoval(k.GVK.Kind, resultRemoved)
	logf.FromContext(ctx).Info("removed what is no longer wanted", "kind", k.GVK.Kind, "made", name)
	i.Events.Write(i.owner, Event{
		Type: corev1.EventTypeNormal, Reason: ReasonRemoved, Action: ActionRemove, Related: object,
		Note: fmt.Sprintf("%s %s is no longer needed", k.GVK.Kind, name),
	})
	return nil
}

// Prune removes the objects of ours that are not wanted, in the order of the kinds' removal. Those of a kind
// that is to wait stay for now.
func (i *Inventory) Prune(ctx context.Context, wanted func(gateway.Ref) bool, waits func(Kind) bool) Step {
	var out Step
	for _, k := range MadeKinds() {
		if waits(k) {
			continue
		}
		for ref, object := range i.live {
			if ref.Kind != k.GVK.Kind || ref.Group != k.GVK.Group || object.GetDeletionTimestamp() != nil ||
				!i.mayRemove(ref, object) || wanted(ref) {
				continue
			}
			out.Fail(i.Remove(ctx, k, object))
		}
	}
	return out
}

// mayRemove: Headgate has made the object itself. People copy objects with their labels and owner, and give objects of
// their own an owner so that they go with it; those have other names, or were never applied.
func (i *Inventory) mayRemove(ref gateway.Ref, object client.Object) bool {
	return OwnershipOf(object, i.owner) == Ours && gateway.IsOurName(i.owner, ref) && object.GetAnnotations()[v1alpha1.AnnotationIntent] != ""
}

// ReadElsewhere reads our objects in other namespaces past the cache: this is the last chance to see one that
// was made a moment before. No namespaces: in all of them.
func (i *Inventory) ReadElsewhere(ctx context.Context, namespaces []string) error {
	labels := client.MatchingLabels{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: i.owner.Name, v1alpha1.LabelOwnerNamespace: i.owner.Namespace,
	}
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	for _, namespace := range namespaces {
		if namespace == i.owner.Namespace {
			continue
		}
		list := KindPatchPolicy.NewList()
		err := i.Reader.List(ctx, list, labels, client.InNamespace(namespace))
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			// Without the kind there are no objects of it.
			return nil
		}
		if err != nil {
			return fmt.Errorf("list EnvoyPatchPolicies of ExposedService %s: %w", client.ObjectKeyFromObject(i.owner), err)
		}
		if err := i.keepAll(KindPatchPolicy, list); err != nil {
			return err
		}
	}
	return nil
}
