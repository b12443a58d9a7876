package exposure

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// reconcileDeleted removes what is in other namespaces, then the finalizer. Everything else goes by
// owner references. It needs neither facts nor an expansion, so that nothing can be missing for it.
func (r *Reconciler) reconcileDeleted(ctx context.Context, exs *v1alpha1.ExposedService) (time.Duration, error) {
	r.forget(client.ObjectKeyFromObject(exs))
	if !controllerutil.ContainsFinalizer(exs, v1alpha1.Finalizer) {
		return 0, nil
	}
	if done, err := r.giveUp(ctx, exs); err != nil {
		return 0, err
	} else if !done {
		// The pods of a version that was not proved are taken back.
		return deployments.VersionsPeriod, nil
	}
	inventory := r.NewInventory(exs)
	if err := inventory.ReadElsewhere(ctx, r.Namespaces); err != nil {
		return 0, err
	}
	for _, ref := range inventory.Elsewhere() {
		object := inventory.Get(ref)
		if object.GetDeletionTimestamp() != nil {
			continue
		}
		if err := inventory.Remove(ctx, kube.KindPatchPolicy, object); err != nil {
			return 0, err
		}
	}
	// What somebody's finalizer holds is still there after its removal.
	if err := inventory.ReadElsewhere(ctx, r.Namespaces); err != nil {
		return 0, err
	}
	if left := inventory.Elsewhere(); len(left) > 0 {
		// Its end leads here again.
		names := make([]string, 0, len(left))
		for _, ref := range left {
			names = append(names, fmt.Sprintf("%s %s/%s", ref.Kind, ref.Namespace, ref.Name))
		}
		return 0, r.Report.Write(ctx, exs, gateway.Expansion{}, gateway.Deleting(exs, "waiting for the removal of "+strings.Join(names, ", ")+
			": if it stays, look at its finalizers"))
	}
	return 0, kube.ReleaseFinalizer(ctx, r.Client, exs)
}

// giveUp gives up the Deployment that was rolled out, unless it goes as well, and says whether that is done.
func (r *Reconciler) giveUp(ctx context.Context, exs *v1alpha1.ExposedService) (bool, error) {
	if !refs.HoldsWorkload(exs) {
		return true, nil
	}
	if ends, err := r.namespaceEnds(ctx, exs.Namespace); err != nil || ends {
		return err == nil, err
	}
	return r.Deployments.GiveUp(ctx, exs)
}

// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

// namespaceEnds says whether a namespace is being deleted. The right to write to what is in it may be gone already, with the
// RoleBinding that gave it, and there is nobody left to write it for.
func (r *Reconciler) namespaceEnds(ctx context.Context, name string) (bool, error) {
	namespace := &corev1.Namespace{}
	switch err := r.Reader.Get(ctx, client.ObjectKey{Name: name}, namespace); {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read Namespace %s: %w", name, err)
	}
	return namespace.DeletionTimestamp != nil, nil
}
