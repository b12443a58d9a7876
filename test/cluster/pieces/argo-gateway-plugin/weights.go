package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// weigh sets the weights of the Services in each rule that names all of them, and reports whether any was another. It is
// an error if no rule does.
func weigh(route map[string]any, weights map[string]int64) (changed bool, err error) {
	rules, _, err := unstructured.NestedSlice(route, "spec", "rules")
	if err != nil {
		return false, err
	}
	found := false
	for _, rule := range rules {
		backends := backendsOf(rule, weights)
		if len(backends) < len(weights) {
			continue
		}
		found = true
		for service, backend := range backends {
			if have, ok := backend["weight"].(int64); !ok || have != weights[service] {
				backend["weight"], changed = weights[service], true
			}
		}
	}
	if !found {
		return false, fmt.Errorf("no rule has all of the Services %v", weights)
	}
	return changed, unstructured.SetNestedSlice(route, rules, "spec", "rules")
}

// backendsOf are the backendRefs of a rule to the Services that are weighed, by their names.
func backendsOf(rule any, weights map[string]int64) map[string]map[string]any {
	out := map[string]map[string]any{}
	fields, _ := rule.(map[string]any)
	refs, _ := fields["backendRefs"].([]any)
	for _, ref := range refs {
		backend, _ := ref.(map[string]any)
		service, _ := backend["name"].(string)
		if _, weighed := weights[service]; weighed {
			out[service] = backend
		}
	}
	return out
}
