package kube

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Get reads an object; nil: it does not exist.
func Get[T any, PT interface {
	*T
	client.Object
}](ctx context.Context, reader client.Reader, key types.NamespacedName) (*T, error) {
	object := PT(new(T))
	if err := reader.Get(ctx, key, object); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read %T %s: %w", object, key, err)
	}
	return (*T)(object), nil
}

// IsConflict says that somebody changed, made or removed the object between our reading and our writing.
func IsConflict(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}
