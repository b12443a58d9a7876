package faults

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

// collectGarbage is the cluster's garbage collector, which no test has: it removes what an ExposedService controls that is no more,
// and says how much that was.
func (w *world) collectGarbage() int {
	w.Helper()
	ctx := context.Background()
	// What is owned is listed before the owners are: a new owner must not miss among them.
	var owned []client.Object
	for _, k := range kube.MadeKinds() {
		list := k.NewList()
		if err := w.kube.List(ctx, list, client.InNamespace(w.namespace)); err != nil {
			w.Fatal(err)
		}
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			if object := item.(client.Object); isMade(object) {
				owned = append(owned, object)
			}
			return nil
		})
	}
	if len(owned) == 0 {
		return 0
	}
	var owners v1alpha1.ExposedServiceList
	if err := w.kube.List(ctx, &owners, client.InNamespace(w.namespace)); err != nil {
		w.Fatal(err)
	}
	live := map[types.UID]bool{}
	for i := range owners.Items {
		live[owners.Items[i].UID] = true
	}
	removed := 0
	for _, object := range owned {
		if !live[metav1.GetControllerOf(object).UID] {
			w.delete(object)
			removed++
		}
	}
	return removed
}
