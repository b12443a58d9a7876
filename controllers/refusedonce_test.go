package controllers

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

// TestEachWriteFailsOnce refuses every different write the first time.
func TestEachWriteFailsOnce(t *testing.T) {
	t.Parallel()
	reference := newWorld(t).withDataPlane().withBackends()
	o := reference.startOperator(withOldServices)
	exs := reference.exposedService("greeter")
	reference.create(exs)
	reference.untilReady(exs)
	reference.untilQuiet(o)
	want := endState(t, reference, exs)
	o.stop()

	for _, code := range []int{http.StatusInternalServerError, http.StatusForbidden, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			w := newWorld(t).withDataPlane().withBackends()
			exs := w.exposedService("greeter")
			w.create(exs)
			o := w.startOperator(withOldServices, func(_ *Config, transport *transport) { transport.failOnce = code })
			w.untilReady(exs)
			w.untilQuiet(o)
			compareStates(t, want, endState(t, w, exs))
			if code == http.StatusConflict {
				if notes := w.eventNotes(exs, string(v1alpha1.ReasonApplyFailed)); len(notes) > 0 {
					t.Errorf("a lost race was reported as a failure: %v", notes)
				}
			}
		})
	}
}

// endState is what was made, without what differs from one namespace to the next.
func endState(t *testing.T, w *world, exs *v1alpha1.ExposedService) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for name, object := range w.made(exs) {
		object = object.DeepCopyObject().(client.Object)
		object.SetNamespace("")
		object.SetAnnotations(nil)
		labels := object.GetLabels()
		delete(labels, v1alpha1.LabelOwnerNamespace)
		object.SetLabels(labels)
		references := object.GetOwnerReferences()
		for i := range references {
			references[i].UID = ""
		}
		object.SetOwnerReferences(references)
		fields, err := intentOf(object)
		if err != nil {
			t.Fatal(err)
		}
		forget(fields, w)
		out[name] = fields
	}
	return out
}

// forget removes what the API server chooses, and the names that a world is known by.
func forget(value any, w *world) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range []string{"clusterIP", "clusterIPs", "gatewayClassName"} {
			delete(v, key)
		}
		for key, field := range v {
			if text, ok := field.(string); ok && key == "name" && text == "grpcroute/"+w.namespace+"/greeter/rule/0" {
				v[key] = "the cluster"
			}
			// The ClusterIP is among the endpoints of the fallback.
			if list, ok := field.([]any); ok && key == "endpoints" && len(list) > 0 {
				if last, ok := list[len(list)-1].(map[string]any); ok && last["ip"] != nil {
					v[key] = list[:len(list)-1]
				}
			}
			forget(v[key], w)
		}
	case []any:
		for _, element := range v {
			forget(element, w)
		}
	}
}

func compareStates(t *testing.T, want, got map[string]map[string]any) {
	t.Helper()
	if w, g := slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)); !slices.Equal(w, g) {
		t.Errorf("there is\n%v\nwant\n%v", g, w)
	}
	for name := range want {
		if paths := append(kube.Differences("", want[name], got[name]), kube.Differences("", got[name], want[name])...); len(paths) > 0 {
			t.Errorf("%s differs in %v", name, paths)
		}
	}
}
