package gateway

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// backend is a backend of the spec with what the facts say of it.
type backend struct { //nolint:recvcheck // it is passed by value, but for the look that fills it
	v1alpha1.Backend
	facts BackendFacts
	// found: the Service or ServiceImport exists, may be used, and has the port. For fqdn backends
	// always true.
	found bool
	// port is the Service's port, and ports are all that it has.
	port  corev1.ServicePort
	ports []corev1.ServicePort
	// revoked: the Service is in another namespace, and no ReferenceGrant allows its use (any more); or it is a host that must not be
	// called from here.
	revoked bool
	// canary: it is the canary of a rollout, or in its slot, and not in the spec.
	canary bool
	// own is the name of the Service that Headgate makes for it, and label the name of the backend on that.
	own, label string
	slot
	// mirrored: the endpoints come from copied EndpointSlices and not from a selector.
	mirrored bool
	// seen are the EndpointSlices that know the backend's pods best, and seenPort is the name of the port in them.
	seen     []discoveryv1.EndpointSlice
	seenPort string
	// endpoints are those in them, in the backend's primary IP family.
	endpoints []endpoint
	// host is where an fqdn backend is.
	host host
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

// resolveService finds the backend's Service and port, and says what is wrong with them.
func (r Resolved) resolveService(b *backend, index int) *Problem {
	field, instead := fmt.Sprintf("spec.backends[%d].service", index), fmt.Sprintf("use spec.backends[%d].fqdn", index)
	if b.canary {
		field, instead = "spec.rollout.canary.service", "use a Service that selects pods"
	}
	namespace := b.namespace(r.exs)
	name := namespace + "/" + b.Service.Name

	if why := r.facts.unwatched(namespace); why != "" {
		return &Problem{Reason: v1alpha1.ReasonBackendNotFound, Message: fmt.Sprintf("%s: Service %s cannot be seen: %s", field, name, why)}
	}
	if namespace != r.exs.Namespace {
		to := Ref{Kind: KindService, Namespace: namespace, Name: b.Service.Name}
		if !r.granted(to, fromExposedService, fromGRPCRoute) {
			b.revoked = true
			return &Problem{Reason: v1alpha1.ReasonRefNotPermitted, Message: fmt.Sprintf(
				"%s: Service %s is in another namespace, and no ReferenceGrant there allows it: in namespace %s create a ReferenceGrant "+
					"from {group: headgate.dev, kind: ExposedService, namespace: %s} to {group: \"\", kind: Service, name: %s}",
				field, name, namespace, r.exs.Namespace, b.Service.Name)}
		}
	}
	service := b.facts.Service
	if service == nil {
		return &Problem{Reason: v1alpha1.ReasonBackendNotFound, Message: fmt.Sprintf(
			"%s: Service %s does not exist: create it, or correct the name", field, name)}
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return &Problem{Reason: v1alpha1.ReasonServiceNotSupported, Message: fmt.Sprintf(
			"%s: Service %s is of type ExternalName, which has no endpoints: %s; its host name is %s",
			field, name, instead, service.Spec.ExternalName)}
	}
	port, ok := tcpPort(service.Spec.Ports, b.number())
	if !ok {
		return &Problem{Reason: v1alpha1.ReasonPortNotFound, Message: fmt.Sprintf(
			"%s: Service %s has no TCP port %d, only %s: add the port, or correct the number",
			field, name, b.number(), describePorts(service.Spec.Ports))}
	}
	b.port, b.ports = port, service.Spec.Ports
	b.mirrored = !b.selects() || namespace != r.exs.Namespace
	if b.mirrored && hasFQDNSlices(b.facts.Slices) {
		return &Problem{Reason: v1alpha1.ReasonServiceNotSupported, Message: fmt.Sprintf(
			"%s: an EndpointSlice of Service %s holds host names instead of addresses: %s", field, name, instead)}
	}
	return nil
}

// resolveHost says what stands against the use of the backend's host.
func (r Resolved) resolveHost(b *backend, index int) *Problem {
	if b.facts.Refused == "" || len(b.facts.Addresses) > 0 {
		return nil
	}
	b.revoked = true
	return &Problem{Reason: v1alpha1.ReasonRefNotPermitted, Message: fmt.Sprintf(
		"spec.backends[%d].fqdn: %s: name a Service of the cluster in spec.backends[%d].service, which takes a ReferenceGrant if it is in another "+
			"namespace; or ask the cluster's owners to allow this host (--fqdn-allow)", index, b.facts.Refused, index)}
}

// resolveImport finds the backend's ServiceImport and port. Its EndpointSlices are mirrored.
func (r Resolved) resolveImport(b *backend, index int) *Problem {
	field := fmt.Sprintf("spec.backends[%d].serviceImport", index)
	name := r.exs.Namespace + "/" + b.ServiceImport.Name
	if b.facts.Import == nil {
		return &Problem{Reason: v1alpha1.ReasonBackendNotFound, Message: fmt.Sprintf(
			"%s: ServiceImport %s does not exist: export the Service from the other cluster, or correct the name", field, name)}
	}
	port, ok := tcpPort(b.facts.Import.Ports, b.number())
	if !ok {
		return &Problem{Reason: v1alpha1.ReasonPortNotFound, Message: fmt.Sprintf(
			"%s: ServiceImport %s has no TCP port %d, only %s: correct the number",
			field, name, b.number(), describePorts(b.facts.Import.Ports))}
	}
	b.port, b.ports, b.mirrored = port, b.facts.Import.Ports, true
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

// selects: the backend is a Service that selects pods.
func (b backend) selects() bool {
	return b.facts.Service != nil && len(b.facts.Service.Spec.Selector) > 0
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

// targetPort is where the pods of the backend listen, by name or number.
func (b backend) targetPort() intstr.IntOrString {
	target := b.port.TargetPort
	if target == (intstr.IntOrString{}) || b.mirrored {
		return intstr.FromInt32(b.number())
	}
	return target
}
