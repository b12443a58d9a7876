package gateway

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// backend is a backend of the spec with what the facts say of it.
type backend struct {
	v1alpha1.Backend
	facts BackendFacts
	// found: the Service or ServiceImport exists, may be used, and has the port. For fqdn backends
	// always true.
	found bool
	// port is the Service's port.
	port corev1.ServicePort
	// revoked: the Service is in another namespace, and no ReferenceGrant allows its use (any more).
	revoked bool
	// canary: it is the canary of a rollout, and not in the spec.
	canary bool
	// mirrored: the endpoints come from copied EndpointSlices and not from a selector.
	mirrored bool
}

// inside says whether the backend has endpoints in the cluster's own objects, so that a Service of
// ours can stand for it.
func (b backend) inside() bool { return b.FQDN == nil }

// number is the port that the spec names.
func (b backend) number() int32 {
	switch {
	case b.Service != nil:
		return int32(b.Service.Port)
	case b.ServiceImport != nil:
		return int32(b.ServiceImport.Port)
	}
	return int32(b.FQDN.Port)
}

// namespace is where the backend's Service is.
func (b backend) namespace(exs *v1alpha1.ExposedService) string {
	if b.Service != nil && b.Service.Namespace != nil {
		return *b.Service.Namespace
	}
	return exs.Namespace
}

// resolveBackends looks up the Service and port of every backend, reports what is missing, and
// fills in the status of the backends.
func (e *expansion) resolveBackends() {
	for i, spec := range e.exs.Spec.Backends {
		b := backend{Backend: spec, facts: e.facts.Backends[spec.Name], found: true}
		var trouble *Problem
		switch {
		case spec.Service != nil:
			trouble = e.resolveService(&b, i)
		case spec.ServiceImport != nil:
			trouble = e.resolveImport(&b, i)
		}
		b.found = trouble == nil
		e.backends = append(e.backends, b)

		status := v1alpha1.BackendStatus{Name: spec.Name}
		if b.inside() {
			ready, total := b.count()
			status.Ready, status.Total = &ready, &total
		}
		if trouble != nil {
			status.Message = trouble.Message
			e.out.Problems = append(e.out.Problems, *trouble)
		}
		e.out.Backends = append(e.out.Backends, status)
	}
	e.resolveCanary()
}

// resolveService finds the backend's Service and port, and says what is wrong with them.
func (e *expansion) resolveService(b *backend, index int) *Problem {
	field, instead := fmt.Sprintf("spec.backends[%d].service", index), fmt.Sprintf("use spec.backends[%d].fqdn", index)
	if b.canary {
		field, instead = "spec.rollout.canary.service", "use a Service that selects pods"
	}
	namespace := b.namespace(e.exs)
	name := namespace + "/" + b.Service.Name

	if namespace != e.exs.Namespace {
		to := Ref{Kind: KindService, Namespace: namespace, Name: b.Service.Name}
		if !e.granted(to, fromExposedService, fromGRPCRoute) {
			b.revoked = true
			return &Problem{v1alpha1.ReasonRefNotPermitted, fmt.Sprintf(
				"%s: Service %s is in another namespace, and no ReferenceGrant there allows it: in namespace %s create a ReferenceGrant "+
					"from {group: headgate.dev, kind: ExposedService, namespace: %s} to {group: \"\", kind: Service, name: %s}",
				field, name, namespace, e.exs.Namespace, b.Service.Name)}
		}
	}
	service := b.facts.Service
	if service == nil {
		return &Problem{v1alpha1.ReasonServiceNotFound, fmt.Sprintf(
			"%s: Service %s does not exist: create it, or correct the name", field, name)}
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return &Problem{v1alpha1.ReasonServiceNotSupported, fmt.Sprintf(
			"%s: Service %s is of type ExternalName, which has no endpoints: %s; its host name is %s",
			field, name, instead, service.Spec.ExternalName)}
	}
	port, ok := tcpPort(service.Spec.Ports, b.number())
	if !ok {
		return &Problem{v1alpha1.ReasonPortNotFound, fmt.Sprintf(
			"%s: Service %s has no TCP port %d, only %s: add the port, or correct the number",
			field, name, b.number(), describePorts(service.Spec.Ports))}
	}
	b.port = port
	b.mirrored = len(service.Spec.Selector) == 0 || namespace != e.exs.Namespace
	if b.mirrored && hasFQDNSlices(b.facts.Slices) {
		return &Problem{v1alpha1.ReasonServiceNotSupported, fmt.Sprintf(
			"%s: an EndpointSlice of Service %s holds host names instead of addresses: %s", field, name, instead)}
	}
	return nil
}

// resolveImport finds the backend's ServiceImport and port. Its EndpointSlices are mirrored.
func (e *expansion) resolveImport(b *backend, index int) *Problem {
	field := fmt.Sprintf("spec.backends[%d].serviceImport", index)
	name := e.exs.Namespace + "/" + b.ServiceImport.Name
	if b.facts.Import == nil {
		return &Problem{v1alpha1.ReasonServiceNotFound, fmt.Sprintf(
			"%s: ServiceImport %s does not exist: export the Service from the other cluster, or correct the name", field, name)}
	}
	port, ok := tcpPort(b.facts.Import.Ports, b.number())
	if !ok {
		return &Problem{v1alpha1.ReasonPortNotFound, fmt.Sprintf(
			"%s: ServiceImport %s has no TCP port %d, only %s: correct the number",
			field, name, b.number(), describePorts(b.facts.Import.Ports))}
	}
	b.port, b.mirrored = port, true
	return nil
}

func tcpPort(ports []corev1.ServicePort, number int32) (corev1.ServicePort, bool) {
	for _, port := range ports {
		if port.Port == number && (port.Protocol == corev1.ProtocolTCP || port.Protocol == "") {
			return port, true
		}
	}
	return corev1.ServicePort{}, false
}

func describePorts(ports []corev1.ServicePort) string {
	if len(ports) == 0 {
		return "none"
	}
	words := make([]string, 0, len(ports))
	for _, port := range ports {
		word := strconv.Itoa(int(port.Port))
		if port.Protocol != "" && port.Protocol != corev1.ProtocolTCP {
			word += "/" + string(port.Protocol)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func hasFQDNSlices(slices []discoveryv1.EndpointSlice) bool {
	for i := range slices {
		if slices[i].AddressType == discoveryv1.AddressTypeFQDN {
			return true
		}
	}
	return false
}

// families are the IP families of the Service that Headgate makes, the primary one first.
func (b backend) families() []corev1.IPFamily {
	switch {
	case b.facts.OwnService != nil && len(b.facts.OwnService.Spec.IPFamilies) > 0:
		return b.facts.OwnService.Spec.IPFamilies
	case b.facts.Service != nil && len(b.facts.Service.Spec.IPFamilies) > 0:
		return b.facts.Service.Spec.IPFamilies
	}
	return []corev1.IPFamily{corev1.IPv4Protocol}
}

// endpointsFrom are the EndpointSlices that know the backend's pods best, and the name of the port
// in them: those of the user's Service, or, when that is gone, of our own. A backend that may not
// be used has none.
func (b backend) endpointsFrom() (slices []discoveryv1.EndpointSlice, portName string) {
	if b.revoked {
		return nil, ""
	}
	if b.found && len(b.facts.Slices) > 0 {
		return b.facts.Slices, b.port.Name
	}
	return b.facts.OwnSlices, portNameGRPC
}

// endpoint is one address of a backend.
type endpoint struct {
	address string
	port    int32
	ready   bool
}

// endpoints are the backend's endpoints in its primary IP family: a dual-stack pod counts once.
func (b backend) endpoints() []endpoint {
	slices, portName := b.endpointsFrom()
	family := discoveryv1.AddressType(b.families()[0])
	var out []endpoint
	seen := map[string]bool{}
	for i := range slices {
		slice := &slices[i]
		port, ok := slicePort(slice, portName)
		if slice.AddressType != family || !ok || isPlaceholder(slice) {
			continue
		}
		for _, ep := range slice.Endpoints {
			// While pods move between slices, an address may stand in two of them.
			if len(ep.Addresses) == 0 || seen[ep.Addresses[0]] {
				continue
			}
			seen[ep.Addresses[0]] = true
			out = append(out, endpoint{
				address: ep.Addresses[0], port: port,
				// Unknown counts as ready, as the API of EndpointSlice says.
				ready: ptr.Deref(ep.Conditions.Ready, true),
			})
		}
	}
	return out
}

func slicePort(slice *discoveryv1.EndpointSlice, name string) (int32, bool) {
	for _, port := range slice.Ports {
		if ptr.Deref(port.Name, "") == name && port.Port != nil && ptr.Deref(port.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
			return *port.Port, true
		}
	}
	return 0, false
}

func (b backend) count() (ready, total int32) {
	for _, ep := range b.endpoints() {
		total++
		if ep.ready {
			ready++
		}
	}
	return ready, total
}

// targetPort is where the pods of the backend listen, by name or number.
func (b backend) targetPort() intstr.IntOrString {
	target := b.port.TargetPort
	if target == (intstr.IntOrString{}) || b.mirrored {
		return intstr.FromInt32(b.number())
	}
	return target
}

// Count says how many endpoints each backend has, in the order of the spec, and what is wrong with
// its Service if anything is. It does not depend on the decision.
func Count(exs *v1alpha1.ExposedService, facts Facts) []v1alpha1.BackendStatus {
	e := &expansion{exs: exs, facts: facts}
	e.resolveBackends()
	return e.out.Backends
}

// BackendProblems says what is wrong with the Services and permissions of the backends, whatever carries the traffic.
func BackendProblems(exs *v1alpha1.ExposedService, facts Facts) []Problem {
	e := &expansion{exs: exs, facts: facts}
	e.resolveBackends()
	return e.out.Problems
}

// Slices are the EndpointSlices that know the pods of each backend best, by the backends' names, and
// the name of the port in them.
func Slices(exs *v1alpha1.ExposedService, facts Facts) map[string]BackendSlices {
	e := &expansion{exs: exs, facts: facts}
	e.resolveBackends()
	out := map[string]BackendSlices{}
	for _, b := range e.backends {
		slices, port := b.endpointsFrom()
		out[b.Name] = BackendSlices{Slices: slices, Port: port}
	}
	return out
}

// BackendSlices are the EndpointSlices of a backend.
type BackendSlices struct {
	Slices []discoveryv1.EndpointSlice
	// Port is the name of the port in them.
	Port string
}
