package gateway

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Object is a Kubernetes object (the same as controller-runtime's client.Object, which a pure
// package does not import).
type Object interface {
	metav1.Object
	runtime.Object
}

// Facts is everything outside the ExposedService that its expansion depends on. A controller
// gathers it; nothing in it is a judgement. Objects are only read.
type Facts struct {
	// Class is the GatewayClass: the one of spec.gateway.className, or that of the Gateway which
	// spec.gateway.parentRef names. Nil: it does not exist.
	Class *gwapiv1.GatewayClass
	// ClassProxy is the EnvoyProxy that the class's parametersRef names (its default namespace is "default", as
	// Envoy Gateway has it). Nil: it names none, or it does not exist.
	ClassProxy *egv1a1.EnvoyProxy
	// Gateway is the Gateway of spec.gateway.parentRef. Nil: it does not exist, or is to be made.
	Gateway *gwapiv1.Gateway
	// GatewayPolicies are the BackendTrafficPolicies in the Gateway's namespace, whatever they target. Those
	// that target the Gateway are what Envoy Gateway merges the policy of the route with.
	GatewayPolicies []egv1a1.BackendTrafficPolicy
	// Capabilities says what Envoy Gateway can do here.
	Capabilities Capabilities
	// Platform is what the owners of the cluster allow.
	Platform Platform
	// Hostnames says which host names the ExposedService may have.
	Hostnames HostOwnership
	// Backends holds the facts of each backend of the spec, and of a canary of the user's own, by its name.
	Backends map[string]BackendFacts
	// Slots are the facts of the Services of both slots of the first backend, if it has any.
	Slots map[v1alpha1.Slot]SlotFacts
	// Canary is the canary Service of the user's own; its facts are in Backends under the canary's name.
	// Nil: there is none.
	Canary *v1alpha1.ServiceBackend
	// Watched are the namespaces that Headgate looks into; empty: all. In others nothing is known to be there.
	Watched []string
	// Grants are the ReferenceGrants of all other namespaces that the spec refers to.
	Grants []gwapiv1.ReferenceGrant
	// LiveRoute is the live route. Where an override of the route cannot be merged, the fields that it is for stay
	// as they are there. Nil: there is none.
	LiveRoute *gwapiv1.GRPCRoute
	// LiveWeights are the weights of the live route, by the backends' names, and PlaceGreen; nil: there is no route. The name of
	// a first backend with slots is that of its slot Blue.
	LiveWeights map[string]int32
	// RouteAccepted: the Gateway's controller has accepted the live route as it is now.
	RouteAccepted bool
	// LiveStandby are the backends whose endpoints the live fallback has, the one that it was made for first; empty: there is none.
	LiveStandby []string
	// LiveHosts are where the fqdn backends are according to the live Backends, by the backends' names. It
	// is what a host that is not resolved leaves as it is.
	LiveHosts map[string]LiveHost
	// ProxyFamilies are the IP families of the Gateway's proxies, as far as they are known. Those of the
	// Services that the backends name, and of Headgate's own, count as well.
	ProxyFamilies []corev1.IPFamily
	// LiveHealthCheck is the service name of the active health check that the live
	// BackendTrafficPolicy asks for; nil: it asks for none, or does not exist. It is what
	// unknown probes leave as it is.
	LiveHealthCheck *string
}

// Capability says whether an API of Envoy Gateway can be used.
type Capability string

const (
	// CapabilityUnknown: Envoy Gateway has not said yet.
	CapabilityUnknown Capability = ""
	// CapabilityOn: Envoy Gateway has accepted an object of this API.
	CapabilityOn Capability = "On"
	// CapabilityOff: Envoy Gateway has refused an object because this API is off.
	CapabilityOff Capability = "Off"
	// CapabilityMissing: the cluster does not have the kind.
	CapabilityMissing Capability = "Missing"
)

// Capabilities says what Envoy Gateway can do here, as its own verdicts on the objects that were
// made for this ExposedService tell. Both are made in every shape, so that there is always a
// verdict to read.
type Capabilities struct {
	// Backend is about the kind Backend, which carries the fallback.
	Backend Capability
	// EnvoyPatchPolicy is about the kind EnvoyPatchPolicy, which carries the overprovisioning factor.
	EnvoyPatchPolicy Capability
	// MergedUnseen: Envoy Gateway says of the EnvoyPatchPolicy that it merges the Gateways of the class, although
	// no EnvoyProxy of the class says so: its own configuration does.
	MergedUnseen bool
	// LastMode is the mode that the status last reported; it stands while a capability is unknown.
	LastMode v1alpha1.FailoverMode
}

// BackendFacts are the facts of one backend.
type BackendFacts struct {
	// Service is the Service that the spec names. Nil: it does not exist.
	Service *corev1.Service
	// Import is the ServiceImport that the spec names. Nil: it does not exist.
	Import *Import
	// Slices are all EndpointSlices of that Service or ServiceImport.
	Slices []discoveryv1.EndpointSlice
	// OwnService is the Service that Headgate made for this backend. Nil: it does not exist.
	OwnService *corev1.Service
	// OwnServiceIsNew: OwnService was made so recently that its ClusterIP may not work on every node.
	OwnServiceIsNew bool
	// OwnSlices are all EndpointSlices of OwnService, those that Headgate wrote itself among them.
	OwnSlices []discoveryv1.EndpointSlice
	// Probe is the gRPC readiness probe that the pods of the backend declare.
	Probe Probe
	// Addresses are the IP addresses that the host name of an fqdn backend resolves to. Empty: it is not
	// known, and never was to whoever asks.
	Addresses []string
	// Unresolved: that was asked for, and there is no answer with an address.
	Unresolved bool
	// Refused says why the host, or addresses that it resolves to, must not be called from here: they are the cluster's own.
	// Empty: nothing stands against them. None of these are in Addresses.
	Refused string
}

// SlotFacts are the facts of the Service of a slot.
type SlotFacts struct {
	// Service is it. Nil: it does not exist.
	Service *corev1.Service
	// IsNew: it was made so recently that its ClusterIP may not work on every node.
	IsNew bool
	// Slices are all of its EndpointSlices, those that Headgate wrote itself among them.
	Slices []discoveryv1.EndpointSlice
	// Probe is the gRPC readiness probe that its pods declare. It is known only of a slot whose version has a pod-template-hash.
	Probe Probe
}

// Import is what matters of a ServiceImport.
type Import struct {
	Ports []corev1.ServicePort
}

// ProbeState says what is known of the probes of a backend's pods.
type ProbeState string

const (
	// ProbeUnknown: there are no pods to ask.
	ProbeUnknown ProbeState = ""
	// ProbeNone: a pod has no gRPC readiness probe on the backend's port.
	ProbeNone ProbeState = "None"
	// ProbeGRPC: every pod has one, all for the same service name.
	ProbeGRPC ProbeState = "GRPC"
)

// Probe is the gRPC readiness probe that the pods of a backend declare.
type Probe struct {
	State ProbeState
	// Service is the service name that the probe asks for.
	Service string
}

// Problem is something that a user has to act on. Its reason becomes that of a condition.
type Problem struct {
	Reason  v1alpha1.Reason
	Message string
	// For is the type of the condition that it belongs to. Empty is Accepted: the spec cannot be served as it is.
	// ResolvedRefs: something that it names is not there. With any other, Accepted says it, but all that it stops
	// is what that condition is about: Progressing a rollout, XDSAccepted what is served over xDS,
	// SignalsAvailable the counting of calls.
	For string
	// Backend is the name of the backend that it is about; empty: none.
	Backend string
}

// Expansion is what an ExposedService becomes. It is never changed by whoever gets it: With, Keep and Without
// return others.
type Expansion struct {
	// Objects are to be applied, in this order: first what keeps live traffic right (Services and endpoints, the
	// fallback, and a route that is there), then everything else. They carry their kind, name, labels and no
	// status. One that fails stops no other: Without says which cannot do without it.
	Objects []Object
	// Kept names objects that must be left as they are, neither applied nor removed, because a
	// fact that they depend on is missing, or because they were refused. Objects of ours that are in neither
	// list are to be removed.
	Kept []Ref
	// Blocked: the expansion stands on too little to make or remove anything. Its objects are those that a live route
	// stands on, and the route itself: they are kept current. That is so while the kinds of Gateway API, the
	// GatewayClass, the Gateway of spec.gateway.parentRef, or spec.gateway itself are missing, and for nothing else.
	Blocked bool
	// Problems are what a user has to act on. An expansion with problems may still have objects.
	Problems []Problem
	// Ignored says which fields of the spec the data plane cannot do.
	Ignored []string
	// Unfinished: the weights are on their way, and the next step is to follow as soon as this one
	// is applied.
	Unfinished bool
	// Failover is the mode that was chosen, and the fallback.
	Failover v1alpha1.FailoverStatus
	// FailoverReason and FailoverMessage say why, and what to enable for more.
	FailoverReason  v1alpha1.Reason
	FailoverMessage string
	// Backends is the status of the backends, in the order of the spec.
	Backends []v1alpha1.BackendStatus
	// Gateway names the Gateway that carries the route.
	Gateway Ref

	// exists are those of the objects that are known to be there.
	exists map[Ref]bool
	// spare is the name of the Service of the slot that is not the stable version's.
	spare string
}

// Ref names an object.
type Ref struct {
	Group, Kind, Namespace, Name string
}
