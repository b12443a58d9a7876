package controllers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// TestCopiesAreNeitherTakenNorRemoved: people copy the route for debugging, with its labels and its owner.
func TestCopiesAreNeitherTakenNorRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)

	route := &gwapiv1.GRPCRoute{ObjectMeta: metav1.ObjectMeta{Name: "greeter", Namespace: w.namespace}}
	if err := w.read(route); err != nil {
		t.Fatal(err)
	}
	var copies []client.Object
	for _, name := range []string{"a-copy", "greeter-debug"} {
		duplicate := route.DeepCopy()
		duplicate.ObjectMeta = metav1.ObjectMeta{
			Name: name, Namespace: w.namespace, Labels: route.Labels, Annotations: route.Annotations, OwnerReferences: route.OwnerReferences,
		}
		for i := range duplicate.Spec.Rules[0].BackendRefs {
			duplicate.Spec.Rules[0].BackendRefs[i].Weight = nil
		}
		copies = append(copies, duplicate)
	}
	w.create(copies...)
	w.untilQuiet(o)
	for _, duplicate := range copies {
		if err := w.read(duplicate); err != nil || duplicate.GetDeletionTimestamp() != nil {
			t.Errorf("the copy %s was removed: %v", duplicate.GetName(), err)
		}
	}
	if err := w.conditionIs(exs, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
		t.Error(err)
	}
}
