package controllers

import (
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/test/apiserver"
)

// TestKindsComeAndGo starts with a cluster that has nothing but Headgate, gives it Gateway API and
// Envoy Gateway, takes one kind away and gives it back: all without a restart.
func TestKindsComeAndGo(t *testing.T) {
	t.Parallel()
	config, reader := apiserver.Bare(t)
	w := newWorldOn(t, config, reader).withBackends()
	o := w.startOperator(everywhere)
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonGatewayAPIMissing, "gateway.networking.k8s.io/v1", "install")
	w.untilQuiet(o)
	calm := o.runs.Of(client.ObjectKeyFromObject(exs))
	timer := time.NewTimer(2 * time.Second)
	<-timer.C
	if now := o.runs.Of(client.ObjectKeyFromObject(exs)); now != calm {
		t.Errorf("%d runs in two seconds of waiting for a kind", now-calm)
	}

	apiserver.InstallOtherCRDs(t, config)
	w.withDataPlane()
	w.eventually("everything is used", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, v1alpha1.ReasonPriorities)
	})
	w.untilReady(exs)

	removeDefinition(t, config, kube.KindPatchPolicy.CRD)
	w.eventually("the missing kind shows", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, v1alpha1.ReasonPatchAPIDisabled)
	})
	w.untilReady(exs)
	w.untilQuiet(o)

	apiserver.InstallOtherCRDs(t, config)
	startDataPlane(w)
	// The watch of the kind is tried again with growing pauses while it is away.
	if err := apiserver.Poll(t.Context(), time.Minute, func() error {
		return w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, v1alpha1.ReasonPriorities)
	}); err != nil {
		t.Fatalf("the kind is back and is not used: %v", err)
	}
	w.untilReady(exs)
	if err := w.read(patchPolicy(exs, w.namespace)); err != nil {
		t.Error(err)
	}
}

func removeDefinition(t *testing.T, config *rest.Config, name string) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kube, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := kube.Delete(t.Context(), definition); err != nil {
		t.Fatal(err)
	}
}

// TestWeightsWithAnotherImplementation: Gateway API with a class of somebody else's.
func TestWeightsWithAnotherImplementation(t *testing.T) {
	w := newWorld(t).withBackends()
	class := w.gatewayClass()
	class.Spec.ControllerName = "example.com/other"
	w.create(class)
	w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.eventually("weights", func() error {
		if err := w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionFalse, v1alpha1.ReasonClassNotSupported, "example.com/other"); err != nil {
			return err
		}
		return w.conditionIs(exs, v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonPending, "example.com/other")
	})
	for name, object := range w.made(exs) {
		if name != "Gateway greeter" && name != "GRPCRoute greeter" {
			t.Errorf("%s was made for an implementation that does not know it (%T)", name, object)
		}
	}
}

func TestKindsAreKnown(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kube.AllKinds {
		object, list := k.NewObject(), k.NewList()
		if object == nil || list == nil {
			t.Fatalf("%s makes no objects", k.GVK)
		}
		if seen[k.GVK.String()] {
			t.Errorf("%s is there twice", k.GVK)
		}
		seen[k.GVK.String()] = true
		scheme, err := kube.NewScheme()
		if err != nil {
			t.Fatal(err)
		}
		gvks, _, err := scheme.ObjectKinds(object)
		if err != nil || gvks[0] != k.GVK {
			t.Errorf("%s makes objects of kind %v: %v", k.GVK, gvks, err)
		}
	}
}
