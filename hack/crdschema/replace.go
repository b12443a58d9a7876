package main

import (
	"errors"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

var (
	errNotACRD       = errors.New("not a CustomResourceDefinition of apiextensions.k8s.io/v1")
	errEmptyField    = errors.New("the field is empty")
	errFieldNotFound = errors.New("no version of the CustomResourceDefinition has the field")
)

// replaceSchema returns the CRD, given as YAML, with the schema of one field replaced in every
// version that has the field.
//
// It works on plain maps, not on the CRD's types, so that what this program's dependencies do not
// know of a newer CRD is kept.
func replaceSchema(crd []byte, field string, schema []byte) ([]byte, error) {
	if field == "" {
		return nil, errEmptyField
	}
	// The schema goes through its type first: a misspelt key is an error, not a silent loss.
	if err := yaml.UnmarshalStrict(schema, &apiextensionsv1.JSONSchemaProps{}); err != nil {
		return nil, fmt.Errorf("decode the schema: %w", err)
	}
	document := map[string]any{}
	if err := yaml.UnmarshalStrict(crd, &document); err != nil {
		return nil, fmt.Errorf("decode the CustomResourceDefinition: %w", err)
	}
	if document["kind"] != "CustomResourceDefinition" || document["apiVersion"] != "apiextensions.k8s.io/v1" {
		return nil, errNotACRD
	}

	found := false
	for _, version := range list(document, "spec", "versions") {
		root, ok := at(version, "schema", "openAPIV3Schema")
		if !ok {
			continue
		}
		parent, name, ok := lookUp(root, field)
		if !ok {
			continue
		}
		// Decoded anew for each version, so that versions share nothing.
		replacement := map[string]any{}
		if err := yaml.UnmarshalStrict(schema, &replacement); err != nil {
			return nil, fmt.Errorf("decode the schema: %w", err)
		}
		keepDescription(parent[name], replacement)
		parent[name] = replacement
		found = true
	}
	if !found {
		return nil, errFieldNotFound
	}

	out, err := yaml.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode the CustomResourceDefinition: %w", err)
	}
	return append([]byte("---\n"), out...), nil
}

// lookUp walks from a schema to the properties map that holds the last step of the field.
func lookUp(schema map[string]any, field string) (parent map[string]any, name string, ok bool) {
	steps := strings.Split(field, ".")
	for i, step := range steps {
		name, isList := strings.CutSuffix(step, "[]")
		properties, ok := at(schema, "properties")
		if !ok {
			return nil, "", false
		}
		next, ok := at(properties, name)
		if !ok {
			return nil, "", false
		}
		if i == len(steps)-1 && !isList {
			return properties, name, true
		}
		if isList {
			if i == len(steps)-1 {
				return next, "items", next["items"] != nil
			}
			if next, ok = at(next, "items"); !ok {
				return nil, "", false
			}
		}
		schema = next
	}
	return nil, "", false
}

// keepDescription copies the description of the replaced schema, if the new one has none.
func keepDescription(replaced any, replacement map[string]any) {
	old, ok := replaced.(map[string]any)
	if !ok || old["description"] == nil || replacement["description"] != nil {
		return
	}
	replacement["description"] = old["description"]
}

// at walks down maps by their keys.
func at(node any, keys ...string) (map[string]any, bool) {
	current, ok := node.(map[string]any)
	for _, key := range keys {
		if !ok {
			return nil, false
		}
		current, ok = current[key].(map[string]any)
	}
	return current, ok
}

// list walks down maps by their keys to a list.
func list(node map[string]any, keys ...string) []any {
	last := len(keys) - 1
	parent, ok := at(node, keys[:last]...)
	if !ok {
		return nil
	}
	items, _ := parent[keys[last]].([]any)
	return items
}
