package gateway

import (
	"crypto/sha256"
	"encoding/hex"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	portNameGRPC    = "grpc"
	appProtocolH2C  = "kubernetes.io/h2c"
	sliceManager    = "headgate.dev"
	placeholderPort = int32(1)
)

// Addresses that no host has: they are reserved for documentation (RFC 5737 and RFC 3849).
const (
	placeholderIPv4 = "192.0.2.1"
	placeholderIPv6 = "2001:db8::1"
)

// SliceManager is the value of the label endpointslice.kubernetes.io/managed-by on the
// EndpointSlices that Headgate writes itself.
const SliceManager = sliceManager

// addOwnServices makes a Service of Headgate's own for every backend inside the cluster, so that whatever is
// done to its endpoints is seen by the Gateway alone, and puts a placeholder into it.
//
// The placeholder is an endpoint that is terminating, which Envoy never uses. It keeps Envoy
// Gateway from seeing an empty Service: for one, it would answer 503 by itself and rename the
// cluster, instead of leaving the choice to Envoy. Other data planes may use one that is terminating when there is no other.
func (e *expansion) addOwnServices() {
	for _, b := range e.backends {
		if b.inside() && (e.shape.oneCluster || b.in != "") {
			e.addOwnService(b)
		}
	}
}

func (e *expansion) addOwnService(b backend) {
	if !b.found && b.facts.OwnService != nil && !b.revoked {
		// What the Service was made from is gone. Its pods may well be there: leave it alone.
		e.keep("", KindService, b.own)
		e.keepSlices(b)
	} else {
		e.add(e.ownService(b))
		for _, slice := range e.mirrorSlices(b) {
			e.add(slice)
		}
	}
	if !e.shape.oneCluster {
		return
	}
	for _, slice := range e.placeholders(b) {
		e.add(slice)
	}
}

func (e *expansion) keep(group, kind, name string) {
	e.out.Kept = append(e.out.Kept, Ref{Group: group, Kind: kind, Namespace: e.exs.Namespace, Name: name})
}

// keepSlices keeps the mirrored EndpointSlices of a backend whose source is gone.
func (e *expansion) keepSlices(b backend) {
	for i := range b.facts.OwnSlices {
		if slice := &b.facts.OwnSlices[i]; slice.Labels[discoveryv1.LabelManagedBy] == sliceManager {
			e.keep(discoveryv1.GroupName, KindEndpointSlice, slice.Name)
		}
	}
}

// isPlaceholder says whether an EndpointSlice is the one that keeps a Service from being empty.
func isPlaceholder(slice *discoveryv1.EndpointSlice) bool {
	return slice.Labels[discoveryv1.LabelManagedBy] == sliceManager &&
		len(slice.Endpoints) == 1 && len(slice.Endpoints[0].Addresses) == 1 &&
		(slice.Endpoints[0].Addresses[0] == placeholderIPv4 || slice.Endpoints[0].Addresses[0] == placeholderIPv6)
}

func (e *expansion) ownService(b backend) *corev1.Service {
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: KindService},
		ObjectMeta: e.meta(b.own, b.label),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{
				Name:        portNameGRPC,
				Protocol:    corev1.ProtocolTCP,
				AppProtocol: ptr.To(appProtocolH2C),
				Port:        b.number(),
				TargetPort:  b.targetPort(),
			}},
		},
	}
	if b.found && b.facts.Service != nil {
		service.Spec.IPFamilyPolicy = b.facts.Service.Spec.IPFamilyPolicy
		service.Spec.IPFamilies = b.facts.Service.Spec.IPFamilies
		if !b.mirrored {
			service.Spec.Selector = b.selector()
		}
	}
	return service
}

// placeholders are one EndpointSlice for each IP family of the Service.
func (e *expansion) placeholders(b backend) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, family := range b.families() {
		name, address := b.own+placeholderSuffix, placeholderIPv4
		if family == corev1.IPv6Protocol {
			name, address = name+"-v6", placeholderIPv6
		}
		out = append(out, e.slice(b, name, discoveryv1.AddressType(family), placeholderPort, []discoveryv1.Endpoint{{
			Addresses: []string{address},
			Conditions: discoveryv1.EndpointConditions{
				Ready: ptr.To(false), Serving: ptr.To(true), Terminating: ptr.To(true),
			},
		}}))
	}
	return out
}

// mirrorSlices copies the EndpointSlices of a Service that has no selector, or whose pods are in
// another namespace where our selector would not find them.
func (e *expansion) mirrorSlices(b backend) []*discoveryv1.EndpointSlice {
	if !b.found || !b.mirrored {
		return nil
	}
	var out []*discoveryv1.EndpointSlice
	for i := range b.seen {
		source := &b.seen[i]
		port, ok := slicePort(source, b.seenPort)
		if !ok || len(source.Endpoints) == 0 {
			continue
		}
		endpoints := make([]discoveryv1.Endpoint, 0, len(source.Endpoints))
		for _, ep := range source.Endpoints {
			endpoints = append(endpoints, discoveryv1.Endpoint{
				Addresses: ep.Addresses, Conditions: ep.Conditions, NodeName: ep.NodeName, Zone: ep.Zone,
			})
		}
		out = append(out, e.slice(b, mirrorName(b, source), source.AddressType, port, endpoints))
	}
	return out
}

func mirrorName(b backend, source *discoveryv1.EndpointSlice) string {
	sum := sha256.Sum256([]byte(source.Namespace + "/" + source.Name))
	return b.own + "-" + hex.EncodeToString(sum[:4])
}

func (e *expansion) slice(
	b backend, name string, addressType discoveryv1.AddressType, port int32, endpoints []discoveryv1.Endpoint,
) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: KindEndpointSlice},
		ObjectMeta:  e.meta(name, b.label),
		AddressType: addressType,
		Ports: []discoveryv1.EndpointPort{{
			Name: ptr.To(portNameGRPC), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(port), AppProtocol: ptr.To(appProtocolH2C),
		}},
		Endpoints: endpoints,
	}
	slice.Labels[discoveryv1.LabelServiceName] = b.own
	slice.Labels[discoveryv1.LabelManagedBy] = sliceManager
	return slice
}

func (e *expansion) meta(name, backend string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: e.exs.Namespace, Labels: e.labels(backend)}
}
