package controllers

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// The finalizer is there only while an object in another namespace is, which the garbage collector
// cannot reach, or while a Deployment of the user's is held, which has to be given up. An ExposedService without one is deleted even when Headgate is not running.

// holdFinalizer sets the finalizer before the first object in another namespace is made.
func (r *exposureReconciler) holdFinalizer(ctx context.Context, s *scope) error {
	return r.patchFinalizer(ctx, s.exs, controllerutil.AddFinalizer)
}

// releaseFinalizer takes the finalizer away when nothing is left in other namespaces.
func (r *exposureReconciler) releaseFinalizer(ctx context.Context, s *scope) {
	if len(s.failures) > 0 || len(s.errs) > 0 || s.conflicted || len(s.elsewhere()) > 0 || holdsWorkload(s.exs) {
		return
	}
	for _, object := range s.expansion.Objects {
		if object.GetNamespace() != s.exs.Namespace {
			return
		}
	}
	if err := r.patchFinalizer(ctx, s.exs, controllerutil.RemoveFinalizer); err != nil {
		s.fail(err)
	}
}

// patchFinalizer changes the finalizers, with the resource version as a precondition: a patch
// replaces the whole list, and others may have put something into it.
func (r *exposureReconciler) patchFinalizer(
	ctx context.Context, exs *v1alpha1.ExposedService, change func(client.Object, string) bool,
) error {
	before := exs.DeepCopy()
	if !change(exs, v1alpha1.Finalizer) {
		return nil
	}
	// The answer overwrites what it is decoded into; the status that was read must stay.
	answer := exs.DeepCopy()
	if err := r.client.Patch(ctx, answer, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("patch the finalizers of ExposedService %s: %w", client.ObjectKeyFromObject(exs), err)
	}
	exs.ObjectMeta = answer.ObjectMeta
	return nil
}

// reconcileDeleted removes what is in other namespaces, then the finalizer. Everything else goes by
// owner references. It needs neither facts nor an expansion, so that nothing can be missing for it.
func (r *exposureReconciler) reconcileDeleted(ctx context.Context, exs *v1alpha1.ExposedService) (ctrl.Result, error) {
	// What holds it up may take long: nobody counts its calls, asks its webhooks or watches its configuration meanwhile.
	r.forget(client.ObjectKeyFromObject(exs))
	if !controllerutil.ContainsFinalizer(exs, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	if holdsWorkload(exs) {
		ends, err := r.namespaceEnds(ctx, exs.Namespace)
		if err != nil {
			return ctrl.Result{}, err
		}
		if !ends {
			if err := r.giveUpWorkload(ctx, exs); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	s := &scope{log: logf.FromContext(ctx), exs: exs, live: map[gateway.Ref]client.Object{}}
	if err := r.readElsewhere(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	for _, ref := range s.elsewhere() {
		if s.live[ref].GetDeletionTimestamp() != nil {
			continue
		}
		if err := r.remove(ctx, s, kindPatchPolicy, s.live[ref]); err != nil {
			return ctrl.Result{}, err
		}
	}
	// What somebody's finalizer holds is still there after its removal.
	if err := r.readElsewhere(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	if left := s.elsewhere(); len(left) > 0 {
		// Its end leads here again.
		names := make([]string, 0, len(left))
		for _, ref := range left {
			names = append(names, fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name))
		}
		return ctrl.Result{}, r.writeStatus(ctx, s, gateway.Deleting(exs, "waiting for the removal of "+strings.Join(names, ", ")+
			": if it stays, look at its finalizers"))
	}
	return ctrl.Result{}, r.patchFinalizer(ctx, exs, controllerutil.RemoveFinalizer)
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// namespaceEnds says whether a namespace is being deleted. The right to write to what is in it may be gone already, with the
// RoleBinding that gave it, and there is nobody left to write it for.
func (r *exposureReconciler) namespaceEnds(ctx context.Context, name string) (bool, error) {
	namespace := &corev1.Namespace{}
	switch err := r.reader.Get(ctx, client.ObjectKey{Name: name}, namespace); {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read Namespace %s: %w", name, err)
	}
	return namespace.DeletionTimestamp != nil, nil
}

// readElsewhere reads our objects in other namespaces past the cache: this is the last chance to see
// one that was made a moment before.
func (r *exposureReconciler) readElsewhere(ctx context.Context, s *scope) error {
	labels := client.MatchingLabels{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: s.exs.Name, v1alpha1.LabelOwnerNamespace: s.exs.Namespace,
	}
	namespaces := r.namespaces
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	for _, namespace := range namespaces {
		if namespace == s.exs.Namespace {
			continue
		}
		list := kindPatchPolicy.newList()
		err := r.reader.List(ctx, list, labels, client.InNamespace(namespace))
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			// Without the kind there are no objects of it.
			return nil
		}
		if err != nil {
			return fmt.Errorf("list EnvoyPatchPolicies of ExposedService %s: %w", client.ObjectKeyFromObject(s.exs), err)
		}
		keep := s.keepLive(kindPatchPolicy)
		err = meta.EachListItem(list, func(item runtime.Object) error {
			object, ok := item.(client.Object)
			if ok && object.GetNamespace() == s.exs.Namespace {
				return nil
			}
			return keep(item)
		})
		if err != nil {
			return fmt.Errorf("list EnvoyPatchPolicies: %w", err)
		}
	}
	return nil
}
