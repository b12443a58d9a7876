package kube

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/headgate/headgate/api/v1alpha1"
)

// The finalizer is there only while an object in another namespace is, which the garbage collector
// cannot reach, or while a Deployment of the user's is held, which has to be given up. An ExposedService
// without one is deleted even when Headgate is not running.

// HoldFinalizer sets the finalizer, before the first object in another namespace is made or a Deployment is
// held.
func HoldFinalizer(ctx context.Context, writer client.Client, exs *v1alpha1.ExposedService) error {
	return patchFinalizer(ctx, writer, exs, controllerutil.AddFinalizer)
}

// ReleaseFinalizer takes it away.
func ReleaseFinalizer(ctx context.Context, writer client.Client, exs *v1alpha1.ExposedService) error {
	return patchFinalizer(ctx, writer, exs, controllerutil.RemoveFinalizer)
}

// patchFinalizer changes the finalizers, with the resource version as a precondition: a patch
// replaces the whole list, and others may have put something into it. Then the ExposedService is read past the cache for a
// while: a run that still saw the finalizer of before would make something that nobody removes. After an error the
// ExposedService is as it was read.
func patchFinalizer(
	ctx context.Context, writer client.Client, exs *v1alpha1.ExposedService, change func(client.Object, string) bool,
) error {
	// The answer overwrites what it is decoded into; the status that was read must stay.
	answer := exs.DeepCopy()
	if !change(answer, v1alpha1.Finalizer) {
		return nil
	}
	if err := writer.Patch(ctx, answer, client.MergeFromWithOptions(exs, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("patch the finalizers of ExposedService %s: %w", client.ObjectKeyFromObject(exs), err)
	}
	exs.ObjectMeta = answer.ObjectMeta
	noteStale(writer, exs)
	return nil
}
