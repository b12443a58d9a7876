package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/strategicpatch"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	kjson "sigs.k8s.io/json"

	"github.com/headgate/headgate/api/v1alpha1"
)

// applyOverrides merges each override into the generated object of its kind. One that cannot be merged refuses that
// object: the last good one stays, rather than one that lacks what the override was there for. Of a route that is
// there only the fields that an override could be for stay, because where traffic goes must follow the decision.
func (e *expansion) applyOverrides() {
	var refused []Ref
	for i, override := range e.exs.Spec.Overrides {
		allowed, found := slices.Contains(e.facts.Platform.Overrides, override.Kind), false
		for j, object := range e.out.Objects {
			if object.GetObjectKind().GroupVersionKind().Kind != string(override.Kind) {
				continue
			}
			found = true
			if !allowed {
				e.problem(v1alpha1.ReasonInvalidOverride, "spec.overrides[%d].kind: %s", i, e.facts.Platform.refuses(override.Kind))
				refused = append(refused, RefOf(object))
				continue
			}
			merged, err := merge(object, override)
			if err == nil {
				e.out.Objects[j] = merged
				continue
			}
			e.problem(v1alpha1.ReasonInvalidOverride, "spec.overrides[%d].patch: cannot be merged into %s %s: %v",
				i, override.Kind, object.GetName(), err)
			refused = append(refused, RefOf(object))
		}
		if !found {
			e.out.Ignored = append(e.out.Ignored, fmt.Sprintf("spec.overrides[%d] (no %s is made here)", i, override.Kind))
		}
	}
	for _, ref := range refused {
		if !e.keepOverrides(ref) {
			refuse(&e.out, ref)
		}
	}
}

// keepOverrides leaves the fields of a live route that an override could be for as they are; false: it is no live route.
func (e *expansion) keepOverrides(ref Ref) bool {
	live := e.facts.LiveRoute
	if ref.Kind != KindGRPCRoute || live == nil {
		return false
	}
	for i, object := range e.out.Objects {
		if RefOf(object) != ref {
			continue
		}
		route, ok := object.DeepCopyObject().(*gwapiv1.GRPCRoute)
		if !ok {
			return false
		}
		route.Labels, route.Annotations = maps.Clone(live.Labels), maps.Clone(live.Annotations)
		maps.Copy(route.Labels, object.GetLabels())
		delete(route.Annotations, v1alpha1.AnnotationIntent)
		e.out.Objects[i] = route
	}
	return true
}

// merge returns a copy of the object with the override merged in. A field that the kind does not
// have, and a change of one that may not be overridden, are errors.
func merge(object Object, override v1alpha1.Override) (Object, error) {
	original, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	patched, err := strategicpatch.StrategicMergePatch(original, override.Patch.Raw, object)
	if err != nil {
		return nil, err
	}
	out, ok := reflect.New(reflect.TypeOf(object).Elem()).Interface().(Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", object)
	}
	strictErrors, err := kjson.UnmarshalStrict(patched, out)
	if err != nil {
		return nil, err
	}
	if len(strictErrors) > 0 {
		return nil, fmt.Errorf("%w: remove it, or correct its name", strictErrors[0])
	}
	refused, err := refusedChange(override.Kind, object, out)
	if err != nil {
		return nil, err
	}
	if refused != "" {
		return nil, errors.New(refused)
	}
	return out, nil
}
