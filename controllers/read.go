package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// readLive reads the objects that carry our labels or owner reference, of every kind and in every
// namespace.
func (r *exposureReconciler) readLive(ctx context.Context, s *scope) error {
	owner := client.MatchingFields{indexOwner: client.ObjectKeyFromObject(s.exs).String()}
	for _, k := range madeKinds() {
		if !r.kinds.has(k) {
			continue
		}
		list := k.newList()
		if err := r.client.List(ctx, list, owner); err != nil {
			return fmt.Errorf("list objects of kind %s: %w", k.gvk.Kind, err)
		}
		err := meta.EachListItem(list, s.keepLive(k))
		if err != nil {
			return fmt.Errorf("list objects of kind %s: %w", k.gvk.Kind, err)
		}
	}
	return nil
}

// refuseNameConflicts looks at who has the names that the expansion needs.
func (r *exposureReconciler) refuseNameConflicts(ctx context.Context, s *scope) error {
	if s.expansion.Blocked {
		return nil
	}
	for _, object := range s.expansion.Objects {
		k, ok := kindOf(object)
		if !ok || !r.kinds.has(k) {
			continue
		}
		ref := k.ref(object)
		live, found := s.live[ref]
		if !found {
			var err error
			if live, err = r.readTaken(ctx, k, ref); err != nil {
				return err
			}
			if live == nil {
				continue
			}
			s.live[ref] = live
		}
		switch ownershipOf(live, s.exs) {
		case foreign:
			s.waitsFor = append(s.waitsFor, ref)
			s.expansion = s.expansion.Without(ref, gateway.Problem{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
				"%s %s/%s exists and was not made by Headgate for this ExposedService, so it is left alone: delete or rename it, or give the ExposedService (or the backend) another name",
				ref.Kind, ref.Namespace, ref.Name)})
		case leftover:
			s.waitsFor = append(s.waitsFor, ref)
			s.expansion = s.expansion.Without(ref, gateway.Problem{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
				"%s %s/%s still belongs to a deleted ExposedService of the same name: it is removed by the cluster's garbage collector; if it stays, delete it",
				ref.Kind, ref.Namespace, ref.Name)})
		}
	}
	return nil
}

// readTaken reads the object that has a name, nil if none. The cache is not enough to say that a
// name is free: what was made a moment ago may not be in it yet, and applying would take it over.
func (r *exposureReconciler) readTaken(ctx context.Context, k kind, ref gateway.Ref) (client.Object, error) {
	key := client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}
	for _, reader := range []client.Reader{r.client, r.reader} {
		live := k.newObject()
		err := reader.Get(ctx, key, live)
		if err == nil {
			return live, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read %s %s: %w", ref.Kind, key, err)
		}
	}
	return nil, nil
}
