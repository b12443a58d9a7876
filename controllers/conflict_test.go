package controllers

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/dataplane"
)

func TestForeignObjectIsNeverTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	foreignService := w.service("greeter-primary-gw")
	// Made at the same moment as the ExposedService, so that no cache can know of it.
	exs := w.exposedService("greeter")
	w.create(foreignService, exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonNameConflict, "Service "+w.namespace+"/greeter-primary-gw")
	w.untilQuiet(o)
	made := w.made(exs)
	for _, name := range []string{"Service greeter-primary-gw", "EndpointSlice greeter-primary-gw-placeholder"} {
		if made[name] != nil {
			t.Errorf("%s was made for somebody else's Service", name)
		}
	}
	// Everything else goes on, and the backend that is there serves.
	if weights, err := w.routeWeights(exs); err != nil || !slices.Equal(weights, []string{"greeter-backup-gw 1000000", "greeter-fallback 1"}) {
		t.Errorf("the weights are %v (%v)", weights, err)
	}
	version := foreignService.ResourceVersion
	if err := w.read(foreignService); err != nil || foreignService.ResourceVersion != version {
		t.Errorf("the foreign Service was touched: %v %+v", err, foreignService.ManagedFields)
	}
	w.delete(foreignService)
	w.untilReady(exs)
}

func TestForeignObjectOfASecondKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	gw := w.sharedGateway(w.namespace, "greeter")
	exs := w.exposedService("greeter")
	w.create(gw, exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonNameConflict, "Gateway "+w.namespace+"/greeter")
	w.untilQuiet(o)
	if err := w.read(gw); err != nil || len(gw.Labels) > 0 || len(gw.OwnerReferences) > 0 {
		t.Errorf("the foreign Gateway was touched: %v %+v", err, gw.ObjectMeta)
	}
	w.delete(gw)
	w.untilReady(exs)
}

// TestLeftoversOfADeletedNamesake: the objects of a deleted ExposedService are still there when a new
// one of the same name is made. They are the garbage collector's, which no test has.
func TestLeftoversOfADeletedNamesake(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	leftovers := w.made(exs)
	w.delete(exs)
	again := w.exposedService("greeter")
	w.create(again)
	w.untilNotAccepted(again, v1alpha1.ReasonNameConflict, "garbage collector")
	w.untilQuiet(o)
	for _, object := range leftovers {
		w.delete(object)
	}
	w.untilReady(again)
	for name, object := range w.made(again) {
		if !metav1.IsControlledBy(object, again) {
			t.Errorf("%s does not belong to the new one", name)
		}
	}
}

// TestOrphansAreAdopted: after a restore from a backup, objects carry labels and no owner.
func TestOrphansAreAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	o.stop()
	for _, object := range w.made(exs) {
		edit(w, object, func(object client.Object) { object.SetOwnerReferences(nil) })
	}
	w.delete(exs)
	again := w.exposedService("greeter")
	w.create(again)
	w.startOperator()
	w.untilReady(again)
	for name, object := range w.made(again) {
		if !metav1.IsControlledBy(object, again) {
			t.Errorf("%s was not adopted", name)
		}
	}
}

func TestOlderExposedServiceKeepsItsRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	w.create(w.sharedGateway(w.namespace, "public"))
	o := w.startOperator()
	older := w.exposedService("b-older", on(w.namespace, "public", "grpc"), hosts("one.example.com", "two.example.com"))
	w.create(older)
	w.untilReady(older)
	untilNextSecond(w, older)

	newer := w.exposedService("a-newer", on(w.namespace, "public", ""), hosts("two.example.com", "three.example.com"))
	elsewhere := w.exposedService("elsewhere", on(w.namespace, "public", "grpc"), hosts("four.example.com"))
	w.create(newer, elsewhere)
	w.untilNotAccepted(newer, v1alpha1.ReasonRouteConflict, w.namespace+"/b-older", "two.example.com", "every call")
	w.untilReady(elsewhere)
	w.untilQuiet(o)
	for _, kind := range []string{"GRPCRoute", "BackendTrafficPolicy", "EnvoyPatchPolicy"} {
		if w.made(newer)[kind+" a-newer"] != nil {
			t.Errorf("a %s was made for the newer one", kind)
		}
	}
	if err := w.conditionIs(older, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
		t.Error(err)
	}

	// It heals when the older one gives the host up. Who has it keeps it, whoever asks for it later.
	edit(w, older, hosts("one.example.com"))
	w.untilReady(newer)
	w.untilReady(older)
	edit(w, older, hosts("one.example.com", "two.example.com"))
	w.untilNotAccepted(older, v1alpha1.ReasonRouteConflict, w.namespace+"/a-newer", "which has it already", "two.example.com")
	w.untilQuiet(o)
	if err := w.conditionIs(newer, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
		t.Error(err)
	}
	w.delete(newer)
	w.untilReady(older)
}

// TestWhoMayNotAttachKeepsNobodyOut: the older one claims the host of the other, and the Gateway does not take its route.
func TestWhoMayNotAttachKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	w.dataPlane.Set(func(b *dataplane.Behavior) { b.NotAllowed = "a-squatter" })
	w.create(w.sharedGateway(w.namespace, "public"))
	o := w.startOperator()
	squatter := w.exposedService("a-squatter", on(w.namespace, "public", ""), hosts("bank.example.com"))
	w.create(squatter)
	w.eventually("the squatter is refused", func() error {
		return w.conditionIs(squatter, v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRouteNotAccepted)
	})
	untilNextSecond(w, squatter)
	bank := w.exposedService("bank", on(w.namespace, "public", "grpc"), hosts("bank.example.com"))
	w.create(bank)
	w.untilReady(bank)
	w.untilNotAccepted(squatter, v1alpha1.ReasonRouteConflict, w.namespace+"/bank")
	w.untilQuiet(o)
	// What is no longer refused does not take it from who has it.
	w.dataPlane.Set(func(b *dataplane.Behavior) { b.NotAllowed = "" })
	edit(w, squatter, func(exs *v1alpha1.ExposedService) { exs.Spec.Backends = exs.Spec.Backends[:1] })
	w.untilNotAccepted(squatter, v1alpha1.ReasonRouteConflict, w.namespace+"/bank")
	w.untilQuiet(o)
	if err := w.conditionIs(bank, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady); err != nil {
		t.Error(err)
	}
	// It does not end before the one that has it lets it go.
	w.delete(bank)
	w.untilReady(squatter)
}

// untilNextSecond makes sure that what is created now is younger: creation is known by the second.
func untilNextSecond(w *world, exs *v1alpha1.ExposedService) {
	w.t.Helper()
	probe := &corev1.ConfigMap{}
	w.eventually("the next second", func() error {
		*probe = corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "clock-", Namespace: w.namespace}}
		if err := w.kube.Create(w.t.Context(), probe); err != nil {
			return err
		}
		if !exs.CreationTimestamp.Before(&probe.CreationTimestamp) {
			return fmt.Errorf("still %s", probe.CreationTimestamp)
		}
		return nil
	})
}
