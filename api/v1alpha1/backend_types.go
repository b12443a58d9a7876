package v1alpha1

// Backend is one set of endpoints that can serve the calls.
//
// +kubebuilder:validation:XValidation:rule="[has(self.service), has(self.serviceImport), has(self.fqdn)].filter(x, x).size() == 1",message="exactly one of service, serviceImport and fqdn must be set: service for a Kubernetes Service, serviceImport for one of other clusters, fqdn for a host outside"
type Backend struct {
	// Name is how status, events and metrics call this backend, such as primary or backup.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must hold only lower-case letters, digits and '-', and start and end with a letter or digit"
	Name string `json:"name"`

	// Service is a Kubernetes Service.
	// +optional
	Service *ServiceBackend `json:"service,omitempty"`

	// ServiceImport is a Service of other clusters, by the Multi-Cluster Services API.
	// +optional
	ServiceImport *ServiceImportBackend `json:"serviceImport,omitempty"`

	// FQDN is a host outside the cluster that speaks gRPC over plaintext HTTP/2.
	// +optional
	FQDN *FQDNBackend `json:"fqdn,omitempty"`
}

// ServiceBackend names a port of a Kubernetes Service.
//
// Headgate never sends traffic through the Service itself where it can do better: for a Service
// with a selector it makes a Service of its own with the same selector, for one without a selector
// (or in another namespace) it mirrors the EndpointSlices. Services of type ExternalName are not
// taken: use fqdn.
type ServiceBackend struct {
	// Name is the Service's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Namespace is the Service's namespace; the default is that of the ExposedService. Another
	// namespace needs a ReferenceGrant there, from ExposedService (group headgate.dev) in this
	// namespace to Service; where traffic goes by weights only (see the PriorityFailover
	// condition), from GRPCRoute (group gateway.networking.k8s.io) as well.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace *string `json:"namespace,omitempty"`

	// Port is the Service's port (not the port of its pods).
	// +required
	Port PortNumber `json:"port"`
}

// ServiceImportBackend names a port of a ServiceImport (multicluster.x-k8s.io) in the same namespace.
// Its EndpointSlices are mirrored; while Headgate is down, changes of them are not followed.
type ServiceImportBackend struct {
	// Name is the ServiceImport's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// Port is the ServiceImport's port.
	// +required
	Port PortNumber `json:"port"`
}

// FQDNBackend is a host outside the cluster.
type FQDNBackend struct {
	// Hostname is the host's DNS name. It must not be a name of the cluster itself, nor resolve to an address of its Pods, Services or
	// nodes, unless the cluster's owners allow that.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('*') && self.contains('.')",message="must be the full DNS name of one host, such as greeter.eu.example.com"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-9]+([.][0-9]+){3}$')",message="must be a DNS name, not an IP address: for addresses make a Service without a selector and an EndpointSlice"
	Hostname Hostname `json:"hostname"`

	// Port is the port of the host.
	// +required
	Port PortNumber `json:"port"`
}
