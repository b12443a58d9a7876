package main

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// contender is a tool with its settings.
type contender struct {
	// name is what flags and namespaces call it, and title what people do.
	name, title string
	// settings says in words what failures means to the tool.
	settings string
	failures int
	// idle: its cost while nothing happens is measured. It does not depend on the settings.
	idle bool
	tool tool
}

// space is the namespace of its services.
func (c contender) space() string { return "bench-" + c.name }

// tool is a controller that ships new versions.
type tool interface {
	// install starts it, for the services in one namespace, and returns when it is ready.
	install(ctx context.Context, b *bench, space string) error
	// remove takes away all that install has made.
	remove(ctx context.Context, b *bench) error
	// seat is where it runs.
	seat() seat
	// shape is what a user writes to have a service shipped by it.
	shape() string
	// object is the kind that tells the progress of a version, and workload the one with the pod template.
	object() schema.GroupVersionKind
	workload() schema.GroupVersionKind
	// settled says that it has taken the first version of a service over.
	settled(object *unstructured.Unstructured) bool
	// progress says how it gets on with the second.
	progress(object *unstructured.Unstructured) progress
}

// seat is where a tool runs: a Deployment and its ServiceAccount, and the Lease of the pod that leads, if it has one.
type seat struct{ namespace, deployment, account, lease string }

// interval is how often each tool looks, and how long a step of theirs lasts: the shortest that Flagger has.
const interval = "10s"

func contenders(o options) []contender {
	flagger, argo := flagger{chart: o.flaggerChart}, argo{manifests: o.argoManifests}
	return []contender{
		{name: "flagger", title: "Flagger", settings: "`threshold: 5`, as in its tutorial for the Gateway API", failures: 5, idle: true, tool: flagger},
		{name: "flagger-quick", title: "Flagger, quickest", settings: "`threshold: 1`", failures: 1, tool: flagger},
		{name: "argo", title: "Argo Rollouts", settings: "`failureLimit: 3`, as in its documentation", failures: 3, idle: true, tool: argo},
		{name: "argo-quick", title: "Argo Rollouts, quickest", settings: "`failureLimit: 0`, the default of the field", failures: 0, tool: argo},
		{name: "headgate", title: "Headgate", settings: "all defaults of `analysis`", idle: true, tool: headgate{chart: o.chart}},
	}
}

// chosen are those of a list that the flag names; all if it is empty.
func chosen[T any](flag, names string, all []T, name func(T) string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	var out []T
	var have []string
	for _, wanted := range strings.Split(names, ",") {
		found := false
		have = have[:0]
		for _, one := range all {
			have = append(have, name(one))
			if name(one) == wanted {
				out, found = append(out, one), true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: -%s %q: give some of %s", errUsage, flag, wanted, strings.Join(have, ","))
		}
	}
	return out, nil
}
