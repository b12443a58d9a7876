package controllers

import (
	"fmt"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/test/apiserver"
)

// grantPatch lets ExposedServices of a namespace put an EnvoyPatchPolicy beside a Gateway in another.
func grantPatch(namespace, from string) *gwapiv1.ReferenceGrant {
	return &gwapiv1.ReferenceGrant{
		ObjectMeta: metav1.ObjectMeta{Name: "headgate", Namespace: namespace},
		Spec: gwapiv1.ReferenceGrantSpec{
			From: []gwapiv1.ReferenceGrantFrom{{Group: "headgate.dev", Kind: "ExposedService", Namespace: gwapiv1.Namespace(from)}},
			To:   []gwapiv1.ReferenceGrantTo{{Group: egv1a1.GroupName, Kind: egv1a1.KindEnvoyPatchPolicy}},
		},
	}
}

// shared starts an ExposedService on a Gateway in another namespace.
func shared(t *testing.T) (w *world, o *operator, exs *v1alpha1.ExposedService, infra string) {
	t.Helper()
	w = newWorld(t).withDataPlane().withBackends()
	infra = apiserver.Namespace(t, w.kube)
	w.create(w.sharedGateway(infra, "public"), grantPatch(infra, w.namespace))
	o = w.startOperator(alsoIn(infra))
	exs = w.exposedService("greeter", on(infra, "public", "grpc"))
	w.create(exs)
	w.untilReady(exs)
	return w, o, exs, infra
}

func TestFinalizerIsThereOnlyWhileSomethingIsElsewhere(t *testing.T) {
	t.Parallel()
	w, o, exs, infra := shared(t)
	if !controllerutil.ContainsFinalizer(exs, v1alpha1.Finalizer) {
		t.Errorf("no finalizer, although an EnvoyPatchPolicy is in namespace %s", infra)
	}
	if made := w.made(exs); made["Gateway public"] != nil || made["EnvoyProxy greeter"] != nil {
		t.Errorf("something was made of the Gateway's owner's: %v", made)
	}

	// The permission goes: the patch goes, and with it the finalizer; calls go on.
	w.delete(grantPatch(infra, w.namespace))
	w.eventually("the patch and the finalizer are gone", func() error {
		if err := w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, v1alpha1.ReasonPatchNotPermitted, "ReferenceGrant", infra); err != nil {
			return err
		}
		if controllerutil.ContainsFinalizer(exs, v1alpha1.Finalizer) {
			return fmt.Errorf("the finalizer is still there")
		}
		return gone(w, patchPolicy(exs, infra))
	})
	w.untilReady(exs)
	w.untilQuiet(o)

	// It comes back.
	w.create(grantPatch(infra, w.namespace))
	w.eventually("the patch and the finalizer are back", func() error {
		if err := w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, v1alpha1.ReasonPriorities); err != nil {
			return err
		}
		if !controllerutil.ContainsFinalizer(exs, v1alpha1.Finalizer) {
			return fmt.Errorf("no finalizer")
		}
		return w.read(patchPolicy(exs, infra))
	})
}

func TestDeletionRemovesWhatIsElsewhereAndOnlyThat(t *testing.T) {
	t.Parallel()
	w, _, exs, infra := shared(t)
	other := &egv1a1.EnvoyPatchPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "somebody-elses", Namespace: infra, Labels: patchPolicy(exs, infra).Labels},
		Spec:       egv1a1.EnvoyPatchPolicySpec{Type: egv1a1.JSONPatchEnvoyPatchType, TargetRef: gwapiv1.LocalPolicyTargetReference{Group: gwapiv1.GroupName, Kind: "Gateway", Name: "public"}},
	}
	ours := patchPolicy(exs, infra)
	if err := w.read(ours); err != nil {
		t.Fatal(err)
	}
	// Labels alone make nothing ours.
	other.Labels = ours.Labels
	w.create(other)
	before := w.made(exs)
	// What the expansion depends on is gone: deletion must not need it.
	w.delete(w.gatewayClass())
	w.delete(w.sharedGateway(infra, "public"))
	w.delete(exs)

	w.eventually("the ExposedService is gone", func() error { return gone(w, exs) })
	if err := gone(w, ours); err != nil {
		t.Error(err)
	}
	if err := w.read(other); err != nil {
		t.Errorf("a patch of somebody else's: %v", err)
	}
	// The rest is the garbage collector's, which no test has.
	for name, object := range w.made(exs) {
		delete(before, name)
		if object.GetNamespace() == w.namespace && !metav1.IsControlledBy(object, exs) {
			t.Errorf("%s would stay for ever", name)
		}
	}
	delete(before, "EnvoyPatchPolicy "+ours.Name)
	if len(before) > 0 {
		t.Errorf("removed although owner references do that: %v", before)
	}
}

func TestDeletionWaitsForWhatIsHeld(t *testing.T) {
	t.Parallel()
	w, _, exs, infra := shared(t)
	patch := patchPolicy(exs, infra)
	edit(w, patch, func(p *egv1a1.EnvoyPatchPolicy) { p.Finalizers = []string{"example.com/hold"} })
	w.delete(exs)
	w.eventually("the status says what it waits for", func() error {
		return w.conditionIs(exs, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, "EnvoyPatchPolicy", patch.Name)
	})
	edit(w, patch, func(p *egv1a1.EnvoyPatchPolicy) { p.Finalizers = nil })
	w.eventually("the ExposedService is gone", func() error { return gone(w, exs) })
}

func TestDeletionWithoutFinalizerTakesNoOperator(t *testing.T) {
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	o.stop()
	w.delete(exs)
	if err := gone(w, exs); err != nil {
		t.Error(err)
	}
}

func patchPolicy(exs *v1alpha1.ExposedService, namespace string) *egv1a1.EnvoyPatchPolicy {
	return &egv1a1.EnvoyPatchPolicy{ObjectMeta: metav1.ObjectMeta{
		Name: gateway.PatchRef(exs, namespace).Name, Namespace: namespace,
	}}
}

// gone is nil when the object does not exist.
func gone(w *world, object client.Object) error {
	err := w.read(object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%T %s is still there", object, object.GetName())
	}
	return err
}
