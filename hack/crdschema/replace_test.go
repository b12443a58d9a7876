package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const generated = `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: things.example.com
spec:
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        properties:
          spec:
            properties:
              keep:
                maximum: 1000000
                type: integer
              things:
                items:
                  properties:
                    patch:
                      description: What is merged.
                      type: object
                      x-kubernetes-preserve-unknown-fields: true
                  required:
                  - patch
                  type: object
                type: array
            type: object
        type: object
    served: true
    storage: true
`

const structural = `
type: object
properties:
  spec:
    type: object
    x-kubernetes-preserve-unknown-fields: true
`

func TestReplacesTheFieldAndNothingElse(t *testing.T) {
	want := strings.Replace(generated, `                      type: object
                      x-kubernetes-preserve-unknown-fields: true
`, `                      properties:
                        spec:
                          type: object
                          x-kubernetes-preserve-unknown-fields: true
                      type: object
`, 1)

	got, err := replaceSchema([]byte(generated), "spec.things[].patch", []byte(structural))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestASecondRunChangesNothing(t *testing.T) {
	once, err := replaceSchema([]byte(generated), "spec.things[].patch", []byte(structural))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := replaceSchema(once, "spec.things[].patch", []byte(structural))
	if err != nil {
		t.Fatal(err)
	}
	if string(once) != string(twice) {
		t.Errorf("first run:\n%s\nsecond run:\n%s", once, twice)
	}
}

func TestReplacesTheItemsOfAList(t *testing.T) {
	got, err := replaceSchema([]byte(generated), "spec.things[]", []byte("type: string\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "              things:\n                items:\n                  type: string\n"; !strings.Contains(string(got), want) {
		t.Errorf("the items were not replaced:\n%s", got)
	}
}

func TestADescriptionOfTheSchemaWins(t *testing.T) {
	got, err := replaceSchema([]byte(generated), "spec.things[].patch", []byte("description: Mine.\ntype: object\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), "description: Mine.") || strings.Contains(string(got), "What is merged.") {
		t.Errorf("the description is not the schema's:\n%s", got)
	}
}

func TestRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		crd, field, schema string
		is                 error
		contains           string
	}{
		"a field that no version has":       {crd: generated, field: "spec.absent", schema: structural, is: errFieldNotFound},
		"a field below one that is no list": {crd: generated, field: "spec.keep[].patch", schema: structural, is: errFieldNotFound},
		"a field below a leaf":              {crd: generated, field: "spec.keep.patch", schema: structural, is: errFieldNotFound},
		"an empty field":                    {crd: generated, field: "", schema: structural, is: errEmptyField},
		"an object of another kind":         {crd: "apiVersion: v1\nkind: Secret\n", field: "spec", schema: structural, is: errNotACRD},
		"a CRD that is not YAML":            {crd: "\t", field: "spec", schema: structural, contains: "decode the CustomResourceDefinition"},
		"a misspelt key in the schema":      {crd: generated, field: "spec.things[].patch", schema: "typ: object\n", contains: "decode the schema"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := replaceSchema([]byte(test.crd), test.field, []byte(test.schema))
			if err == nil {
				t.Fatal("no error")
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error is %q, want %q", err, test.is)
			}
			if !strings.Contains(err.Error(), test.contains) {
				t.Errorf("error is %q, want one with %q", err, test.contains)
			}
		})
	}
}

func TestRunRewritesTheFile(t *testing.T) {
	dir := t.TempDir()
	crd, schema := filepath.Join(dir, "crd.yaml"), filepath.Join(dir, "schema.yaml")
	for path, content := range map[string]string{crd: generated, schema: structural} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(crd, "spec.things[].patch", schema); err != nil {
		t.Fatal(err)
	}
	want, err := replaceSchema([]byte(generated), "spec.things[].patch", []byte(structural))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(crd)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the file holds:\n%s\nwant:\n%s", got, want)
	}
}

// The schema of override patches declares every field that a CEL rule of Override looks at:
// has() of a field that the schema does not declare is a compile error in the API server.
func TestOverridePatchDeclaresWhatTheRulesLookAt(t *testing.T) {
	content, err := os.ReadFile("override-patch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var schema apiextensionsv1.JSONSchemaProps
	if err := yaml.UnmarshalStrict(content, &schema); err != nil {
		t.Fatal(err)
	}
	if schema.XPreserveUnknownFields != nil {
		t.Error("unknown fields of the patch itself are kept: kind and status would be silently accepted")
	}
	spec := schema.Properties["spec"]
	if spec.XPreserveUnknownFields == nil || !*spec.XPreserveUnknownFields {
		t.Error("unknown fields of spec are pruned: overrides would be lost")
	}
	source, err := os.ReadFile(filepath.Join("..", "..", "api", "v1alpha1", "override_types.go"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, match := range regexp.MustCompile(`has\(self\.patch\.([a-zA-Z.]+)\)`).FindAllStringSubmatch(string(source), -1) {
		field := match[1]
		node := schema
		for _, step := range strings.Split(field, ".") {
			next, ok := node.Properties[step]
			if !ok {
				t.Errorf("a rule looks at patch.%s, which the schema does not declare", field)
				break
			}
			node = next
		}
		checked++
	}
	if checked == 0 {
		t.Error("found no rule that looks into the patch: has override_types.go moved?")
	}
}
