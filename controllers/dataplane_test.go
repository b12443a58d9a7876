package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/test/dataplane"
)

// startDataPlane starts one for the class of a world, which ends with the test. All kinds have to be there.
func startDataPlane(w *world) *dataplane.DataPlane {
	w.t.Helper()
	return dataplane.Start(w.t, dataplane.Config{Config: w.config, Client: w.kube, Class: w.class})
}

// each calls a function with every object of a kind in a namespace.
func each[T client.Object](ctx context.Context, seen client.Reader, list client.ObjectList, namespace string, f func(T)) {
	if seen.List(ctx, list, client.InNamespace(namespace)) != nil {
		return
	}
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		if object, ok := item.(T); ok {
			f(object)
		}
		return nil
	})
}
