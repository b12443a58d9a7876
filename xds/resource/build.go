package resource

import (
	"cmp"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Build makes everything: what Conflicts, Service and Port make of all the exposures together. Those
// without spec.xds are passed over. The order of the exposures does not matter.
func Build(exposures []Exposure) Result {
	out := Result{Problems: map[types.NamespacedName][]Problem{}}
	services := make([]*v1alpha1.ExposedService, len(exposures))
	for i, e := range exposures {
		services[i] = e.Service
	}
	conflicts := Conflicts(services)
	type listener struct {
		namespace string
		port      v1alpha1.PortNumber
	}
	shared := map[listener][]Exposure{}
	for _, e := range exposures {
		xds := e.Service.Spec.XDS
		if xds == nil {
			continue
		}
		lost, loses := conflicts[keyOf(e.Service)]
		e.Lost = lost.Hosts
		resources, problems := Service(e)
		nothing := len(problems) > 0
		if loses {
			problems = append(problems, lost.Problem)
		}
		if len(problems) > 0 {
			out.Problems[keyOf(e.Service)] = problems
		}
		if nothing {
			continue
		}
		out.Resources = append(out.Resources, resources...)
		if xds.Port != nil {
			key := listener{e.Service.Namespace, *xds.Port}
			shared[key] = append(shared[key], e)
		}
	}
	for key, sharers := range shared {
		out.Resources = append(out.Resources, Port(key.namespace, key.port, sharers)...)
	}
	sortResources(out.Resources)
	return out
}

func byName(a, b Exposure) int {
	return cmp.Or(cmp.Compare(a.Service.Namespace, b.Service.Namespace), cmp.Compare(a.Service.Name, b.Service.Name))
}
