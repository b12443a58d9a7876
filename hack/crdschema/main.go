// Command crdschema replaces the schema of one field in a generated CustomResourceDefinition.
//
// controller-gen can say of a free-form field only that its unknown fields are kept, and then CEL
// rules cannot look inside. This program puts a hand-written structural schema in its place:
//
//	crdschema -crd FILE -field spec.overrides[].patch -schema FILE
//
// The field is replaced in every version that has it, and at least one must. Its description stays
// the generated one unless the schema has its own. The output is deterministic, and running the
// program again changes nothing.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	crd := flag.String("crd", "", "the CustomResourceDefinition to change, in place")
	field := flag.String("field", "", "the field, such as spec.overrides[].patch; [] steps into the items of a list")
	schema := flag.String("schema", "", "a YAML file with the schema that the field gets")
	flag.Parse()

	if err := run(*crd, *field, *schema); err != nil {
		fmt.Fprintln(os.Stderr, "crdschema:", err)
		os.Exit(1)
	}
}

func run(crdPath, field, schemaPath string) error {
	crd, err := os.ReadFile(crdPath)
	if err != nil {
		return fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	schema, err := os.ReadFile(schemaPath)
	if err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	out, err := replaceSchema(crd, field, schema)
	if err != nil {
		return fmt.Errorf("replace the schema of %s in %s: %w", field, crdPath, err)
	}
	if err := os.WriteFile(crdPath, out, 0o644); err != nil {
		return fmt.Errorf("write the CustomResourceDefinition: %w", err)
	}
	return nil
}
