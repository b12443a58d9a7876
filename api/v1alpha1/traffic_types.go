package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Traffic says how calls are timed out, retried, limited, balanced and health-checked.
//
// The fields take effect with Envoy Gateway, as a BackendTrafficPolicy, and with xds; other
// implementations of Gateway API have no standard way to say them, and the Accepted condition says so
// when they are set. gRPC clients without a proxy do what they know of it: the request timeout,
// retries of calls that may run twice, the bound of parallel requests, and the load balancer. What is left out has the default that was measured to lose no call when backends die,
// drain, scale and change.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requestTimeout) || !self.requestTimeout.matches('[1-9]') || !has(self.retry) || !has(self.retry.perTryTimeout) || duration(self.retry.perTryTimeout) < duration(self.requestTimeout)",message="retry.perTryTimeout must be shorter than requestTimeout, which bounds all attempts of a call together: lower perTryTimeout, or raise requestTimeout"
type Traffic struct {
	// RequestTimeout bounds a whole call, retries included; 0s means no bound. The default is 0s,
	// because any other value ends long-lived streams, and because gRPC clients send deadlines of
	// their own.
	// +optional
	RequestTimeout *Duration `json:"requestTimeout,omitempty"`

	// ConnectTimeout bounds how long Envoy waits for a TCP connection to an endpoint. The default
	// is 250ms: enough within a region, and short enough that a vanished host costs one retry.
	// Raise it for backends that are far away.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('[1-9]')",message="must be longer than 0s, which Envoy refuses: leave it out for the default of 250ms"
	ConnectTimeout *Duration `json:"connectTimeout,omitempty"`

	// Retry says which failed attempts are made again, on another endpoint.
	// +optional
	Retry *Retry `json:"retry,omitempty"`

	// CircuitBreaker bounds connections and calls in flight for each proxy.
	// +optional
	CircuitBreaker *CircuitBreaker `json:"circuitBreaker,omitempty"`

	// OutlierDetection ejects endpoints that answer with errors (passive health checking). It is
	// off unless set: it cannot see gRPC errors that arrive in trailers, and a fault that strikes
	// every backend at once makes it eject the backup with the primary.
	// +optional
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`

	// HealthCheck is about active gRPC health checks by the proxies.
	// +optional
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`

	// LoadBalancer chooses among the endpoints of a backend. The default is LeastRequest.
	// +optional
	LoadBalancer *LoadBalancer `json:"loadBalancer,omitempty"`
}

// RetryTrigger is a kind of failed attempt that can be made again. The names are Envoy's.
//
// +kubebuilder:validation:Enum=connect-failure;refused-stream;reset-before-request;reset;unavailable;cancelled;deadline-exceeded;internal;resource-exhausted
type RetryTrigger string

// Retry says which failed attempts are made again.
//
// +kubebuilder:validation:XValidation:rule="(has(self.idempotent) && self.idempotent) || !has(self.perTryTimeout)",message="perTryTimeout needs idempotent: true, because the silent attempt and the next one may both run: set idempotent if calls may run twice, or remove perTryTimeout"
// +kubebuilder:validation:XValidation:rule="(has(self.idempotent) && self.idempotent) || !has(self.retryOn) || self.retryOn.all(t, t in ['connect-failure', 'refused-stream', 'reset-before-request'])",message="retryOn may hold only connect-failure, refused-stream and reset-before-request unless idempotent is true, because the other attempts may have run: set idempotent if calls may run twice"
type Retry struct {
	// Attempts is how often a call may be tried again; 0 turns retries off. The default is 5: fewer
	// lost up to 2,281 of 7,000 calls in the crash of all endpoints of a backend, because each
	// retry may meet another endpoint that has just died.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	Attempts *int32 `json:"attempts,omitempty"`

	// Idempotent says that a call may run twice. Then attempts that were cut off by a reset are made
	// again, and one that stays silent gets a second one beside it: with it, a crash or a freeze of
	// every endpoint loses no call; without it (the default), the calls that were in flight on a
	// dead endpoint fail, and no call ever runs twice because of a retry.
	// +optional
	Idempotent *bool `json:"idempotent,omitempty"`

	// RetryOn are the kinds of failed attempts that are made again. The default is connect-failure,
	// refused-stream and reset-before-request, none of which has run; with idempotent it is
	// connect-failure, refused-stream, reset and cancelled. With unavailable, a server that answers
	// UNAVAILABLE because it has too much to do gets every such call up to attempts times more.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=9
	RetryOn []RetryTrigger `json:"retryOn,omitempty"`

	// PerTryTimeout is how long one attempt may stay silent before the next is made beside it; the
	// first that answers wins (hedging). It needs idempotent. It should be longer than most calls
	// take, because a shorter one adds a call for each that takes longer. 0s: none is made. Without
	// the field Headgate chooses it by how long calls take: status.hedging has it.
	//
	// Where attempts cannot be made beside each other, which the condition PriorityFailover says,
	// the silent attempt is given up instead.
	// +optional
	PerTryTimeout *Duration `json:"perTryTimeout,omitempty"`
}

// CircuitBreaker bounds connections and calls in flight. Each bound holds for one proxy and for
// all endpoints of all backends together; what exceeds it fails at once with UNAVAILABLE.
type CircuitBreaker struct {
	// MaxConnections bounds TCP connections. The default is 1024.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// MaxPendingRequests bounds calls that wait for a connection. The default is 10000; a small
	// value rejects calls in the moment of a failover, when every call waits.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxPendingRequests *int32 `json:"maxPendingRequests,omitempty"`

	// MaxParallelRequests bounds calls in flight, streams included. The default is 10000.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxParallelRequests *int32 `json:"maxParallelRequests,omitempty"`

	// MaxRequestsPerConnection closes a connection after so many calls; without it connections
	// are kept. A small value spreads load onto new endpoints sooner and costs a handshake each.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxRequestsPerConnection *int32 `json:"maxRequestsPerConnection,omitempty"`

	// RetryBudget bounds retries in flight.
	// +optional
	RetryBudget *RetryBudget `json:"retryBudget,omitempty"`
}

// RetryBudget bounds retries in flight to a share of the calls in flight.
type RetryBudget struct {
	// Percent is the share. The default is 100: when a backend dies, every call in flight is
	// retried once at the same moment. A budget of three retries lost up to 2,683 of 7,000 calls
	// in such a crash.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *int32 `json:"percent,omitempty"`

	// MinConcurrency is the number of retries that is always allowed. The default is 1000.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MinConcurrency *int32 `json:"minConcurrency,omitempty"`
}

// OutlierDetection ejects endpoints that answer with errors.
type OutlierDetection struct {
	// ConsecutiveErrors is the number of failed calls in a row (HTTP 5xx, or a gRPC status in the
	// headers that maps to it) after which an endpoint is ejected. The default is 5.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	ConsecutiveErrors *int32 `json:"consecutiveErrors,omitempty"`

	// Interval is the time between two looks. The default is 3s.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('[1-9]')",message="must be longer than 0s, which Envoy refuses: leave it out for the default of 3s"
	Interval *Duration `json:"interval,omitempty"`

	// BaseEjectionTime is how long the first ejection of an endpoint lasts; each further one lasts
	// longer. The default is 30s.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('[1-9]')",message="must be longer than 0s, which Envoy refuses: leave it out for the default of 30s"
	BaseEjectionTime *Duration `json:"baseEjectionTime,omitempty"`

	// MaxEjectionPercent bounds the share of endpoints, of all backends together, that may be
	// ejected at once. The default is 10 behind a Gateway, where it ejects nothing of fewer than ten
	// endpoints, and 100 with xds. With 100, a fault that strikes every endpoint leaves none.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MaxEjectionPercent *int32 `json:"maxEjectionPercent,omitempty"`
}

// HealthCheckMode says whether the proxies check endpoints actively.
//
// +kubebuilder:validation:Enum=Auto;Always;Never
type HealthCheckMode string

const (
	// HealthCheckAuto checks where the pods of every backend declare a gRPC readiness probe on the
	// backend's port, and for the same service name.
	HealthCheckAuto HealthCheckMode = "Auto"
	// HealthCheckAlways checks always.
	HealthCheckAlways HealthCheckMode = "Always"
	// HealthCheckNever never checks.
	HealthCheckNever HealthCheckMode = "Never"
)

// HealthCheck is about active gRPC health checks (grpc.health.v1) by the proxies.
//
// +kubebuilder:validation:XValidation:rule="!has(self.service) || (has(self.mode) && self.mode == 'Always')",message="service needs mode: Always, because with Auto the name comes from the pods' gRPC probes: set mode to Always, or remove service"
type HealthCheck struct {
	// Mode says whether endpoints are checked. The default, Auto, checks where the pods of every
	// backend declare a gRPC readiness probe on the backend's port and for the same service name,
	// because a check that a backend cannot answer would call all of it dead; with xds, the backends
	// that can answer are checked and the others are not. With checks, an
	// endpoint that freezes is left after about half a second; without, each call to it waits
	// for its own timeout.
	// +optional
	Mode *HealthCheckMode `json:"mode,omitempty"`

	// Service is the name that is asked for in each check. Every backend must answer it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Service *string `json:"service,omitempty"`

	// Interval is the time between two checks of one endpoint by one proxy. The default is 250ms, and with
	// more than ten proxies longer, so that they check an endpoint no more than forty times a second;
	// status.checkInterval says so then.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('[1-9]')",message="must be longer than 0s, which Envoy refuses: leave it out for the default of 250ms"
	Interval *Duration `json:"interval,omitempty"`

	// Timeout is how long an answer may take. The default is 350ms, so that two failed checks are
	// no pause of half a second.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('[1-9]')",message="must be longer than 0s, which Envoy refuses: leave it out for the default of 350ms"
	Timeout *Duration `json:"timeout,omitempty"`

	// UnhealthyThreshold is the number of failed checks in a row that take an endpoint out. The
	// default is 2.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	UnhealthyThreshold *int32 `json:"unhealthyThreshold,omitempty"`

	// HealthyThreshold is the number of good checks in a row that bring it back. The default is 1.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	HealthyThreshold *int32 `json:"healthyThreshold,omitempty"`
}

// LoadBalancerType names a way to choose among endpoints.
//
// +kubebuilder:validation:Enum=LeastRequest;RoundRobin;Random;ConsistentHash
type LoadBalancerType string

const (
	// LeastRequest takes the less busy of two random endpoints.
	LeastRequest LoadBalancerType = "LeastRequest"
	// RoundRobin takes one endpoint after the other.
	RoundRobin LoadBalancerType = "RoundRobin"
	// Random takes any endpoint.
	Random LoadBalancerType = "Random"
	// ConsistentHash sends calls with the same key to the same endpoint.
	ConsistentHash LoadBalancerType = "ConsistentHash"
)

// LoadBalancer chooses among the endpoints of a backend.
//
// +kubebuilder:validation:XValidation:rule="!has(self.hashHeader) || self.type == 'ConsistentHash'",message="hashHeader needs type: ConsistentHash"
// +kubebuilder:validation:XValidation:rule="!has(self.slowStart) || self.type in ['LeastRequest', 'RoundRobin']",message="slowStart needs type LeastRequest or RoundRobin"
type LoadBalancer struct {
	// Type is LeastRequest, RoundRobin, Random or ConsistentHash.
	//
	// +optional
	// +kubebuilder:default=LeastRequest
	Type LoadBalancerType `json:"type,omitempty"`

	// HashHeader is the header whose value is the key of ConsistentHash; without it the key is the
	// client's address.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	HashHeader *string `json:"hashHeader,omitempty"`

	// SlowStart is the time over which a new endpoint's share of calls grows to its full size.
	// +optional
	SlowStart *Duration `json:"slowStart,omitempty"`
}

// HedgingStatus says when a call that may run twice and has no answer is tried a second time. The first attempt goes on, and the
// first answer counts.
type HedgingStatus struct {
	// Delay is how long an attempt may stay silent before another one is made beside it: at least three times as long as calls took
	// on average. Without it none is made, because calls take too long.
	// +optional
	Delay *metav1.Duration `json:"delay,omitempty"`

	// Latency is how long calls took on average when that was decided.
	// +required
	Latency metav1.Duration `json:"latency"`

	// Time is when it was decided.
	// +required
	Time metav1.MicroTime `json:"time"`
}
