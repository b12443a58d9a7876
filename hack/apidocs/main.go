// Command apidocs writes the API reference in Markdown from a CustomResourceDefinition. It reads the
// CRD and not the Go types, because the CRD is what the API server enforces: it has every default,
// every bound and every rule.
//
//	apidocs -crd FILE -out FILE
package main

import (
	"flag"
	"fmt"
	"os"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	crd := flag.String("crd", "", "the CustomResourceDefinition to describe")
	out := flag.String("out", "", "the Markdown file to write")
	flag.Parse()

	if err := run(*crd, *out); err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

func run(crdPath, outPath string) error {
	content, err := os.ReadFile(crdPath)
	if err != nil {
		return fmt.Errorf("read the CustomResourceDefinition: %w", err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(content, crd); err != nil {
		return fmt.Errorf("decode %s: %w", crdPath, err)
	}
	if err := os.WriteFile(outPath, []byte(render(crd)), 0o644); err != nil {
		return fmt.Errorf("write the reference: %w", err)
	}
	return nil
}
