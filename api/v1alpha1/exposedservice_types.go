package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// KindExposedService is the kind of ExposedService.
const KindExposedService = "ExposedService"

// ExposedService puts one gRPC service on the edge of a cluster: it says under which
// host names and through which Gateway clients reach it, which backends serve it in
// order of preference, and how calls are retried, limited and checked. Headgate makes
// and keeps the Gateway API and Envoy Gateway objects that this takes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:shortName=exs,categories={all,headgate}
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.active`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.addresses[0].value`
// +kubebuilder:printcolumn:name="Failover",type=string,JSONPath=`.status.failover.mode`
// +kubebuilder:printcolumn:name="Rollout",type=string,JSONPath=`.status.rollout.progress`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Host",type=string,priority=1,JSONPath=`.spec.hostnames[0]`
// +kubebuilder:printcolumn:name="Backends",type=string,priority=1,JSONPath=`.status.endpoints`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40",message="metadata.name must be at most 40 characters, because the names of the objects that Headgate makes are built from it: choose a shorter name"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must start with a lower-case letter and hold only lower-case letters, digits and '-', because Services and Envoy's statistics are named after it: choose a name without dots"
type ExposedService struct {
	metav1.TypeMeta `json:",inline"`
	// Metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec is what is asked for.
	// +required
	Spec ExposedServiceSpec `json:"spec"`

	// Status is what Headgate observed and did.
	// +optional
	Status ExposedServiceStatus `json:"status,omitzero"`
}

// ExposedServiceList is a list of ExposedServices.
//
// +kubebuilder:object:root=true
type ExposedServiceList struct {
	metav1.TypeMeta `json:",inline"`
	// Metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`

	// Items are the ExposedServices.
	Items []ExposedService `json:"items"`
}

// ExposedServiceSpec is what is asked for.
//
// +kubebuilder:validation:XValidation:rule="has(self.gateway) || has(self.xds)",message="gateway or xds is required: name a GatewayClass in gateway.className or a Gateway that exists in gateway.parentRef, or set xds to serve Envoys of your own and gRPC clients"
// +kubebuilder:validation:XValidation:rule="!has(self.rules) || self.rules.map(r, r.matches.size()).sum() <= 64",message="rules must hold at most 64 matches in all, the most that one GRPCRoute rule can carry: split the service into several ExposedServices"
// +kubebuilder:validation:XValidation:rule="!has(self.failover) || !has(self.failover.pin) || self.failover.pin.size() == 0 || self.backends.exists(b, b.name == self.failover.pin)",message="failover.pin must be the name of one of spec.backends, or empty"
// +kubebuilder:validation:XValidation:rule="!has(self.failover) || !has(self.failover.errors) || !has(self.failover.errors.source) || self.failover.errors.source != 'LoadReports' || has(self.xds)",message="failover.errors.source LoadReports counts what clients of xds report: set xds, or choose Envoy or Prometheus"
// +kubebuilder:validation:XValidation:rule="!has(self.rollout) || has(self.backends[0].service)",message="rollout ships new versions of the first backend, which must be a service: put the Service of the workload first in backends, or remove rollout"
// +kubebuilder:validation:XValidation:rule="!has(self.rollout) || !has(self.rollout.workloadRef) || !has(self.backends[0].service) || !has(self.backends[0].service.namespace)",message="rollout.workloadRef needs the first backend's Service in the same namespace: remove backends[0].service.namespace"
// +kubebuilder:validation:XValidation:rule="!has(self.rollout) || self.backends.all(b, b.name != 'canary')",message="backends must not be called canary with rollout, because the canary is: choose another name"
// +kubebuilder:validation:XValidation:rule="!has(self.rollout) || !has(self.rollout.canary) || !self.backends.exists(b, has(b.service) && b.service.name == self.rollout.canary.service.name && b.service.port == self.rollout.canary.service.port && has(b.service.__namespace__) == has(self.rollout.canary.service.__namespace__) && (!has(b.service.__namespace__) || b.service.__namespace__ == self.rollout.canary.service.__namespace__))",message="rollout.canary.service must differ from the Service of every backend, because its share of the calls is its own: name the Service in front of the new version"
// +kubebuilder:validation:XValidation:rule="has(self.gateway) || !has(self.failover) || !has(self.failover.errors) || !has(self.failover.errors.source) || self.failover.errors.source != 'Envoy'",message="failover.errors.source Envoy reads the statistics of the Gateway's proxies: set gateway, or choose LoadReports or Prometheus"
// +kubebuilder:validation:XValidation:rule="has(self.gateway) || !has(self.rollout) || !has(self.rollout.analysis) || !has(self.rollout.analysis.source) || self.rollout.analysis.source != 'Envoy'",message="rollout.analysis.source Envoy reads the statistics of the Gateway's proxies: set gateway, or choose LoadReports, Prometheus or Workload"
// +kubebuilder:validation:XValidation:rule="has(self.xds) || !has(self.rollout) || !has(self.rollout.analysis) || !has(self.rollout.analysis.source) || self.rollout.analysis.source != 'LoadReports'",message="rollout.analysis.source LoadReports counts what clients of xds report: set xds, or choose Envoy, Prometheus or Workload"
type ExposedServiceSpec struct {
	// Hostnames are the host names (the :authority of a call) that clients use. A leading
	// "*." matches any one or more labels. Without host names, calls for every host that
	// the Gateway's listener admits are taken.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(h, !h.matches('^[0-9]+([.][0-9]+){3}$') && !h.contains(':'))",message="hostnames must be DNS names, not IP addresses or host:port: leave hostnames out to take calls for every host"
	Hostnames []Hostname `json:"hostnames,omitempty"`

	// Rules say which calls of the service are exposed. A call is taken when any match of any
	// rule takes it. Without rules, every call is.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Rules []Rule `json:"rules,omitempty"`

	// Gateway is the data plane: a Gateway API implementation. Headgate either owns a Gateway
	// of the named class, or attaches to one that exists.
	//
	// +optional
	Gateway *Gateway `json:"gateway,omitempty"`

	// XDS is the data plane that Headgate itself configures over xDS: Envoys that somebody else runs,
	// and gRPC clients without a proxy. It can stand beside gateway or alone.
	//
	// +optional
	XDS *XDS `json:"xds,omitempty"`

	// Backends serve the calls, in order of preference: the first one serves while it has
	// ready endpoints, the next one stands by.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.filter(b, (has(a.service) && has(b.service) && a.service == b.service) || (has(a.serviceImport) && has(b.serviceImport) && a.serviceImport == b.serviceImport) || (has(a.fqdn) && has(b.fqdn) && a.fqdn == b.fqdn)).size() < 2)",message="backends must be different from each other: two of them name the same Service, ServiceImport or host with the same port; remove one"
	Backends []Backend `json:"backends"`

	// Failover says when a backend counts as down, and how traffic comes back to it.
	// +optional
	Failover *Failover `json:"failover,omitempty"`

	// Rollout says how a new version of the first backend is shipped.
	// +optional
	Rollout *Rollout `json:"rollout,omitempty"`

	// Traffic says how calls are timed out, retried, limited, balanced and health-checked on
	// their way to the backends. Every field has a default that suits production.
	//
	// +optional
	Traffic *Traffic `json:"traffic,omitempty"`

	// Overrides are an escape hatch: each is merged into the generated object of its kind
	// before that is applied. They cannot change names, owners, or where traffic goes.
	//
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +kubebuilder:validation:MaxItems=8
	Overrides []Override `json:"overrides,omitempty"`
}

// Hostname is a DNS name, optionally with a leading "*." label.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be a lower-case DNS name such as greeter.example.com or *.example.com, without scheme, port or path"
type Hostname string

// Duration is a GEP-2257 duration: up to four numbers, each with a unit of h, m, s or ms.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')",message="must be a duration such as 250ms, 30s or 1m30s"
type Duration string

// PortNumber is a TCP port.
//
// +kubebuilder:validation:Minimum=1
// +kubebuilder:validation:Maximum=65535
type PortNumber int32

// ExposedServiceStatus is what Headgate observed and did.
type ExposedServiceStatus struct {
	// ObservedGeneration is the metadata.generation that this status was made from.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions are Ready, Accepted, Exposed, PriorityFailover, BackendsHealthy, FailedOver, with
	// spec.xds XDSAccepted, with spec.failover.errors SignalsAvailable, with spec.rollout Progressing, and, while they hold,
	// Reconciling and Stalled (kstatus).
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Addresses are where the Gateway can be reached, as the Gateway itself reports them.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Addresses []gwapiv1.GatewayStatusAddress `json:"addresses,omitempty"`

	// Backends are the backends of the spec, in its order, with what was observed of each.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Backends []BackendStatus `json:"backends,omitempty"`

	// Active is the backend that serves: the one with the most weight.
	// +optional
	Active string `json:"active,omitempty"`

	// Traffic is the decision that every data plane follows.
	//
	// +optional
	// +structType=atomic
	Traffic *TrafficStatus `json:"traffic,omitempty"`

	// History are the last 20 decisions, the newest last.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	History []Decision `json:"history,omitempty"`

	// Hedging says when a call that may run twice and has no answer is tried a second time. It is decided where
	// spec.traffic.retry.idempotent is true and perTryTimeout is not set.
	// +optional
	Hedging *HedgingStatus `json:"hedging,omitempty"`

	// CheckInterval is the time between two health checks of one endpoint by one proxy, where it is not the default of 250ms because
	// there are many proxies, and spec.traffic.healthCheck.interval does not say it.
	// +optional
	CheckInterval *metav1.Duration `json:"checkInterval,omitempty"`

	// Endpoints sums up the backends for people, as "primary 2/2, backup 1/1": ready endpoints of all.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Endpoints string `json:"endpoints,omitempty"`

	// Failover says who leaves a backend that is down, and which backend stands by.
	// +optional
	Failover *FailoverStatus `json:"failover,omitempty"`

	// Rollout is where the rollout is. It is there only with spec.rollout.
	//
	// +optional
	// +structType=atomic
	Rollout *RolloutStatus `json:"rollout,omitempty"`

	// XDS is how far what Headgate serves over xDS has got. It is there only with spec.xds.
	// +optional
	XDS *XDSStatus `json:"xds,omitempty"`
}

// BackendStatus is what was observed of one backend.
type BackendStatus struct {
	// Name is the backend's name.
	// +required
	Name string `json:"name"`

	// Ready is the number of endpoints that are ready to serve. It is absent where endpoints
	// cannot be counted (a backend outside the cluster).
	// +optional
	Ready *int32 `json:"ready,omitempty"`

	// Total is the number of endpoints, ready or not.
	// +optional
	Total *int32 `json:"total,omitempty"`

	// Health is whether it can serve.
	// +optional
	Health BackendHealth `json:"health,omitempty"`

	// Since is when its health last changed.
	// +optional
	Since *metav1.MicroTime `json:"since,omitempty"`

	// Reason is why its health is what it is, one word for programs.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// Message says what is wrong with the backend, if anything is.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// Host is where a host outside the cluster was when it was last resolved. It is there only with xds, for which
	// nothing else holds the addresses: a replica that starts while the host cannot be resolved goes on with them.
	// It is not changed while one of them is still among the addresses.
	//
	// +optional
	Host *BackendHost `json:"host,omitempty"`
}

// BackendHost is where a host outside the cluster is.
type BackendHost struct {
	// Hostname is the name that was resolved.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	Hostname string `json:"hostname"`

	// Addresses are the IP addresses that it resolved to.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses"`
}

// FailoverMode says who moves traffic away from a backend that is down.
//
// +kubebuilder:validation:Enum=Priorities;Weights
type FailoverMode string

const (
	// FailoverPriorities means that Envoy itself leaves a backend without ready endpoints, for the
	// next priority of the same cluster, within milliseconds and without Headgate.
	FailoverPriorities FailoverMode = "Priorities"
	// FailoverWeights means that the data plane knows nothing but weights: all calls go to the
	// first backend until the weights of the route are changed.
	FailoverWeights FailoverMode = "Weights"
)

// FailoverStatus says who leaves a backend that is down, and which backend stands by.
type FailoverStatus struct {
	// Mode is Priorities or Weights; the PriorityFailover condition says why.
	// +optional
	Mode FailoverMode `json:"mode,omitempty"`

	// Fallback is the name of the backend that Envoy turns to when no endpoint of the serving
	// backend is left.
	// +optional
	Fallback string `json:"fallback,omitempty"`

	// State is what the decider remembers from one look to the next, so that a restart changes
	// nothing. It is for Headgate only and may change between versions.
	//
	// +optional
	// +structType=atomic
	State *DeciderState `json:"state,omitempty"`
}
