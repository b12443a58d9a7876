package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// What a user of each tool would write, one file a tool.
//
//go:embed shapes/*.yaml
var shapes embed.FS

// service is one exposed service, as the shapes are filled in with it.
type service struct {
	Namespace, Name string
	// Version and ErrorShare are those of the pods.
	Version    string
	ErrorShare float64
	Replicas   int
	Image      string
	// Interval is how often a tool looks, and how long a step lasts at least.
	Interval string
	// Failures is how many failed checks the tool is told to bear with.
	Failures int
	// Prometheus is the address of the server to ask, and AsksPrometheus that Headgate, which need not, does.
	Prometheus     string
	AsksPrometheus bool
}

// Host is the host name that the service is called by.
func (s service) Host() string { return s.Name + ".example.com" }

// render fills in a shape and returns its text.
func render(shape string, data any) (string, error) {
	// The tools have templates of their own, in double braces.
	all := template.New(shape).Delims("<<", ">>").Option("missingkey=error")
	all.Funcs(template.FuncMap{"indented": func(name string, spaces int) (string, error) {
		var out strings.Builder
		if err := all.ExecuteTemplate(&out, name, data); err != nil {
			return "", err
		}
		margin := "\n" + strings.Repeat(" ", spaces)
		return margin + strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", margin), nil
	}})
	if _, err := all.ParseFS(shapes, "shapes/*.yaml"); err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := all.ExecuteTemplate(&out, shape, data); err != nil {
		return "", fmt.Errorf("fill in %s: %w", shape, err)
	}
	return out.String(), nil
}

// objects are those of a shape.
func objects(shape string, data any) ([]*unstructured.Unstructured, error) {
	text, err := render(shape, data)
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), len(text))
	var out []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("shape %s: %w\n%s", shape, err, text)
		}
		if len(object.Object) > 0 {
			out = append(out, object)
		}
	}
}

// podTemplate is that of a version of the application.
func podTemplate(s service) (map[string]any, error) {
	pods, err := objects("pod", s)
	if err != nil {
		return nil, err
	}
	return pods[0].Object, nil
}
