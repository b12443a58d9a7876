package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

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
