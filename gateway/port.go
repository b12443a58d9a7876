package gateway

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// portIn finds a port of a Service in its EndpointSlices.
//
// When the Service's ports get other names, the EndpointSlices have the former ones until their controller has followed, one
// slice after the other, and the pods have not changed: the port is there under another name.
type portIn struct {
	// port is the one that is looked for, among all of the Service.
	port  corev1.ServicePort
	ports []corev1.ServicePort
	// selects: the Service selects pods, so that its targetPort says where they listen.
	selects bool
	// slices are all of the Service, and own those of our own Service for it.
	slices, own []discoveryv1.EndpointSlice
}

// PortNumber is where the pods behind an EndpointSlice of a Service listen for one of its TCP ports, which is given by the number
// that the Service has for it; false: the slice does not have it.
func PortNumber(service *corev1.Service, number int32, all []discoveryv1.EndpointSlice, slice *discoveryv1.EndpointSlice) (int32, bool) {
	port, ok := tcpPort(service.Spec.Ports, number)
	if !ok {
		return 0, false
	}
	known := portIn{port: port, ports: service.Spec.Ports, selects: len(service.Spec.Selector) > 0, slices: all}
	if found := known.find(slice); found != nil {
		return *found.Port, true
	}
	return 0, false
}

// find is the port in an EndpointSlice: the one with the number that the Service has for its pods, or else the one with its
// name, or else one whose name the Service has no more. Two ports that exchange their names are told apart by numbers alone:
// where the target is a name, calls go to the other port until the slices follow, as those through a ClusterIP do.
func (p portIn) find(slice *discoveryv1.EndpointSlice) *discoveryv1.EndpointPort {
	var target, named *discoveryv1.EndpointPort
	var former []*discoveryv1.EndpointPort
	for i := range slice.Ports {
		port := &slice.Ports[i]
		if port.Port == nil || ptr.Deref(port.Protocol, corev1.ProtocolTCP) != corev1.ProtocolTCP {
			continue
		}
		name := ptr.Deref(port.Name, "")
		isTarget := p.selects && p.isTarget(port)
		switch {
		case isTarget && name == p.port.Name:
			return port
		case isTarget:
			target = port
		case name == p.port.Name:
			named = port
		case !slices.ContainsFunc(p.ports, func(port corev1.ServicePort) bool { return port.Name == name }):
			former = append(former, port)
		}
	}
	switch {
	case target != nil:
		return target
	case named != nil || len(former) == 0:
		return named
	}
	return p.likeliest(former)
}

func (p portIn) isTarget(port *discoveryv1.EndpointPort) bool {
	return p.port.TargetPort.Type == intstr.Int && *port.Port == p.port.TargetPort.IntVal
}

// likeliest is the one of several ports with former names that is looked for: by the number that other
// slices say, by the Service's target, by what the port has in common with the Service's, in this order.
// Where nothing tells it is the first: that pods are there is certain.
func (p portIn) likeliest(former []*discoveryv1.EndpointPort) *discoveryv1.EndpointPort {
	known := p.knownNumbers()
	for _, fits := range []func(*discoveryv1.EndpointPort) bool{
		func(port *discoveryv1.EndpointPort) bool { return slices.Contains(known, *port.Port) },
		p.isTarget,
		func(port *discoveryv1.EndpointPort) bool {
			name := ptr.Deref(port.Name, "")
			return name != "" && name == p.port.TargetPort.StrVal
		},
		func(port *discoveryv1.EndpointPort) bool { return *port.Port == p.port.Port },
		func(port *discoveryv1.EndpointPort) bool {
			return port.AppProtocol != nil && *port.AppProtocol == ptr.Deref(p.port.AppProtocol, "")
		},
	} {
		var fitting []*discoveryv1.EndpointPort
		for _, port := range former {
			if fits(port) {
				fitting = append(fitting, port)
			}
		}
		if len(fitting) == 1 {
			return fitting[0]
		}
	}
	return former[0]
}

// knownNumbers are the numbers of the port in the slices that have its name, and in those of our own
// Service, in which it is always called the same.
func (p portIn) knownNumbers() []int32 {
	var out []int32
	for i := range p.slices {
		if number, ok := slicePort(&p.slices[i], p.port.Name); ok {
			out = append(out, number)
		}
	}
	for i := range p.own {
		if number, ok := slicePort(&p.own[i], portNameGRPC); ok && !isPlaceholder(&p.own[i]) {
			out = append(out, number)
		}
	}
	return out
}
