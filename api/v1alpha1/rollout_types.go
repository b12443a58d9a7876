package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Annotations by which people speak to a rollout.
const (
	// AnnotationApprove lets a rollout leave a step that requires approval. Its value is
	// "<revision>/<step>", and from the second attempt on "<revision>/<step>/<attempt>", as the condition
	// Progressing shows it: an approval is for one attempt at one step of one revision and cannot be
	// taken for another.
	AnnotationApprove = "headgate.dev/approve"
	// AnnotationRetry tries a revision again that was rolled back, each time that its value changes.
	AnnotationRetry = "headgate.dev/retry"
	// AnnotationPromote gives a revision all calls at once, without the steps that are left: its value is the
	// revision. What rolls back still does.
	AnnotationPromote = "headgate.dev/promote"
	// AnnotationSkip leaves a step without proof: its value is that of AnnotationApprove.
	AnnotationSkip = "headgate.dev/skip"
	// AnnotationAbort rolls a revision back: its value is the revision.
	AnnotationAbort = "headgate.dev/abort"
	// AnnotationTrack, with the value "false" on a ConfigMap or Secret, leaves it out of trackConfig.
	AnnotationTrack = "headgate.dev/track"
	// AnnotationSwapped holds the revision that the first backend has been changed to after a
	// rollout with a canary Service of the user's own: the canary can go.
	AnnotationSwapped = "headgate.dev/swapped"
)

// LabelRollout marks a Deployment that Headgate ships: its value is the name of the ExposedService. The admission
// policy that holds changed pod templates selects by it.
const LabelRollout = "headgate.dev/rollout"

// CanaryName is how status, events and metrics call the canary beside the backends.
const CanaryName = "canary"

// ConditionProgressing says whether a rollout is under way and gets on. It is there only with
// spec.rollout.
const ConditionProgressing = "Progressing"

// Rollout says how a new version of the first backend is shipped: step by step, each left only on
// evidence that the new version is good enough for the share of the calls that it gets next.
//
// +kubebuilder:validation:XValidation:rule="has(self.workloadRef) != has(self.canary)",message="exactly one of workloadRef and canary must be set: workloadRef for a Deployment whose changed pod template starts a rollout, canary for a Service of your own that runs the new version"
// +kubebuilder:validation:XValidation:rule="has(self.canary) == has(self.revision)",message="revision is required with canary and must not be set without it: name the version that the canary Service runs, a new name for each rollout; with workloadRef the pod template is the revision"
// +kubebuilder:validation:XValidation:rule="!has(self.maxFirstWeight) || !has(self.steps)",message="maxFirstWeight must not be set with steps: it is for steps that Headgate chooses; remove one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.trackConfig) || !self.trackConfig || has(self.workloadRef)",message="trackConfig needs workloadRef: remove it, and change revision when the configuration of your canary changes"
type Rollout struct {
	// WorkloadRef is the workload behind the first backend. A changed pod template is not rolled out
	// by Kubernetes at once: it is held by spec.paused, and Headgate gives the Deployment's new ReplicaSet
	// as many pods as each step asks for.
	// +optional
	WorkloadRef *WorkloadReference `json:"workloadRef,omitempty"`

	// Canary is a Service of your own that runs the new version. A changed revision starts a rollout;
	// in the end the canary has all calls, and the status says AwaitingSwap until the annotation
	// headgate.dev/swapped names the revision.
	// +optional
	Canary *CanaryBackend `json:"canary,omitempty"`

	// Revision is the name of the version that the canary Service runs.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",message="must hold only letters, digits, '-', '_' and '.', and start and end with a letter or digit, such as 2.4.0"
	Revision *string `json:"revision,omitempty"`

	// Steps are the weights that the canary gets, one after the other. Without them Headgate chooses them
	// from the traffic that it sees when a rollout starts, such as 1, 10 and 50 percent at 100 calls/s, and
	// 25 and 50 at 2; status.rollout.plan has them. In a step of 100 percent there is nothing to compare
	// with: it lasts for its hold, and only errors.maxPercent and dying pods speak against the canary.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.map(s, double(string(s.weight))).isSorted() && self.all(a, self.exists_one(b, double(string(b.weight)) == double(string(a.weight))))",message="steps must rise in weight, such as 1, 10, 25, 50: put them in order and remove steps of equal weight"
	// +kubebuilder:validation:XValidation:rule="double(string(self[0].weight)) < 100.0",message="steps must begin below 100, because with all calls on the canary there is nothing to compare it with: put a smaller step first"
	Steps []RolloutStep `json:"steps,omitempty"`

	// MaxFirstWeight is the largest weight in percent that Headgate begins with where it chooses the steps:
	// a whole number, or a decimal number in quotes. With few calls it begins with more of them, because
	// what they can prove, and harm, depends on their number. The default is 25: fewer than ten calls a
	// second prove something within minutes then, and three of four callers have nothing to do with it.
	//
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="(type(self) == int || self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$')) && double(string(self)) > 0.0 && double(string(self)) <= 50.0",message="must be a percentage above 0 and up to 50: a whole number, or a decimal number in quotes such as \"0.5\", with up to four places"
	MaxFirstWeight *intstr.IntOrString `json:"maxFirstWeight,omitempty"`

	// Analysis says from what evidence the rollout advances and rolls back.
	// +optional
	Analysis *Analysis `json:"analysis,omitempty"`

	// Paused holds the rollout where it is: no step is left and none is started. What is worse than it
	// may be is still rolled back.
	// +optional
	Paused *bool `json:"paused,omitempty"`

	// TrackConfig makes the contents of the ConfigMaps and Secrets that the pod template names a part
	// of the revision: a change of them starts a rollout too. Headgate then also owns the annotation
	// headgate.dev/config of the pod template. One object is left out by the annotation
	// headgate.dev/track: "false" on it.
	// +optional
	TrackConfig *bool `json:"trackConfig,omitempty"`

	// FastTrack says which revisions need no proof. The default is PreviousRevisions: a revision that was
	// stable within the last 24 hours gets all calls in one step. Only what rolls back stops it.
	// +optional
	FastTrack *FastTrackPolicy `json:"fastTrack,omitempty"`

	// Restarts says what becomes of a pod template that differs from the stable one by the time of a
	// `kubectl rollout restart` alone. The default is Release.
	// +optional
	Restarts *RestartPolicy `json:"restarts,omitempty"`

	// OnRemoval says what becomes of a pod template that is held when rollout or the ExposedService is
	// removed. The default is KeepStable.
	// +optional
	OnRemoval *RemovalPolicy `json:"onRemoval,omitempty"`
}

// FastTrackPolicy says which revisions need no proof.
//
// +kubebuilder:validation:Enum=PreviousRevisions;Never
type FastTrackPolicy string

const (
	// FastTrackPrevious is for revisions that were stable within the last 24 hours and are in the
	// Deployment's revision history.
	FastTrackPrevious FastTrackPolicy = "PreviousRevisions"
	// FastTrackNever asks for proof of every revision.
	FastTrackNever FastTrackPolicy = "Never"
)

// RestartPolicy says what becomes of a restart of all pods.
//
// +kubebuilder:validation:Enum=Release;Rollout
type RestartPolicy string

const (
	// RestartRelease lets the Deployment replace its pods at once by its own strategy: the version is the same.
	RestartRelease RestartPolicy = "Release"
	// RestartRollout ships a restart like a new version.
	RestartRollout RestartPolicy = "Rollout"
)

// RemovalPolicy says what becomes of a held pod template when nobody ships it any more.
//
// +kubebuilder:validation:Enum=KeepStable;Release
type RemovalPolicy string

const (
	// RemovalKeepStable leaves the workload paused on the version that it runs, if its pod template is another
	// one. An event says how to release it.
	RemovalKeepStable RemovalPolicy = "KeepStable"
	// RemovalRelease lets Kubernetes roll out the pod template that the workload has, proved or not.
	RemovalRelease RemovalPolicy = "Release"
)

// WorkloadKind is the kind of a workload.
//
// +kubebuilder:validation:Enum=Deployment
type WorkloadKind string

// WorkloadDeployment is a Deployment of apps/v1.
const WorkloadDeployment WorkloadKind = "Deployment"

// WorkloadReference names a workload in the same namespace.
type WorkloadReference struct {
	// Kind is its kind. The default is Deployment.
	// +optional
	Kind *WorkloadKind `json:"kind,omitempty"`

	// Name is its name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// ProtectService puts the stable version's pod-template-hash into the selector of the first backend's
	// Service for the time of a rollout. Callers inside the cluster then reach the stable version
	// alone. Without it that Service has the pods of both, as in any rolling update. The default is false.
	// +optional
	ProtectService *bool `json:"protectService,omitempty"`
}

// CanaryBackend is where a canary of the user's own is reached.
type CanaryBackend struct {
	// Service is a Kubernetes Service.
	// +required
	Service ServiceBackend `json:"service"`
}

// Approval says whether a person has to agree.
//
// +kubebuilder:validation:Enum=Required
type Approval string

// ApprovalRequired waits for the annotation headgate.dev/approve.
const ApprovalRequired Approval = "Required"

// RolloutStep is one step of a rollout.
type RolloutStep struct {
	// Weight is the canary's share of the calls of the first backend, in percent: a whole number, or a
	// decimal number in quotes such as "0.5", with up to four places.
	//
	// +required
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="(type(self) == int || self.matches('^[0-9]{1,3}([.][0-9]{1,4})?$')) && double(string(self)) > 0.0 && double(string(self)) <= 100.0",message="must be a percentage above 0 and up to 100: a whole number, or a decimal number in quotes such as \"0.5\", with up to four places"
	Weight intstr.IntOrString `json:"weight"`

	// Hold is how long the step lasts at least, from when the data plane serves its weight. The
	// default is 1m.
	// +optional
	Hold *LongDuration `json:"hold,omitempty"`

	// Approval, when Required, lets the step be left only when the annotation headgate.dev/approve has the
	// value that the condition Progressing shows: "<revision>/<step>", and from the second attempt on
	// "<revision>/<step>/<attempt>".
	// +optional
	Approval *Approval `json:"approval,omitempty"`
}

// AnalysisSource says where the counts of the calls of both sides come from.
//
// +kubebuilder:validation:Enum=Auto;Envoy;LoadReports;Prometheus;Workload
type AnalysisSource string

const (
	// AnalysisAuto takes what is configured: Prometheus where analysis.prometheus is set, Workload where
	// analysis.workload is, then Envoy with spec.gateway and LoadReports without.
	AnalysisAuto AnalysisSource = "Auto"
	// AnalysisEnvoy reads the statistics of the Gateway's own proxies. Where backends share a cluster
	// of Envoy, which is so wherever failover has priorities, they have no latencies and no gRPC codes
	// of each side: what counts as an error is what Envoy counts as one.
	AnalysisEnvoy AnalysisSource = "Envoy"
	// AnalysisLoadReports takes what the clients of spec.xds report. They report no latencies and no
	// gRPC codes.
	AnalysisLoadReports AnalysisSource = "LoadReports"
	// AnalysisPrometheus asks a Prometheus server.
	AnalysisPrometheus AnalysisSource = "Prometheus"
	// AnalysisWorkload reads the metrics of the pods of both sides.
	AnalysisWorkload AnalysisSource = "Workload"
)

// UndecidedPolicy says what happens when the evidence does not suffice within maxHold.
//
// +kubebuilder:validation:Enum=Hold;Advance;RollBack
type UndecidedPolicy string

const (
	// UndecidedHold goes on holding.
	UndecidedHold UndecidedPolicy = "Hold"
	// UndecidedAdvance advances unless something speaks against the canary.
	UndecidedAdvance UndecidedPolicy = "Advance"
	// UndecidedRollBack rolls back.
	UndecidedRollBack UndecidedPolicy = "RollBack"
)

// Analysis says from what evidence a rollout advances and rolls back. Canary and stable are compared
// over the same seconds by sequential tests, which may be looked at as often as one likes.
//
// +kubebuilder:validation:XValidation:rule="!has(self.source) || self.source != 'Prometheus' || has(self.prometheus)",message="prometheus is required with source: Prometheus: name the server and the queries"
// +kubebuilder:validation:XValidation:rule="!has(self.source) || self.source != 'Workload' || has(self.workload)",message="workload is required with source: Workload: name the port at which the pods show their metrics"
type Analysis struct {
	// Source says where the counts come from. The default is Auto: Prometheus where prometheus is set,
	// Workload where workload is, then Envoy with spec.gateway and LoadReports without.
	// +optional
	Source *AnalysisSource `json:"source,omitempty"`

	// Errors says which error rate of the canary is tolerated.
	// +optional
	Errors *ErrorTolerance `json:"errors,omitempty"`

	// Latency has latencies compared as well: those that prometheus.latencies asks for, those of the
	// pods' own metrics, or Envoy's where each side has a cluster of its own. With a source that has
	// none the rollout holds. Without it only errors are compared.
	// +optional
	Latency *LatencyTolerance `json:"latency,omitempty"`

	// FalseRollbacks is the probability of rolling back a canary that is within what is tolerated, over
	// a whole rollout, as a decimal number in quotes. The default is "0.01": one in a hundred.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=12
	// +kubebuilder:validation:XValidation:rule="self.matches('^0[.][0-9]{1,10}$') && double(self) > 0.0 && double(self) < 0.5",message="must be a probability above 0 and below 0.5, as a decimal number in quotes such as \"0.01\""
	FalseRollbacks *string `json:"falseRollbacks,omitempty"`

	// WhenUndecided says what happens when a step was observed for maxHold and the evidence still
	// suffices for nothing. The default is Hold. While the source cannot be read nothing but Hold ever
	// happens.
	// +optional
	WhenUndecided *UndecidedPolicy `json:"whenUndecided,omitempty"`

	// MaxHold is for how long a step is observed before whenUndecided applies. Time in which the source
	// could not be read does not count. The default is 1h.
	// +optional
	MaxHold *LongDuration `json:"maxHold,omitempty"`

	// WarmUp is for how long after its newest pod became ready the latencies of the canary are not
	// judged. Its errors always are. The default is 60s.
	// +optional
	WarmUp *Duration `json:"warmUp,omitempty"`

	// MustHaveTraffic keeps whenUndecided from leaving a step, forward or back, in which the canary
	// had no calls. Silence is never counted as failure.
	// +optional
	MustHaveTraffic *bool `json:"mustHaveTraffic,omitempty"`

	// Prometheus is the server to ask with source Prometheus.
	// +optional
	Prometheus *AnalysisQueries `json:"prometheus,omitempty"`

	// Workload says where the pods show their metrics, for source Workload.
	// +optional
	Workload *WorkloadMetrics `json:"workload,omitempty"`

	// Webhooks are asked when nothing else keeps a step; it is left when all have agreed. They cannot roll
	// back.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Webhooks []RolloutWebhook `json:"webhooks,omitempty"`
}

// GRPCCode is the name of a gRPC status code.
//
// +kubebuilder:validation:Enum=Canceled;Unknown;InvalidArgument;DeadlineExceeded;NotFound;AlreadyExists;PermissionDenied;ResourceExhausted;FailedPrecondition;Aborted;OutOfRange;Unimplemented;Internal;Unavailable;DataLoss;Unauthenticated
type GRPCCode string

// ErrorTolerance says which error rate of the canary is tolerated.
type ErrorTolerance struct {
	// Tolerate is what the canary's error rate may be without being rolled back. The default is "1.5" and
	// "0.05".
	// +optional
	Tolerate *Tolerance `json:"tolerate,omitempty"`

	// Prove is what must be proved before the canary has all calls: that its error rate is at most ratio
	// times stable's, and percent more. The default is "2" and "0.5": within half a percentage point of a
	// stable version that has few errors. A share of the calls may be had with as much less proof: for a tenth
	// of them ten times as much may be unproved, because as many callers would be harmed. A smaller percent
	// asks for more calls: about 340 divided by it, without an error.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.percent) || double(self.percent) > 0.0",message="percent must be above 0, such as \"0.5\": that two versions are exactly alike can never be proved"
	Prove *Tolerance `json:"prove,omitempty"`

	// MaxPercent is an error rate that the canary must not exceed, whatever stable does. Without it
	// errors on both sides, such as an outage of something that both depend on, roll nothing back.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$') && double(self) > 0.0",message="must be a percentage above 0 and below 100, as a decimal number in quotes such as \"5\""
	MaxPercent *string `json:"maxPercent,omitempty"`

	// Codes are the gRPC status codes that count as errors. Sources that know codes are Workload, and
	// Envoy where each side has a cluster of its own; with another one the rollout holds. The default
	// are those that are the service's fault: Unknown, DeadlineExceeded, ResourceExhausted,
	// Unimplemented, Internal, Unavailable and DataLoss.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Codes []GRPCCode `json:"codes,omitempty"`
}

// Tolerance is an error rate compared with stable's: up to ratio times stable's, and percent more.
type Tolerance struct {
	// Ratio is how many times stable's error rate the canary's may be, from 1 to 10, as a decimal
	// number in quotes.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$') && double(self) >= 1.0 && double(self) <= 10.0",message="must be a ratio from 1 to 10, as a decimal number in quotes such as \"1.5\""
	Ratio *string `json:"ratio,omitempty"`

	// Percent is how much more it may be, in percent of the calls, as a decimal number in quotes.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{1,2}([.][0-9]{1,4})?$')",message="must be a percentage from 0 and below 100, as a decimal number in quotes such as \"0.05\""
	Percent *string `json:"percent,omitempty"`
}

// LatencyTolerance says how much slower the canary may be.
type LatencyTolerance struct {
	// SlowdownPercent is by how much all calls may be slower. It must cover the differences in speed
	// of healthy pods. The default is 5.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	SlowdownPercent *int32 `json:"slowdownPercent,omitempty"`
}

// AnalysisQueries is a Prometheus server, and what to ask it about each side. In the queries
// {{.Namespace}} and {{.Name}} are replaced by those of the ExposedService, {{.Side}} by stable or
// canary, {{.Service}} by the side's Service, {{.Workload}} by the Deployment, if there is one, and
// {{.PodTemplateHash}} by what tells the side's pods from those of the other one: they are called
// {{.Workload}}-{{.PodTemplateHash}}-xxxxx, with 00- before the hash where somebody resumed the Deployment
// by hand in the middle of a rollout, and have it as the label pod-template-hash.
//
// +kubebuilder:validation:XValidation:rule="has(self.server) != has(self.address)",message="set either server, the name of a Prometheus server of the platform, or address, a URL of one's own"
// +kubebuilder:validation:XValidation:rule="has(self.address) || !has(self.bearerTokenSecretRef) && !has(self.caSecretRef)",message="the platform gives its servers their token and CA: remove bearerTokenSecretRef and caSecretRef, or set address in place of server"
// +kubebuilder:validation:XValidation:rule="!has(self.bearerTokenSecretRef) || !has(self.address) || self.address.startsWith('https://')",message="bearerTokenSecretRef is sent to https:// addresses only, so that nobody on the way reads it: set address to such a URL, or remove bearerTokenSecretRef"
type AnalysisQueries struct {
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

	// Calls is a query for the number of calls that a side has finished since ever: a counter, not a
	// rate. A query may answer with several series, which are added up.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Calls string `json:"calls"`

	// Errors is a query for the number of those that failed.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Errors string `json:"errors"`

	// Begun is a query for the number of calls that a side has begun to answer since ever, whether or not
	// they have ended, such as grpc_server_started_total: the series as they were scraped, of the pods
	// that calls asks for. What is under way is then known, and calls that hang are not taken for silence.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Begun *string `json:"begun,omitempty"`

	// Latencies is a query for their latencies in seconds: native histograms, or the series _bucket of
	// classic ones with their label le. What is neither holds the rollout if latency is set.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Latencies *string `json:"latencies,omitempty"`

	// BearerTokenSecretRef is a key of a Secret, in this namespace, that holds a bearer token for an
	// https:// address.
	// +optional
	BearerTokenSecretRef *corev1.SecretKeySelector `json:"bearerTokenSecretRef,omitempty"`

	// CASecretRef is a key of a Secret, in this namespace, that holds the certificates (PEM) that
	// the certificate at address is verified with; without it the system's are used.
	// +optional
	CASecretRef *corev1.SecretKeySelector `json:"caSecretRef,omitempty"`
}

// WorkloadMetrics says where the pods of both sides show metrics of the calls that they have answered,
// over HTTP in Prometheus's text format, and how the metrics are called. Calls of gRPC's own services
// for health and reflection are left out.
type WorkloadMetrics struct {
	// Port is the port of the pods: its number, or the name of a port of the first backend's Service.
	//
	// +required
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must be a port from 1 to 65535, or the name of a port of the Service, such as metrics"
	Port intstr.IntOrString `json:"port"`

	// Path is where the metrics are. The default is /metrics.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="must be a path that starts with /, such as /metrics"
	Path *string `json:"path,omitempty"`

	// Calls is the name of the counter, or histogram, of the calls that have ended. The default is
	// grpc_server_handled_total, and on a page without it grpc_server_call_duration_seconds.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_:][a-zA-Z0-9_:]*$')",message="must be the name of a metric, such as grpc_server_handled_total"
	Calls *string `json:"calls,omitempty"`

	// CodeLabel is its label with the gRPC status code, as a name or a number. The default is grpc_code,
	// and for grpc_server_call_duration_seconds grpc_status.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_][a-zA-Z0-9_]*$')",message="must be the name of a label, such as grpc_code"
	CodeLabel *string `json:"codeLabel,omitempty"`

	// Latencies is the name of the histogram of their latencies, in seconds. Only unary calls are taken
	// from it where it tells types of calls apart. The default is grpc_server_handling_seconds, and
	// on a page without it grpc_server_call_duration_seconds.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_:][a-zA-Z0-9_:]*$')",message="must be the name of a metric, such as grpc_server_handling_seconds"
	Latencies *string `json:"latencies,omitempty"`
}

// RolloutWebhook is asked, by an HTTP POST that names the ExposedService, the revision and the step,
// whether a step may be left. A status of 200 agrees. Anything else does not, and it is asked again: after
// 2 seconds, then each time after twice as long, up to a minute.
type RolloutWebhook struct {
	// Name is how status and events call it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Name string `json:"name"`

	// URL is where it is asked. Certificates are always verified, and redirects to other hosts are not
	// followed.
	//
	// +required
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHost() != ''",message="must be a URL such as https://gates.example.com/greeter"
	URL string `json:"url"`

	// Timeout is how long an answer may take, up to 1m. The default is 10s.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self) <= duration('1m')",message="must be at most 1m: a webhook that has nothing to say yet answers so at once, and is asked again"
	Timeout *Duration `json:"timeout,omitempty"`

	// SecretRef is a key of a Secret, in this namespace, that requests are signed with, as Standard
	// Webhooks has it (HMAC-SHA256 of the ID, the time and the body): at least 24 bytes, or "whsec_" and
	// those in base64. Headgate may read it only where a Role in this namespace lets it.
	// +optional
	SecretRef *corev1.SecretKeySelector `json:"secretRef,omitempty"`

	// CABundle holds the certificates (PEM) that the server's certificate is verified with; without it
	// the system's are used.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	CABundle []byte `json:"caBundle,omitempty"`
}

// RolloutPhase is what a rollout is doing.
//
// +kubebuilder:validation:Enum=Idle;Preparing;Stepping;AwaitingApproval;Rechecking;Promoting;Releasing;AwaitingSwap;HandingOver;RollingBack;Suspended
type RolloutPhase string

const (
	// RolloutIdle: no rollout is under way.
	RolloutIdle RolloutPhase = "Idle"
	// RolloutPreparing: the canary gets the pods that the next step takes, at the weight that it has.
	RolloutPreparing RolloutPhase = "Preparing"
	// RolloutStepping: the canary has the weight of a step, and evidence is gathered.
	RolloutStepping RolloutPhase = "Stepping"
	// RolloutAwaitingApproval: the step could be left if somebody approved.
	RolloutAwaitingApproval RolloutPhase = "AwaitingApproval"
	// RolloutRechecking: the canary looked worse than is tolerated, from too few moments to be sure. It has
	// no calls for 30 seconds; then the rollout starts again at its first step, unless what was counted
	// until then suffices to roll back.
	RolloutRechecking RolloutPhase = "Rechecking"
	// RolloutPromoting: the revision gets pod after pod, and calls as it has pods that are ready, up to all of
	// them. A canary Service of the user's own gets everything.
	RolloutPromoting RolloutPhase = "Promoting"
	// RolloutReleasing: the revision has the calls, and the workload is released: Kubernetes ends the
	// last pods of the version before.
	RolloutReleasing RolloutPhase = "Releasing"
	// RolloutAwaitingSwap: the user's own canary Service has everything, until the first backend has
	// been changed to the revision.
	RolloutAwaitingSwap RolloutPhase = "AwaitingSwap"
	// RolloutHandingOver: the first backend runs the revision, and the share of the user's own canary goes to
	// zero.
	RolloutHandingOver RolloutPhase = "HandingOver"
	// RolloutRollingBack: the canary's weight is zero; its last calls end, then its pods.
	RolloutRollingBack RolloutPhase = "RollingBack"
	// RolloutSuspended: another backend serves, or the workload is scaled to zero. The canary's
	// weight is zero; afterwards the rollout starts again at its first step.
	RolloutSuspended RolloutPhase = "Suspended"
)

// Reasons of decisions about rollouts: each is a transition of the state machine.
const (
	// DecisionRolloutAdded: spec.rollout is new.
	DecisionRolloutAdded DecisionReason = "RolloutAdded"
	// DecisionRolloutWithdrawn: spec.rollout is gone, or names another target, in the middle.
	DecisionRolloutWithdrawn DecisionReason = "RolloutWithdrawn"
	// DecisionRolloutRemoved: spec.rollout is gone, and with it all that was made for it.
	DecisionRolloutRemoved DecisionReason = "RolloutRemoved"
	// DecisionStableAdopted: what the workload runs is now known as the stable revision.
	DecisionStableAdopted DecisionReason = "StableAdopted"
	// DecisionStableForgotten: the workload is gone.
	DecisionStableForgotten DecisionReason = "StableForgotten"
	// DecisionPodsTakenBack: somebody has resumed the Deployment, or scaled it from zero, and it had pods of a revision that waits or failed.
	DecisionPodsTakenBack DecisionReason = "PodsTakenBack"
	// DecisionFailureCleared: the pod template of a revision that failed was put back.
	DecisionFailureCleared DecisionReason = "FailureCleared"
	// DecisionRolloutStarted: a new revision is to be shipped.
	DecisionRolloutStarted DecisionReason = "RolloutStarted"
	// DecisionStepsChosen: the traffic is measured, and the steps are chosen.
	DecisionStepsChosen DecisionReason = "StepsChosen"
	// DecisionCanarySuspected: the canary looks worse than is tolerated, from too few moments to be sure. Its
	// calls are taken away.
	DecisionCanarySuspected DecisionReason = "CanarySuspected"
	// DecisionCanaryRechecked: it is looked at again, from the first step on.
	DecisionCanaryRechecked DecisionReason = "CanaryRechecked"
	// DecisionRestartReleased: the pod template differs from the stable one by the time of a restart alone, and
	// Kubernetes replaces the pods.
	DecisionRestartReleased DecisionReason = "RestartReleased"
	// DecisionProofWaived: no more proof is asked of the canary, for a reason that the message names: it was
	// stable before, somebody has promoted it, or there is nothing to compare it with.
	DecisionProofWaived DecisionReason = "ProofWaived"
	// DecisionRolloutReleased: the revision has the calls, and the workload is released.
	DecisionRolloutReleased DecisionReason = "RolloutReleased"
	// DecisionRolloutUpgraded: the rollout was begun by an earlier version of Headgate. It starts again at the
	// first step.
	DecisionRolloutUpgraded DecisionReason = "RolloutUpgraded"
	// DecisionStepStarted: the pods of a step are ready, and the canary gets its weight.
	DecisionStepStarted DecisionReason = "StepStarted"
	// DecisionStepPassed: the evidence suffices to leave a step.
	DecisionStepPassed DecisionReason = "StepPassed"
	// DecisionStepAltered: the spec has another weight for the step than the canary has.
	DecisionStepAltered DecisionReason = "StepAltered"
	// DecisionStepDoubted: something speaks against a canary that is about to get more calls, or that has all
	// of them, so that nothing is left to compare it with; the rollout goes back by one step.
	DecisionStepDoubted DecisionReason = "StepDoubted"
	// DecisionStepAdvanced: nothing stands in the way of the next step.
	DecisionStepAdvanced DecisionReason = "StepAdvanced"
	// DecisionApprovalAwaited: nothing but an approval does.
	DecisionApprovalAwaited DecisionReason = "ApprovalAwaited"
	// DecisionCanaryLost: the canary had weight and lost its last ready pod.
	DecisionCanaryLost DecisionReason = "CanaryLost"
	// DecisionCanaryDropped: the canary lost its last ready pod when it was no longer needed.
	DecisionCanaryDropped DecisionReason = "CanaryDropped"
	// DecisionPromotionStarted: the last step is passed.
	DecisionPromotionStarted DecisionReason = "PromotionStarted"
	// DecisionPromoted: the workload runs the revision with all of its pods.
	DecisionPromoted DecisionReason = "Promoted"
	// DecisionSwapAwaited: the user's own canary has everything.
	DecisionSwapAwaited DecisionReason = "SwapAwaited"
	// DecisionSwapped: the first backend has been changed to the revision.
	DecisionSwapped DecisionReason = "Swapped"
	// DecisionShareHandedOver: the canary gives back a part of its share.
	DecisionShareHandedOver DecisionReason = "ShareHandedOver"
	// DecisionRolloutFinished: the canary is no longer needed.
	DecisionRolloutFinished DecisionReason = "RolloutFinished"
	// DecisionRolloutFailed: the canary is worse than is tolerated, or cannot run.
	DecisionRolloutFailed DecisionReason = "RolloutFailed"
	// DecisionRolloutReplaced: there is another new revision.
	DecisionRolloutReplaced DecisionReason = "RolloutReplaced"
	// DecisionRolloutReverted: the revision to be shipped is the stable one again.
	DecisionRolloutReverted DecisionReason = "RolloutReverted"
	// DecisionWorkloadDeleted: the workload was deleted in the middle.
	DecisionWorkloadDeleted DecisionReason = "WorkloadDeleted"
	// DecisionRollbackFinished: the canary has no calls any more.
	DecisionRollbackFinished DecisionReason = "RollbackFinished"
	// DecisionRolloutSuspended: another backend serves, or the workload is scaled to zero.
	DecisionRolloutSuspended DecisionReason = "RolloutSuspended"
	// DecisionRolloutResumed: that is over.
	DecisionRolloutResumed DecisionReason = "RolloutResumed"
)

// RolloutStatus is where a rollout is, and all that Headgate remembers of it.
type RolloutStatus struct {
	// Target is what is rolled out, as "Deployment/greeter" or "Service/greeter-canary:50051".
	//
	// +required
	// +kubebuilder:validation:MaxLength=160
	Target string `json:"target"`

	// Phase is what the rollout is doing.
	// +required
	Phase RolloutPhase `json:"phase"`

	// Since is when the phase began.
	// +required
	Since metav1.MicroTime `json:"since"`

	// Stable is the revision that the first backend runs.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Stable string `json:"stable,omitempty"`

	// Revision is the revision that is shipped, or was last.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Revision string `json:"revision,omitempty"`

	// Step is the number of the step, from 1.
	// +optional
	Step int32 `json:"step,omitempty"`

	// StepStarted is when the canary got the weight of the step.
	// +optional
	StepStarted *metav1.MicroTime `json:"stepStarted,omitempty"`

	// Weight is the canary's share of the calls of the first backend, in parts of 1,000,000.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight int32 `json:"weight,omitempty"`

	// LiveSince is since when the data plane serves this weight.
	// +optional
	LiveSince *metav1.MicroTime `json:"liveSince,omitempty"`

	// Replicas is how many pods the canary is to have.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`

	// Lost is how often the canary has lost its last ready pod in this rollout. It starts again at the first
	// step each time.
	// +optional
	Lost int32 `json:"lost,omitempty"`

	// Suspicions is how often the canary was suspected in this rollout: it looked worse than is tolerated,
	// from too few moments to be sure.
	// +optional
	Suspicions int32 `json:"suspicions,omitempty"`

	// Attempt counts how often the revision has begun at the first step, or gone back by a step, from 1. An
	// approval is for one attempt.
	// +optional
	Attempt int32 `json:"attempt,omitempty"`

	// Plan is how the rollout is expected to go.
	// +optional
	Plan *RolloutPlan `json:"plan,omitempty"`

	// Progress sums up for people where the rollout is, as "2/4 10 %, 62 % proved", "failed", "held" or "-".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Progress string `json:"progress,omitempty"`

	// Message says what the rollout waits for.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// Verdicts are the steps that were passed, each recorded before the weight rises beyond it.
	//
	// +optional
	// +listType=map
	// +listMapKey=step
	// +kubebuilder:validation:MaxItems=20
	Verdicts []StepVerdict `json:"verdicts,omitempty"`

	// Evidence is what speaks for and against the canary.
	// +optional
	Evidence *RolloutEvidence `json:"evidence,omitempty"`

	// Waiver is why no more proof is asked of the revision: it was stable before, somebody has promoted it, or
	// there is nothing to compare it with.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Waiver string `json:"waiver,omitempty"`

	// StableDownSince is since when the stable version has no ready pod.
	// +optional
	StableDownSince *metav1.MicroTime `json:"stableDownSince,omitempty"`

	// PodsNotReadySince is since when the canary has fewer ready pods than it is to have. The Deployment's
	// progressDeadlineSeconds count from then.
	//
	// +optional
	PodsNotReadySince *metav1.MicroTime `json:"podsNotReadySince,omitempty"`

	// OnRemoval is what spec.rollout.onRemoval was last.
	// +optional
	OnRemoval RemovalPolicy `json:"onRemoval,omitempty"`

	// Previous are the revisions that were stable before, the newest first.
	//
	// +optional
	// +listType=map
	// +listMapKey=revision
	// +kubebuilder:validation:MaxItems=10
	Previous []PreviousRevision `json:"previous,omitempty"`

	// Failed is the revision that was rolled back last. It is not tried again until there is another,
	// or the annotation headgate.dev/retry changes.
	// +optional
	Failed *FailedRevision `json:"failed,omitempty"`
}

// RolloutPlan is how a rollout is expected to go, from the calls that were counted when it started.
type RolloutPlan struct {
	// Observed is for how long the calls to stable were counted, before the canary had any.
	// +optional
	Observed metav1.Duration `json:"observed,omitzero"`

	// Stable are the calls in that time.
	// +optional
	Stable CallCount `json:"stable,omitzero"`

	// Weights are the steps in parts of 1,000,000: those of the spec, or those that Headgate has chosen.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Weights []int32 `json:"weights,omitempty"`

	// CallsPerSecond is how many calls stable had in a second, such as "12.5".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	CallsPerSecond string `json:"callsPerSecond,omitempty"`

	// Expected is how long all steps take a version that is as good as stable, with these calls, such as
	// "4m20s". Half of the rollouts take less.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Expected string `json:"expected,omitempty"`
}

// VerdictReason is why a step was passed.
//
// +kubebuilder:validation:Enum=Evidence;WhenUndecided;AllCalls;Skipped
type VerdictReason string

const (
	// VerdictEvidence: the canary is surely within what is tolerated.
	VerdictEvidence VerdictReason = "Evidence"
	// VerdictUndecided: the evidence did not suffice within maxHold, nothing speaks against the canary,
	// and whenUndecided is Advance.
	VerdictUndecided VerdictReason = "WhenUndecided"
	// VerdictAllCalls: the canary has all calls, so that there is nothing to compare with; it passed the
	// steps before.
	VerdictAllCalls VerdictReason = "AllCalls"
	// VerdictSkipped: somebody has set the annotation headgate.dev/skip.
	VerdictSkipped VerdictReason = "Skipped"
)

// StepVerdict is the verdict that lets a step be left.
type StepVerdict struct {
	// Step is the number of the step, from 1.
	//
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Step int32 `json:"step"`

	// Revision is the revision that was judged.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	Revision string `json:"revision"`

	// Reason is why it passed.
	// +required
	Reason VerdictReason `json:"reason"`

	// Message are the numbers.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// Time is when it passed.
	// +required
	Time metav1.MicroTime `json:"time"`
}

// RolloutEvidence is what speaks for and against the canary: the state of the tests, and the same
// for people.
type RolloutEvidence struct {
	// State is the state of the tests. It is for Headgate only and may change between versions.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	State string `json:"state,omitempty"`

	// Source is who counted the calls.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Source string `json:"source,omitempty"`

	// CountedUntil is where the counts that were taken in end; no call is taken in twice.
	// +optional
	CountedUntil *metav1.MicroTime `json:"countedUntil,omitempty"`

	// Canary are its calls since the rollout began.
	// +optional
	Canary CallCount `json:"canary,omitzero"`

	// Stable are the calls of the other side in the same time.
	// +optional
	Stable CallCount `json:"stable,omitzero"`

	// Latency is how long calls took since the rollout began, once latencies are judged.
	// +optional
	Latency *LatencyEvidence `json:"latency,omitempty"`

	// Step are the canary's calls in the present step, StepStable those of the other side.
	// +optional
	Step CallCount `json:"step,omitzero"`

	// StepStable are the calls of the other side in the present step.
	// +optional
	StepStable CallCount `json:"stepStable,omitzero"`

	// ExpectedErrors is how many errors the canary's share of the calls would have given it, added up count by
	// count, such as "4.2". It is what the canary's errors are to be compared with.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	ExpectedErrors string `json:"expectedErrors,omitempty"`

	// Outage says that more than a tenth of stable's calls fail, or did within the last 20 seconds. No step
	// is left meanwhile, and nothing of it speaks for or against the canary.
	// +optional
	Outage bool `json:"outage,omitempty"`

	// StepObserved is for how much of the present step calls were counted.
	// +optional
	StepObserved *metav1.Duration `json:"stepObserved,omitempty"`

	// Percent is how much of the evidence there is that leaving the step asks for.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent int32 `json:"percent,omitempty"`

	// Remaining is how long the rest will take at the present traffic, if the canary is as good as stable,
	// such as "3m".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Remaining string `json:"remaining,omitempty"`

	// Odds are how much the counts favour that the canary is worse than is tolerated, and those that roll back,
	// as "12 : 1 of 100 : 1".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Odds string `json:"odds,omitempty"`

	// Against is the evidence for rolling back in nats, the logarithm of the odds, and the amount that it takes, as
	// "1.2 of 4.6"; then that of the last moments, at the same amount of which the canary is suspected.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Against string `json:"against,omitempty"`

	// For is the evidence for leaving the step in nats, and the amount that each takes, as "errors 1.9
	// of 3.0".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	For string `json:"for,omitempty"`

	// Spread is how many times as much evidence is asked for against the canary because the pods of stable
	// differ more than by chance, such as "2.4"; empty: they do not, or nothing is known of pods.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Spread string `json:"spread,omitempty"`
}

// LatencyEvidence is how long the calls of both sides took that were judged.
type LatencyEvidence struct {
	// Canary are its latencies, as "p50 12ms, p90 31ms, p99 140ms of 5000 calls". What lies within a
	// bucket of the histogram is estimated.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Canary string `json:"canary,omitempty"`

	// Stable are those of the other side in the same time.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Stable string `json:"stable,omitempty"`

	// Against is the evidence of latencies alone for rolling back, in nats.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Against string `json:"against,omitempty"`

	// Missing is why the latencies of the last calls are not known.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Missing string `json:"missing,omitempty"`
}

// CallCount counts calls.
type CallCount struct {
	// Calls is how many finished.
	// +optional
	Calls int64 `json:"calls,omitempty"`
	// Errors is how many of them failed.
	// +optional
	Errors int64 `json:"errors,omitempty"`
	// Cancelled is how many more were given up by their callers before there was an outcome, where the
	// source knows.
	// +optional
	Cancelled int64 `json:"cancelled,omitempty"`
}

// PreviousRevision is a revision that was stable.
type PreviousRevision struct {
	// Revision is the revision.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	Revision string `json:"revision"`

	// Until is when another one took its place.
	// +required
	Until metav1.MicroTime `json:"until"`
}

// FailedRevision is a revision that was rolled back.
type FailedRevision struct {
	// Revision is the revision.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	Revision string `json:"revision"`

	// Reason is why, one word for programs.
	//
	// +required
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`

	// Message is why, with the numbers or the pod's own words.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// Time is when.
	// +required
	Time metav1.MicroTime `json:"time"`

	// Retry is the value that the annotation headgate.dev/retry had.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Retry string `json:"retry,omitempty"`
}
