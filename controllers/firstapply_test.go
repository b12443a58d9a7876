package controllers

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/controllers/kube"
)

// TestTheFirstApplyIsRefusedWhereSomethingIs: what Headgate relies on when it applies without having looked. With a version
// that no object has, server-side apply creates, and leaves alone what is there; later applies own what the first one did.
func TestTheFirstApplyIsRefusedWhereSomethingIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	apply := func(object client.Object, version string, spec map[string]any, options ...client.PatchOption) error {
		object.SetNamespace(w.namespace)
		gvk := object.GetObjectKind().GroupVersionKind()
		metadata := map[string]any{"name": object.GetName(), "namespace": w.namespace}
		if version != "" {
			metadata["resourceVersion"] = version
		}
		body, err := json.Marshal(map[string]any{"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind, "metadata": metadata, "spec": spec})
		if err != nil {
			t.Fatal(err)
		}
		options = append(options, client.FieldOwner(kube.FieldManager))
		return w.kube.Patch(t.Context(), object, client.RawPatch(types.ApplyPatchType, body), options...)
	}
	nobody := []any{map[string]any{"name": "nobody"}}
	for name, c := range map[string]struct {
		object     func() client.Object
		more, less map[string]any
		has        func(client.Object) bool
	}{
		"built-in kind": {
			object: func() client.Object {
				return &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Name: "first"}}
			},
			more: map[string]any{"ports": []any{map[string]any{"port": 1, "name": "a", "protocol": "TCP"}}, "externalIPs": []any{"192.0.2.7"}},
			less: map[string]any{"ports": []any{map[string]any{"port": 1, "name": "a", "protocol": "TCP"}}},
			has:  func(o client.Object) bool { return len(o.(*corev1.Service).Spec.ExternalIPs) > 0 },
		},
		"kind of a CustomResourceDefinition": {
			object: func() client.Object {
				return &gwapiv1.GRPCRoute{
					TypeMeta:   metav1.TypeMeta{APIVersion: gwapiv1.GroupVersion.String(), Kind: "GRPCRoute"},
					ObjectMeta: metav1.ObjectMeta{Name: "first"},
				}
			},
			more: map[string]any{"hostnames": []any{"a.example.com"}, "parentRefs": nobody},
			less: map[string]any{"parentRefs": nobody},
			has:  func(o client.Object) bool { return len(o.(*gwapiv1.GRPCRoute).Spec.Hostnames) > 0 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			made := c.object()
			if err := apply(made, "1", c.more); err != nil {
				t.Fatalf("where nothing is: %v", err)
			}
			for _, entry := range made.GetManagedFields() {
				if entry.Operation != metav1.ManagedFieldsOperationApply || entry.Manager != kube.FieldManager {
					t.Errorf("fields are owned by %s, %s", entry.Manager, entry.Operation)
				}
			}
			if err := apply(c.object(), "1", c.less); !apierrors.IsConflict(err) {
				t.Errorf("where something is: %v", err)
			}
			if err := apply(c.object(), "1", c.less, client.ForceOwnership); !apierrors.IsConflict(err) {
				t.Errorf("where something is, with force: %v", err)
			}
			later := c.object()
			if err := apply(later, "", c.less, client.ForceOwnership); err != nil || c.has(later) {
				t.Errorf("a field that is not applied any more is still there: %v, %+v", err, later)
			}
		})
	}
}

// TestWhatIsNewCostsNoReads: before the first apply nobody has to be asked whether a name is free.
func TestWhatIsNewCostsNoReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withDataPlane().withBackends()
	o := w.startOperator()
	exs := w.exposedService("greeter")
	w.create(exs)
	w.untilReady(exs)
	w.untilQuiet(o)
	for _, path := range o.transport.gotten() {
		if strings.Contains(path, w.namespace+"/") && strings.Contains(path, "/greeter") && !strings.Contains(path, "/pods") {
			t.Errorf("it reads %s", path)
		}
	}
	if notes := w.eventNotes(exs, kube.ReasonRewritten); len(notes) > 0 {
		t.Errorf("the cluster is said to rewrite %q", notes)
	}
	t.Logf("writes: %d, reads of objects: %d", len(o.transport.written()), len(o.transport.gotten()))
}
