package main

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var example = service{
	Namespace: "bench", Name: "greeter", Version: "1", ErrorShare: .05, Replicas: 2, Image: "example.com/greeter:1", Interval: "10s", Failures: 3,
	Prometheus: "http://prometheus.bench:9090",
}

func TestEveryToolShipsTheSamePods(t *testing.T) {
	pods, err := podTemplate(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range contenders(options{}) {
		all, err := objects(c.tool.shape(), example)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]*unstructured.Unstructured{}
		for _, object := range all {
			found[object.GetKind()] = object
		}
		workload := found[c.tool.workload().Kind]
		if workload == nil || found[c.tool.object().Kind] == nil {
			t.Fatalf("%s: no %s or no %s in its shape", c.name, c.tool.workload().Kind, c.tool.object().Kind)
		}
		have, _, err := unstructured.NestedMap(workload.Object, "spec", "template")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(have, pods) {
			t.Errorf("%s has the pods %v, want %v", c.name, have, pods)
		}
	}
}

func TestTheToolsOwnTemplatesAreLeftToThem(t *testing.T) {
	asks := example
	asks.AsksPrometheus = true
	for shape, want := range map[string]string{
		"flagger.yaml": "{{ target }}", "argo.yaml": "{{args.workload}}", "headgate.yaml": "{{.Workload}}",
	} {
		text, err := render(shape, asks)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s has no %s:\n%s", shape, want, text)
		}
	}
}
