package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FailoverStrategy says how traffic leaves a backend that is down.
//
// +kubebuilder:validation:Enum=Auto;Priorities;Weights
type FailoverStrategy string

const (
	// StrategyAuto uses priorities where the data plane has them, and weights elsewhere.
	StrategyAuto FailoverStrategy = "Auto"
	// StrategyPriorities asks for priorities; where there are none the Accepted condition says so.
	StrategyPriorities FailoverStrategy = "Priorities"
	// StrategyWeights asks for the portable shape, in which Headgate alone moves the weights.
	StrategyWeights FailoverStrategy = "Weights"
)

// Failover says when a backend counts as down, and how traffic comes back.
//
// +kubebuilder:validation:XValidation:rule="!has(self.errors) || !has(self.errors.source) || self.errors.source != 'Prometheus' || has(self.errors.prometheus)",message="errors.prometheus is required with errors.source: Prometheus: name the server and the queries"
type Failover struct {
	// Strategy says how traffic leaves a backend that is down. The default is Auto.
	// +optional
	Strategy *FailoverStrategy `json:"strategy,omitempty"`

	// MinReadyPercent is the share of ready endpoints below which a backend counts as down. The
	// default is 1: only when none is left.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MinReadyPercent *int32 `json:"minReadyPercent,omitempty"`

	// Errors makes failing calls count as well: a backend is also down when a sequential test says
	// that the error rate of its calls is above a bound, and that of the backend that would take
	// over is not.
	// +optional
	Errors *ErrorBound `json:"errors,omitempty"`

	// Recovery says when a backend that was down is served again, and how.
	// +optional
	Recovery *Recovery `json:"recovery,omitempty"`

	// MaxSwitchesPerHour bounds how often the serving backend changes. Only a switch away from a
	// backend without a ready endpoint may exceed it. The default is 6.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=60
	MaxSwitchesPerHour *int32 `json:"maxSwitchesPerHour,omitempty"`

	// Pin is the name of a backend that serves whatever the signals say, until pin is removed. A
	// pinned backend without a ready endpoint is still left, for calls have to go somewhere.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Pin string `json:"pin,omitempty"`
}

// ErrorSource says where the counts of calls and errors come from.
//
// +kubebuilder:validation:Enum=Envoy;Prometheus;LoadReports
type ErrorSource string

const (
	// SourceEnvoy reads the statistics of the Gateway's own proxies; no metrics server is needed.
	SourceEnvoy ErrorSource = "Envoy"
	// SourcePrometheus asks a Prometheus server.
	SourcePrometheus ErrorSource = "Prometheus"
	// SourceLoadReports counts what the Envoys and gRPC clients report that Headgate itself
	// configures (spec.xds).
	SourceLoadReports ErrorSource = "LoadReports"
)

// ErrorBound is the error rate above which a backend counts as down.
type ErrorBound struct {
	// MaxPercent is the bound, in percent of calls, as a decimal number in quotes such as "5" or
	// "0.5". The test decides from real counts with at most one false alarm in a hundred hours: one
	// error in ten calls at night switches nothing, 20 % of 100 calls a second do within seconds.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$') && double(self) > 0.0",message="must be a percentage above 0 and below 100, as a decimal number in quotes such as \"5\" or \"0.5\""
	MaxPercent string `json:"maxPercent"`

	// Source says where the counts come from. The default is Envoy, or LoadReports without
	// spec.gateway.
	// +optional
	Source *ErrorSource `json:"source,omitempty"`

	// Prometheus is the server to ask with source Prometheus.
	// +optional
	Prometheus *PrometheusSource `json:"prometheus,omitempty"`
}

// PrometheusSource is a Prometheus server, and what to ask it.
//
// +kubebuilder:validation:XValidation:rule="has(self.server) != has(self.address)",message="set either server, the name of a Prometheus server of the platform, or address, a URL of one's own"
// +kubebuilder:validation:XValidation:rule="has(self.address) || !has(self.bearerTokenSecretRef) && !has(self.caSecretRef)",message="the platform gives its servers their token and CA: remove bearerTokenSecretRef and caSecretRef, or set address in place of server"
// +kubebuilder:validation:XValidation:rule="!has(self.bearerTokenSecretRef) || !has(self.address) || self.address.startsWith('https://')",message="bearerTokenSecretRef is sent to https:// addresses only, so that nobody on the way reads it: set address to such a URL, or remove bearerTokenSecretRef"
type PrometheusSource struct {
	// Server is the name of a Prometheus server that the platform has set up for everybody (--prometheus, in
	// the chart prometheus.servers). Queries read there what has this namespace in the label that the
	// platform has chosen, whatever they ask for, and so need no matcher of their own for it.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must be the name of a server of the platform: lower-case letters, digits and hyphens"
	Server string `json:"server,omitempty"`

	// Address is the base URL of a server of one's own, such as https://prometheus.monitoring:9090, where
	// the platform allows that (--prometheus-addresses, in the chart prometheus.allowAddresses).
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.startsWith('http://') || self.startsWith('https://')",message="must be a URL that starts with http:// or https://"
	Address string `json:"address,omitempty"`

	// Calls is a query for the number of calls that a backend has answered since ever: a counter,
	// not a rate. {{.Namespace}}, {{.Name}}, {{.Backend}} and {{.Service}} are replaced by the
	// ExposedService's namespace and name, the backend's name, and its Service.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Calls string `json:"calls"`

	// Errors is a query for the number of those that failed, with the same replacements.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Errors string `json:"errors"`

	// BearerTokenSecretRef is a key of a Secret, in this namespace, that holds a bearer token for an
	// https:// address.
	// +optional
	BearerTokenSecretRef *corev1.SecretKeySelector `json:"bearerTokenSecretRef,omitempty"`

	// CASecretRef is a key of a Secret, in this namespace, that holds the certificates (PEM) that
	// the certificate at address is verified with; without it the system's are used.
	// +optional
	CASecretRef *corev1.SecretKeySelector `json:"caSecretRef,omitempty"`
}

// Recovery says when a backend that was down is served again, and how.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ramp) || self.ramp.all(x, x >= 1 && x <= 100)",message="ramp must hold percentages from 1 to 100"
// +kubebuilder:validation:XValidation:rule="!has(self.ramp) || self.ramp.all(x, self.ramp.exists_one(y, y == x)) && self.ramp.isSorted()",message="ramp must rise from step to step, such as [10, 50, 100]"
type Recovery struct {
	// HealthyFor is how long a backend must have been healthy without interruption before it is
	// served again. It doubles with each switch of the last hour, up to ten minutes. The default
	// is 30s.
	// +optional
	HealthyFor *LongDuration `json:"healthyFor,omitempty"`

	// Ramp are the shares of the calls, in percent, with which it comes back, step by step; after
	// the last it has everything. The default is [10, 50, 100].
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Ramp []int32 `json:"ramp,omitempty"`

	// RampInterval is how long each step lasts. The default is 10s.
	// +optional
	RampInterval *LongDuration `json:"rampInterval,omitempty"`
}

// LongDuration is a GEP-2257 duration of at least a second.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') && duration(self) >= duration('1s')",message="must be a duration of at least 1s, such as 30s or 1m30s"
type LongDuration string

// BackendHealth says whether a backend can serve.
//
// +kubebuilder:validation:Enum=Healthy;Down;Unknown
type BackendHealth string

const (
	// BackendHealthy can serve.
	BackendHealthy BackendHealth = "Healthy"
	// BackendDown cannot serve, or fails its calls.
	BackendDown BackendHealth = "Down"
	// BackendUnknown: nothing is known that is new enough to judge by.
	BackendUnknown BackendHealth = "Unknown"
)

// TrafficStatus is the decision that every data plane follows.
type TrafficStatus struct {
	// Revision counts the decisions.
	// +required
	Revision int64 `json:"revision"`

	// Weights are the backends' shares of the calls, in parts of 1,000,000, which they add up to. While
	// a rollout is under way, the canary is among them, after the first backend.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=9
	Weights []BackendWeight `json:"weights"`

	// Fallback is the backend that Envoy turns to when none of those with a weight is left.
	// +optional
	Fallback string `json:"fallback,omitempty"`

	// Settling is a backend that stood by and has begun to serve less than five seconds ago. Until the proxies use its endpoints
	// where they serve, they find them where they stood by, beside those of Fallback.
	// +optional
	Settling string `json:"settling,omitempty"`

	// Slot is which of the first backend's two Services of Headgate's own has the stable version, where Headgate rolls its
	// workload out. The canary is in the other one. Whoever is promoted stays where it is, so that no endpoint changes its place: it
	// is the slot that changes. The default is Blue.
	// +optional
	Slot Slot `json:"slot,omitempty"`

	// StableHash is the pod-template-hash of the stable version's pods, while there may be others: the Service of its slot
	// selects by it. Without it that Service has the selector of the user's, and so all pods.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	StableHash string `json:"stableHash,omitempty"`

	// CanaryHash is the pod-template-hash of the pods in the other slot. Without it that slot has none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	CanaryHash string `json:"canaryHash,omitempty"`

	// Reason is why it was decided, one word for programs.
	// +required
	Reason DecisionReason `json:"reason"`

	// Time is when it was decided.
	// +required
	Time metav1.MicroTime `json:"time"`
}

// Slot is one of the two places of a backend that is rolled out. They take turns.
//
// +kubebuilder:validation:Enum=Blue;Green
type Slot string

const (
	// SlotBlue is the Service <name>-<backend>-gw.
	SlotBlue Slot = "Blue"
	// SlotGreen is the Service <name>-<backend>-green.
	SlotGreen Slot = "Green"
)

// Other is the other slot. Empty is Blue.
func (s Slot) Other() Slot {
	if s == SlotGreen {
		return SlotBlue
	}
	return SlotGreen
}

// BackendWeight is a backend's share of the calls.
type BackendWeight struct {
	// Name is the backend's name.
	// +required
	Name string `json:"name"`

	// Weight is the share, in parts of 1,000,000.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight int32 `json:"weight"`
}

// DecisionReason is why a decision was taken. It is also the reason of the Event.
type DecisionReason string

const (
	// DecisionInitial: the first decision, for the first backend.
	DecisionInitial DecisionReason = "Initial"
	// DecisionSwitchedToBackup: the serving backend went down, and the next one that is up serves.
	DecisionSwitchedToBackup DecisionReason = "SwitchedToBackup"
	// DecisionTryingBackup: the serving backend fails its calls, and the next one gets a share of them
	// to see whether it does better.
	DecisionTryingBackup DecisionReason = "TryingBackup"
	// DecisionBackupNoBetter: the backend that was tried fails its calls as well; nothing is moved.
	DecisionBackupNoBetter DecisionReason = "BackupNoBetter"
	// DecisionKeptBack: the serving backend gets more calls than it can carry, and so would the backend that
	// was tried; nothing is moved.
	DecisionKeptBack DecisionReason = "KeptBack"
	// DecisionHandingBack: a preferred backend has recovered and gets the next share of its ramp.
	DecisionHandingBack DecisionReason = "HandingBack"
	// DecisionHandedBack: a preferred backend has everything again.
	DecisionHandedBack DecisionReason = "HandedBack"
	// DecisionPinned: a person has pinned a backend.
	DecisionPinned DecisionReason = "Pinned"
	// DecisionNoBackendUp: no backend is up, and the calls go where most endpoints are left.
	DecisionNoBackendUp DecisionReason = "NoBackendUp"
	// DecisionSpecChanged: the backends of the spec are not those of the last decision.
	DecisionSpecChanged DecisionReason = "SpecChanged"
	// DecisionSwitchHeld: a switch was due but maxSwitchesPerHour has been reached. The weights stay.
	DecisionSwitchHeld DecisionReason = "SwitchHeld"
	// DecisionNetChanged: the serving backend stays; which backend stands by behind it has changed.
	DecisionNetChanged DecisionReason = "NetChanged"
)

// Decision is an entry of the history.
type Decision struct {
	// Time is when it was decided.
	// +required
	Time metav1.MicroTime `json:"time"`

	// Revision is that of the decision; a decision that changed no weights has that of the one before.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// Reason is why, one word for programs.
	// +required
	Reason DecisionReason `json:"reason"`

	// Message is why, with the numbers, for people.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// From is the serving backend before.
	// +optional
	From string `json:"from,omitempty"`
	// To is the serving backend after.
	// +optional
	To string `json:"to,omitempty"`
}

// DeciderState is what the decider remembers from one look to the next. Nothing else does, so that a
// restart, a crash or another leader changes nothing.
type DeciderState struct {
	// Backends are the backends of the last look, in its order.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Backends []BackendMemory `json:"backends,omitempty"`

	// Ramp is the hand-back that is under way.
	// +optional
	Ramp *RampState `json:"ramp,omitempty"`

	// Switches are the times of the switches of the last hour, the newest last.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Switches []metav1.MicroTime `json:"switches,omitempty"`

	// Held is the backend of which it has been said that maxSwitchesPerHour does not allow a switch
	// to it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Held string `json:"held,omitempty"`

	// Pin is the pin that has been obeyed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Pin string `json:"pin,omitempty"`
}

// BackendMemory is what the decider remembers of one backend.
type BackendMemory struct {
	// Name is the backend's name.
	// +required
	Name string `json:"name"`

	// Standing is Healthy while the backend is up and Down while it is not; it is Unknown until its
	// endpoints were seen for the first time. Unlike the health in the status it outlives the times
	// in which nothing is known.
	// +required
	Standing BackendHealth `json:"standing"`

	// Cause is the reason why it went down.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Cause string `json:"cause,omitempty"`

	// Detail are the numbers of that, for people.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Detail string `json:"detail,omitempty"`

	// HealthySince is since when nothing has been wrong with a backend that is down.
	// +optional
	HealthySince *metav1.MicroTime `json:"healthySince,omitempty"`

	// UnknownSince is since when nothing is known of a backend that was about to recover. The time
	// until it is known again does not count for its recovery.
	// +optional
	UnknownSince *metav1.MicroTime `json:"unknownSince,omitempty"`

	// Evidence is the state of the sequential test on its calls.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Evidence string `json:"evidence,omitempty"`

	// Calls is the number of its calls since the evidence began to grow.
	// +optional
	Calls int64 `json:"calls,omitempty"`

	// Errors is the number of those that failed.
	// +optional
	Errors int64 `json:"errors,omitempty"`

	// CountedFrom is where those counts begin.
	// +optional
	CountedFrom *metav1.MicroTime `json:"countedFrom,omitempty"`

	// CountedUntil is where the counts that were taken in end; no call is taken in twice.
	// +optional
	CountedUntil *metav1.MicroTime `json:"countedUntil,omitempty"`

	// Failing are the calls by which it was last found to fail too many.
	// +optional
	Failing *CountedCalls `json:"failing,omitempty"`

	// KeptBack says that in an overload it could not carry all calls, or could not have.
	// +optional
	KeptBack *KeptBack `json:"keptBack,omitempty"`
}

// CountedCalls are calls that a backend has answered.
type CountedCalls struct {
	// Calls is how many there were.
	// +required
	Calls int64 `json:"calls"`

	// Errors is the number of those that failed.
	// +required
	Errors int64 `json:"errors"`

	// Duration is the time in which they were counted.
	// +required
	Duration metav1.Duration `json:"duration"`

	// Until is the end of that time.
	// +required
	Until metav1.MicroTime `json:"until"`
}

// KeptBack says how much a backend can carry from which calls are kept back, because there were more.
type KeptBack struct {
	// Since is when that was decided.
	// +required
	Since metav1.MicroTime `json:"since"`

	// Endpoints is with how many ready endpoints it could carry all calls of then.
	// +required
	Endpoints int32 `json:"endpoints"`

	// Carries is how many calls per second it could carry with them.
	// +required
	Carries int64 `json:"carries"`
}

// RampState is a hand-back, or the trial of a backup, that is under way.
type RampState struct {
	// To is the backend that comes back, or is tried.
	// +required
	To string `json:"to"`

	// Percent is its share of the calls.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Percent int32 `json:"percent"`

	// Trial says that it is tried, because the serving backend fails its calls, and not handed back to.
	// +optional
	Trial bool `json:"trial,omitempty"`

	// Since is when it got this share.
	// +required
	Since metav1.MicroTime `json:"since"`

	// Arrived is when the share of a trial was seen in the calls of the backend that is tried.
	// +optional
	Arrived *metav1.MicroTime `json:"arrived,omitempty"`

	// Serving are the calls of the serving backend in a trial, since the share has arrived.
	// +optional
	Serving *CountedCalls `json:"serving,omitempty"`
}
