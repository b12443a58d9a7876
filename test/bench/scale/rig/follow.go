package rig

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// follow calls a function with each object of a kind, as often as the API server tells of it, until the context ends. It keeps
// none of them, and nothing is said of those that are deleted.
func follow[T client.Object](ctx context.Context, kube client.WithWatch, list client.ObjectList, told func(T)) {
	var kind T
	kind, _ = kind.DeepCopyObject().(T)
	source := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			page, ok := list.DeepCopyObject().(client.ObjectList)
			if !ok {
				return nil, errors.New("a copy of a list is a list")
			}
			return page, kube.List(ctx, page, &client.ListOptions{Raw: &options})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return kube.Watch(ctx, list, &client.ListOptions{Raw: &options})
		},
	}
	toolscache.NewReflectorWithOptions(source, kind, listener[T](told), toolscache.ReflectorOptions{}).RunWithContext(ctx)
}

// listener is a store that passes everything on.
type listener[T client.Object] func(T)

func (l listener[T]) tell(object any) error {
	if object, ok := object.(T); ok {
		l(object)
	}
	return nil
}

// Add implements cache.ReflectorStore.
func (l listener[T]) Add(object any) error { return l.tell(object) }

// Update implements cache.ReflectorStore.
func (l listener[T]) Update(object any) error { return l.tell(object) }

// Delete implements cache.ReflectorStore.
func (listener[T]) Delete(any) error { return nil }

// Replace implements cache.ReflectorStore.
func (l listener[T]) Replace(objects []any, _ string) error {
	for _, object := range objects {
		_ = l.tell(object)
	}
	return nil
}

// Resync implements cache.ReflectorStore.
func (listener[T]) Resync() error { return nil }
