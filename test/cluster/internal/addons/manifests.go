package addons

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"
)

//go:embed manifests
var manifestFiles embed.FS

func renderManifest(file string, values any) ([]byte, error) {
	parsed, err := template.New(file).Option("missingkey=error").ParseFS(manifestFiles, "manifests/"+file)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return nil, fmt.Errorf("fill in %s: %w", file, err)
	}
	return out.Bytes(), nil
}
