package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Gateway is the data plane of a Gateway API implementation.
//
// +kubebuilder:validation:XValidation:rule="has(self.className) || has(self.parentRef)",message="one of className and parentRef is required: className to own a Gateway of that GatewayClass, parentRef to attach to a Gateway that exists"
// +kubebuilder:validation:XValidation:rule="!(has(self.className) && has(self.parentRef))",message="className and parentRef must not both be set: keep className to own a Gateway, or parentRef to attach to one that exists"
// +kubebuilder:validation:XValidation:rule="!has(self.parentRef) || !has(self.listener)",message="listener must not be set with parentRef: the listeners of that Gateway are its owner's; choose one with parentRef.sectionName"
// +kubebuilder:validation:XValidation:rule="!has(self.parentRef) || !has(self.visibility)",message="visibility must not be set with parentRef: it is decided by the owner of that Gateway"
// +kubebuilder:validation:XValidation:rule="!has(self.parentRef) || !has(self.proxy)",message="proxy must not be set with parentRef: the proxies of that Gateway are its owner's"
type Gateway struct {
	// ClassName is the GatewayClass of a Gateway that Headgate makes and owns. The Gateway has
	// the name and namespace of the ExposedService.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClassName *string `json:"className,omitempty"`

	// ParentRef is a Gateway that exists, to which the route is attached.
	// +optional
	ParentRef *ParentRef `json:"parentRef,omitempty"`

	// Listener is the listener of an owned Gateway. Without it, the Gateway listens for gRPC over
	// plaintext HTTP/2 on port 80.
	// +optional
	Listener *Listener `json:"listener,omitempty"`

	// Visibility says from where an owned Gateway can be reached: Public asks for an address
	// outside the cluster (a Service of type LoadBalancer), Internal for one inside (ClusterIP).
	// Without it the platform's own EnvoyProxy decides, and where there is none, the Gateway is
	// public. It takes effect with Envoy Gateway.
	//
	// +optional
	Visibility *Visibility `json:"visibility,omitempty"`

	// Proxy is about the Envoy proxies of an owned Gateway. It takes effect with Envoy Gateway.
	// +optional
	Proxy *Proxy `json:"proxy,omitempty"`
}

// ParentRef names a Gateway, and optionally one of its listeners.
//
// When the Gateway is in another namespace, its owner decides in two places: the listener's
// allowedRoutes must admit this namespace, and a ReferenceGrant in the Gateway's namespace, from
// ExposedService (group headgate.dev) in this namespace to EnvoyPatchPolicy (group
// gateway.envoyproxy.io), lets Headgate put its EnvoyPatchPolicy there. Without that grant the
// service works, and the PriorityFailover condition says what is lost.
type ParentRef struct {
	// Name is the Gateway's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Namespace is the Gateway's namespace; the default is that of the ExposedService.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace *string `json:"namespace,omitempty"`

	// SectionName is the name of one listener; without it the route attaches to every listener
	// that admits it.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SectionName *string `json:"sectionName,omitempty"`
}

// Listener is the listener of an owned Gateway.
type Listener struct {
	// Port is where clients connect. The default is 443 with TLS and 80 without.
	// +optional
	Port *PortNumber `json:"port,omitempty"`

	// TLS terminates TLS at the Gateway.
	// +optional
	TLS *ListenerTLS `json:"tls,omitempty"`
}

// ListenerTLS terminates TLS at the Gateway.
type ListenerTLS struct {
	// CertificateRefs are Secrets of type kubernetes.io/tls. Headgate never reads them; the
	// Gateway's controller does. A Secret in another namespace needs a ReferenceGrant there, from
	// Gateway in this namespace to Secret.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	CertificateRefs []CertificateRef `json:"certificateRefs"`
}

// CertificateRef names a Secret of type kubernetes.io/tls.
type CertificateRef struct {
	// Name is the Secret's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Namespace is the Secret's namespace; the default is that of the ExposedService.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace *string `json:"namespace,omitempty"`
}

// Visibility says from where a Gateway can be reached.
//
// +kubebuilder:validation:Enum=Public;Internal
type Visibility string

const (
	// VisibilityPublic asks for an address outside the cluster.
	VisibilityPublic Visibility = "Public"
	// VisibilityInternal asks for an address inside the cluster only.
	VisibilityInternal Visibility = "Internal"
)

// Proxy is about the Envoy proxies of an owned Gateway. What is not set here comes from the
// platform's own EnvoyProxy, with which this is merged.
type Proxy struct {
	// Replicas is the number of proxies. Two or more survive the loss of a node.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`

	// Resources are the requests and limits of the Envoy container.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// PodDisruptionBudget keeps voluntary evictions from taking too many proxies at once.
	// +optional
	PodDisruptionBudget *PodDisruptionBudget `json:"podDisruptionBudget,omitempty"`
}

// PodDisruptionBudget keeps voluntary evictions from taking too many pods at once.
//
// +kubebuilder:validation:XValidation:rule="has(self.minAvailable) != has(self.maxUnavailable)",message="exactly one of minAvailable and maxUnavailable must be set"
type PodDisruptionBudget struct {
	// MinAvailable is the number, or percentage, of proxies that must stay.
	// +optional
	// +kubebuilder:validation:XIntOrString
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`

	// MaxUnavailable is the number, or percentage, of proxies that may be evicted at once.
	// +optional
	// +kubebuilder:validation:XIntOrString
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}
