package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
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

// FirstName is the name of the first object of a list; empty: there is none.
func FirstName(list client.ObjectList) string {
	name := ""
	// The function fails for what is no list only.
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		if object, ok := item.(client.Object); ok && (name == "" || object.GetName() < name) {
			name = object.GetName()
		}
		return nil
	})
	return name
}

// SecretKey reads a key of a Secret past the cache; nil: none is asked for. Headgate may read no Secret
// unless somebody lets it: the error says how.
func SecretKey(ctx context.Context, reader client.Reader, namespace string, ref *corev1.SecretKeySelector) ([]byte, error) {
	if ref == nil {
		return nil, nil
	}
	var secret corev1.Secret
	if err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, &secret); err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w (Headgate may read Secrets only where a Role in their namespace lets its "+
			"ServiceAccount get them)", namespace, ref.Name, err)
	}
	value, ok := secret.Data[ref.Key]
	if !ok {
		return nil, fmt.Errorf("Secret %s/%s has no key %s: add it, or correct the name", namespace, ref.Name, ref.Key)
	}
	return value, nil
}
