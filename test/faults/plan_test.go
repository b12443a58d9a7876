package faults

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// plan is a sequence of operations, and what the facts are in the end.
type plan struct {
	operations []operation
	// last are the specs in the end, by the names of the ExposedServices, and up the place of the backend of each that is up then.
	last map[string]specChoice
	up   map[string]int
}

// action is what an operation does.
type action string

const (
	actPut         action = "put"
	actDelete      action = "delete"
	actPin         action = "pin"
	actEndpoints   action = "endpoints of"
	actServiceGone action = "remove Service"
	actServiceBack action = "make Service"
	actRenamePort  action = "rename the port of"
	actClassGone   action = "remove the GatewayClass"
	actClassBack   action = "make the GatewayClass"
	actForeign     action = "make objects of others"
	actTime        action = "let time pass"
	actRest        action = "wait until it is at rest"
)

// operation is one thing that somebody does.
type operation struct {
	action action
	// name is that of an ExposedService, or of a Service.
	name string
	spec specChoice
	// part is what of the spec is put: mostly one thing changes.
	part  specPart
	ready []bool
	text  string
}

// String says it for people.
func (o operation) String() string {
	out := string(o.action)
	if o.name != "" {
		out += " " + o.name
	}
	switch o.action {
	case actPut:
		out += fmt.Sprintf(" %s of %+v", o.part, o.spec)
	case actEndpoints:
		out += fmt.Sprintf(" ready %v", o.ready)
	case actPin, actRenamePort:
		out += fmt.Sprintf(" to %q", o.text)
	}
	return out
}

// String says a plan for people.
func (p plan) String() string {
	var out strings.Builder
	for i, o := range p.operations {
		fmt.Fprintf(&out, "%3d. %s\n", i+1, o)
	}
	for name, spec := range p.last {
		fmt.Fprintf(&out, "last: %s %+v, backend %d is up\n", name, spec, p.up[name])
	}
	return out.String()
}

// exposedNames are those of the ExposedServices of a sequence.
var exposedNames = []string{"one", "two"}

// lengths are the fewest and the most operations of a sequence.
func lengths() (fewest, most int) {
	if testing.Short() {
		return 15, 45
	}
	return 60, 140
}

// plans generates them.
func plans() *rapid.Generator[plan] {
	fewest, most := lengths()
	return rapid.Custom(func(t *rapid.T) plan {
		out := plan{last: map[string]specChoice{}, up: map[string]int{}}
		out.operations = append(out.operations, operation{action: actPut, name: exposedNames[0], part: everything, spec: specs().Draw(t, "spec")})
		out.operations = append(out.operations, rapid.SliceOfN(operations(), fewest, most).Draw(t, "operations")...)
		for _, name := range exposedNames {
			spec := specs().Draw(t, "last spec of "+name)
			spec.Flaw, spec.Pin = "", ""
			out.last[name], out.up[name] = spec, rapid.IntRange(0, len(spec.Backends)-1).Draw(t, "up")
		}
		return out
	})
}

// often are actions as often as they are wanted.
var often = []action{
	actPut, actPut, actPut, actPut, actDelete, actPin, actEndpoints, actEndpoints, actEndpoints, actEndpoints, actServiceGone, actServiceBack,
	actServiceBack, actRenamePort, actClassGone, actClassBack, actClassBack, actForeign, actTime, actTime, actRest,
}

func operations() *rapid.Generator[operation] {
	return rapid.Custom(func(t *rapid.T) operation {
		out := operation{action: rapid.SampledFrom(often).Draw(t, "action")}
		switch out.action {
		case actPut:
			out.name, out.spec = rapid.SampledFrom(exposedNames).Draw(t, "name"), specs().Draw(t, "spec")
			out.part = rapid.SampledFrom(specParts).Draw(t, "part")
		case actDelete:
			out.name = rapid.SampledFrom(exposedNames).Draw(t, "name")
		case actPin:
			out.name = rapid.SampledFrom(exposedNames).Draw(t, "name")
			out.text = rapid.SampledFrom([]string{"", "primary", "backup", "spare"}).Draw(t, "pin")
		case actEndpoints:
			out.name = rapid.SampledFrom(services).Draw(t, "service")
			out.ready = rapid.SliceOfN(rapid.Bool(), 0, 3).Draw(t, "ready")
		case actServiceGone, actServiceBack:
			out.name = rapid.SampledFrom(services).Draw(t, "service")
		case actRenamePort:
			out.name = rapid.SampledFrom(services).Draw(t, "service")
			out.text = rapid.SampledFrom([]string{"grpc", "h2c", ""}).Draw(t, "port")
		}
		return out
	})
}
