package gateway

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// endpoint is one address of a backend.
type endpoint struct {
	address string
	port    int32
	ready   bool
}

// look notes which endpoints the backend has.
func (b *backend) look() {
	b.seen, b.seenPort = b.endpointsFrom()
	b.endpoints = endpointsIn(b.seen, b.seenPort, b.families()[0])
}

// endpointsFrom are the EndpointSlices that know the backend's pods best, and the name of the port
// in them: those of the user's Service, or, when that is gone or they lack the port, of our own. Copies know no more than what
// they are copied from. A backend that may not be used has none.
//
// The versions in two slots are told apart by our own Services alone. Until the cluster's controller has looked at that of the stable
// version for the first time, all pods are of that version.
func (b backend) endpointsFrom() (seen []discoveryv1.EndpointSlice, portName string) {
	switch {
	case b.revoked, b.idle():
		return nil, ""
	case b.other, b.hash != "" && b.ownSlicesKnown():
		return b.facts.OwnSlices, portNameGRPC
	}
	if b.found && (b.mirrored || len(b.facts.Slices) > 0) {
		seen = b.usersSlices()
		if len(seen) > 0 || b.mirrored || !hasEndpoints(b.facts.Slices) {
			return seen, b.port.Name
		}
	}
	return b.facts.OwnSlices, portNameGRPC
}

func hasEndpoints(endpointSlices []discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(endpointSlices, func(slice discoveryv1.EndpointSlice) bool { return len(slice.Endpoints) > 0 })
}

// usersSlices are the EndpointSlices of the user's Service that have the backend's port, with the
// Service's present name for it and with the readiness of the pods.
func (b backend) usersSlices() []discoveryv1.EndpointSlice {
	var out []discoveryv1.EndpointSlice
	known := portIn{port: b.port, ports: b.ports, selects: b.selects(), slices: b.facts.Slices, own: b.facts.OwnSlices}
	for i := range b.facts.Slices {
		slice := b.facts.Slices[i]
		port := known.find(&slice)
		if port == nil {
			continue
		}
		if ptr.Deref(port.Name, "") != b.port.Name {
			renamed := *port
			renamed.Name = ptr.To(b.port.Name)
			slice.Ports = []discoveryv1.EndpointPort{renamed}
		}
		slice.Endpoints = b.withReadiness(slice.Endpoints)
		out = append(out, slice)
	}
	return out
}

// withReadiness says of endpoints that they are ready only if their pods are. A Service with
// publishNotReadyAddresses has "ready" said of all of them, those that are going away among them;
// "serving" is what the pod says also then.
func (b backend) withReadiness(endpoints []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	var out []discoveryv1.Endpoint
	for i := range endpoints {
		if !ptr.Deref(endpoints[i].Conditions.Ready, true) || b.podIsReady(&endpoints[i]) {
			continue
		}
		if out == nil {
			out = slices.Clone(endpoints)
		}
		out[i].Conditions.Ready = ptr.To(false)
	}
	if out == nil {
		return endpoints
	}
	return out
}

// podIsReady: what the endpoint does not say of its pod, our own Service's slices do, because that
// Service never has publishNotReadyAddresses. Unknown counts as ready, as the API of EndpointSlice says.
func (b backend) podIsReady(ep *discoveryv1.Endpoint) bool {
	if ptr.Deref(ep.Conditions.Terminating, false) {
		return false
	}
	if ep.Conditions.Serving != nil {
		return *ep.Conditions.Serving
	}
	if b.mirrored || b.facts.Service == nil || !b.facts.Service.Spec.PublishNotReadyAddresses || len(ep.Addresses) == 0 {
		return true
	}
	for i := range b.facts.OwnSlices {
		for _, own := range b.facts.OwnSlices[i].Endpoints {
			if len(own.Addresses) > 0 && own.Addresses[0] == ep.Addresses[0] {
				return ptr.Deref(own.Conditions.Ready, true)
			}
		}
	}
	return true
}

// endpointsIn are the endpoints of one IP family: a dual-stack pod counts once.
func endpointsIn(endpointSlices []discoveryv1.EndpointSlice, portName string, family corev1.IPFamily) []endpoint {
	var out []endpoint
	at := map[string]int{}
	for i := range endpointSlices {
		slice := &endpointSlices[i]
		port, ok := slicePort(slice, portName)
		if slice.AddressType != discoveryv1.AddressType(family) || !ok || isPlaceholder(slice) {
			continue
		}
		for _, ep := range slice.Endpoints {
			if len(ep.Addresses) == 0 {
				continue
			}
			// Unknown counts as ready, as the API of EndpointSlice says.
			ready := ptr.Deref(ep.Conditions.Ready, true)
			// While pods move between slices, an address may stand in two of them. Which is the newer one is
			// not known, and a live pod taken for a dead one does more harm.
			if index, known := at[ep.Addresses[0]]; known {
				out[index].ready = out[index].ready || ready
				continue
			}
			at[ep.Addresses[0]] = len(out)
			out = append(out, endpoint{address: ep.Addresses[0], port: port, ready: ready})
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
	for _, ep := range b.endpoints {
		total++
		if ep.ready {
			ready++
		}
	}
	return ready, total
}
