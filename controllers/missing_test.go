package controllers

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/apiserver"
	"github.com/headgate/headgate/test/dataplane"
	"github.com/headgate/headgate/test/shop"
)

// TestMissingThings: what the spec names goes away and comes back, one after the other. The
// condition names it, nothing is removed for it, and nobody has to do anything when it is back.
func TestMissingThings(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	infra := apiserver.Namespace(t, w.kube)
	w.create(w.sharedGateway(infra, "public"), grantPatch(infra, w.namespace))
	far := w.service("far-svc")
	far.Namespace = infra
	farSlice := w.slice("far-svc", "10.1.9.1")
	farSlice.Namespace = infra
	w.create(far, farSlice)
	grant := func() *gwapiv1.ReferenceGrant {
		return &gwapiv1.ReferenceGrant{
			ObjectMeta: metav1.ObjectMeta{Name: "services", Namespace: infra},
			Spec: gwapiv1.ReferenceGrantSpec{
				From: []gwapiv1.ReferenceGrantFrom{{Group: "headgate.dev", Kind: "ExposedService", Namespace: gwapiv1.Namespace(w.namespace)}},
				To:   []gwapiv1.ReferenceGrantTo{{Kind: "Service"}},
			},
		}
	}
	w.create(grant())
	o := w.startOperator(alsoIn(infra))

	owned := w.exposedService("owned")
	attached := w.exposedService("attached", on(infra, "public", "grpc"), backends(
		shop.ServiceBackend("primary", "primary-svc"),
		v1alpha1.Backend{Name: "far", Service: &v1alpha1.ServiceBackend{Name: "far-svc", Namespace: &infra, Port: 50051}},
	))
	w.create(owned, attached)
	w.untilReady(owned)
	w.untilReady(attached)
	w.untilQuiet(o)

	for _, missing := range []struct {
		name   string
		exs    *v1alpha1.ExposedService
		object client.Object
		// take and put, if set, stand for deleting and creating the object.
		take, put func()
		reason    v1alpha1.Reason
		words     []string
	}{
		{name: "Service", exs: owned, object: w.service("primary-svc"), reason: v1alpha1.ReasonBackendNotFound, words: []string{w.namespace + "/primary-svc"}},
		{
			name: "port", exs: owned,
			take:   func() { edit(w, w.service("backup-svc"), func(s *corev1.Service) { s.Spec.Ports[0].Port = 1234 }) },
			put:    func() { edit(w, w.service("backup-svc"), func(s *corev1.Service) { s.Spec.Ports[0].Port = 50051 }) },
			reason: v1alpha1.ReasonPortNotFound, words: []string{"backup-svc", "50051", "1234"},
		},
		{name: "GatewayClass", exs: owned, object: w.gatewayClass(), reason: v1alpha1.ReasonGatewayClassNotFound, words: []string{w.class}},
		{name: "GatewayClass of a shared Gateway", exs: attached, object: w.gatewayClass(), reason: v1alpha1.ReasonGatewayClassNotFound, words: []string{w.class}},
		{name: "Gateway", exs: attached, object: w.sharedGateway(infra, "public"), reason: v1alpha1.ReasonGatewayNotFound, words: []string{infra + "/public"}},
		{name: "ReferenceGrant", exs: attached, object: grant(), reason: v1alpha1.ReasonRefNotPermitted, words: []string{infra + "/far-svc", "ReferenceGrant"}},
	} {
		t.Run(missing.name, func(t *testing.T) {
			before := slices.Sorted(maps.Keys(w.made(missing.exs)))
			if missing.take != nil {
				missing.take()
			} else {
				w.delete(missing.object)
			}
			w.untilNotAccepted(missing.exs, missing.reason, missing.words...)
			w.untilQuiet(o)
			// One backend that is missing keeps no call from being made.
			wants := v1alpha1.ConditionStalled
			if refusedBy(missing.reason) == v1alpha1.ConditionResolvedRefs {
				wants, missing.reason = v1alpha1.ConditionReady, v1alpha1.ReasonReady
			}
			if err := w.conditionIs(missing.exs, wants, metav1.ConditionTrue, missing.reason); err != nil {
				t.Error(err)
			}
			after := slices.Sorted(maps.Keys(w.made(missing.exs)))
			// Permission that is withdrawn is withdrawn: the copies of that namespace's endpoints must go.
			if missing.name != "ReferenceGrant" && !slices.Equal(before, after) {
				t.Errorf("there was\n%v\nand now is\n%v", before, after)
			}
			if missing.put != nil {
				missing.put()
			} else {
				missing.object.SetResourceVersion("")
				missing.object.SetUID("")
				w.create(missing.object)
			}
			w.untilReady(missing.exs)
		})
	}
}

// TestMissingFromTheStart: nothing is there at first.
func TestMissingFromTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilNotAccepted(exs, v1alpha1.ReasonBackendNotFound, "primary-svc", "backup-svc")
	w.untilNotAccepted(exs, v1alpha1.ReasonGatewayClassNotFound, w.class)
	if made := w.made(exs); len(made) > 0 {
		t.Errorf("something was made: %v", made)
	}
	w.withDataPlane()
	w.withBackends()
	w.untilReady(exs)
	if exs.Status.Failover.Mode != v1alpha1.FailoverPriorities {
		t.Errorf("the mode is %+v: not knowing at first was taken for an answer", exs.Status.Failover)
	}
}

func TestAPIsOffAndOnAgain(t *testing.T) {
	t.Parallel()
	for _, api := range []struct {
		name   string
		off    func(*dataplane.Behavior, bool)
		reason v1alpha1.Reason
		status metav1.ConditionStatus
		mode   v1alpha1.FailoverMode
	}{
		{"Backend", func(b *dataplane.Behavior, off bool) { b.BackendsOff = off }, v1alpha1.ReasonBackendAPIDisabled, metav1.ConditionFalse, v1alpha1.FailoverWeights},
		{"EnvoyPatchPolicy", func(b *dataplane.Behavior, off bool) { b.PatchesOff = off }, v1alpha1.ReasonPatchAPIDisabled, metav1.ConditionTrue, v1alpha1.FailoverPriorities},
	} {
		t.Run(api.name, func(t *testing.T) {
			w := newWorld(t).withDataPlane().withBackends()
			o := w.startOperator()
			exs := w.exposedService("greeter")
			w.create(exs)
			w.untilReady(exs)
			for _, off := range []bool{true, false, true} {
				w.dataPlane.Set(func(b *dataplane.Behavior) { api.off(b, off) })
				status, reason, mode := metav1.ConditionTrue, v1alpha1.ReasonPriorities, v1alpha1.FailoverPriorities
				if off {
					status, reason, mode = api.status, api.reason, api.mode
				}
				w.eventually(fmt.Sprintf("off %v shows", off), func() error {
					return w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, status, reason)
				})
				w.untilReady(exs)
				w.untilQuiet(o)
				if err := w.conditionIs(exs, v1alpha1.ConditionPriorityFailover, status, reason); err != nil {
					t.Errorf("it does not stay so: %v", err)
				}
				if exs.Status.Failover.Mode != mode {
					t.Errorf("mode %s, want %s", exs.Status.Failover.Mode, mode)
				}
			}
		})
	}
}
