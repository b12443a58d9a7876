package v1alpha1

// Reason is the reason of a condition: one word for programs, beside the message for people.
type Reason string

// Reasons of Accepted, and of Stalled when Accepted is False.
const (
	// ReasonAccepted: the spec can be served as it is.
	ReasonAccepted Reason = "Accepted"
	// ReasonGatewayClassNotFound: spec.gateway.className names no GatewayClass.
	ReasonGatewayClassNotFound Reason = "GatewayClassNotFound"
	// ReasonGatewayNotFound: spec.gateway.parentRef names no Gateway.
	ReasonGatewayNotFound Reason = "GatewayNotFound"
	// ReasonGatewayAPIMissing: the cluster does not have the kinds of Gateway API.
	ReasonGatewayAPIMissing Reason = "GatewayAPIMissing"
	// ReasonBackendNotSupported: the data plane cannot serve a backend of this kind.
	ReasonBackendNotSupported Reason = "BackendNotSupported"
	// ReasonInvalidOverride: an override cannot be merged.
	ReasonInvalidOverride Reason = "InvalidOverride"
	// ReasonNameConflict: an object that Headgate did not make has the name that it needs.
	ReasonNameConflict Reason = "NameConflict"
	// ReasonRouteConflict: another ExposedService has the same host and match on the same Gateway, or one of another namespace has some that
	// overlap.
	ReasonRouteConflict Reason = "RouteConflict"
	// ReasonHostnameNotPermitted: a host name does not belong to the namespace.
	ReasonHostnameNotPermitted Reason = "HostnameNotPermitted"
	// ReasonRolloutNotSupported: spec.rollout asks for something that Headgate does not do.
	ReasonRolloutNotSupported Reason = "RolloutNotSupported"
	// ReasonXDSDisabled: spec.xds is set, and Headgate runs without its xDS server.
	ReasonXDSDisabled Reason = "XDSDisabled"
	// ReasonPausedAtRest: the workload is paused between rollouts, because the API server does not hold changed pod templates.
	ReasonPausedAtRest Reason = "PausedAtRest"
	// ReasonFieldsIgnored: the data plane cannot do everything that is asked for; the rest works.
	// It is the one reason with which Accepted is True although something is missing.
	ReasonFieldsIgnored Reason = "FieldsIgnored"
)

// Reasons of ResolvedRefs. Those that Gateway API has a word for are called as there.
const (
	// ReasonResolvedRefs: everything that the spec names is there and may be used.
	ReasonResolvedRefs Reason = "ResolvedRefs"
	// ReasonBackendNotFound: a backend names no Service.
	ReasonBackendNotFound Reason = "BackendNotFound"
	// ReasonPortNotFound: a backend's Service does not have the port.
	ReasonPortNotFound Reason = "PortNotFound"
	// ReasonServiceNotSupported: a backend's Service is of a kind that cannot be taken.
	ReasonServiceNotSupported Reason = "ServiceNotSupported"
	// ReasonRefNotPermitted: a reference into another namespace has no ReferenceGrant (any more).
	ReasonRefNotPermitted Reason = "RefNotPermitted"
	// ReasonWorkloadNotFound: spec.rollout.workloadRef names no Deployment.
	ReasonWorkloadNotFound Reason = "WorkloadNotFound"
	// ReasonWorkloadConflict: somebody else manages the Deployment: an older ExposedService, Flagger or Argo Rollouts.
	ReasonWorkloadConflict Reason = "WorkloadConflict"
	// ReasonWorkloadNotSupported: no canary can be made of the Deployment.
	ReasonWorkloadNotSupported Reason = "WorkloadNotSupported"
)

// Reasons of Exposed, and of Ready while calls cannot be made.
const (
	// ReasonExposed: the data plane has accepted and programmed everything.
	ReasonExposed Reason = "Exposed"
	// ReasonPending: the data plane has not yet said what it thinks of the newest objects.
	ReasonPending Reason = "Pending"
	// ReasonNotAccepted: nothing is exposed, because the spec is not accepted.
	ReasonNotAccepted Reason = "NotAccepted"
	// ReasonApplyFailed: the API server refused an object. Of Accepted and Progressing as well, when it is an object of a rollout.
	ReasonApplyFailed Reason = "ApplyFailed"
	// ReasonGatewayNotAccepted: the Gateway's controller refused the Gateway.
	ReasonGatewayNotAccepted Reason = "GatewayNotAccepted"
	// ReasonGatewayNotProgrammed: the Gateway is accepted but has no address or no proxies yet.
	ReasonGatewayNotProgrammed Reason = "GatewayNotProgrammed"
	// ReasonListenerNotReady: the listener cannot work, for example because a Secret is missing.
	ReasonListenerNotReady Reason = "ListenerNotReady"
	// ReasonRouteNotAccepted: the Gateway does not take the route.
	ReasonRouteNotAccepted Reason = "RouteNotAccepted"
	// ReasonRefsNotResolved: the Gateway's controller cannot resolve a reference of the route.
	ReasonRefsNotResolved Reason = "RefsNotResolved"
	// ReasonPolicyNotAccepted: the Gateway's controller refused a generated policy.
	ReasonPolicyNotAccepted Reason = "PolicyNotAccepted"
)

// Reasons of PriorityFailover.
const (
	// ReasonPriorities: Envoy turns to the fallback backend by itself.
	ReasonPriorities Reason = "Priorities"
	// ReasonSingleBackend: there is no second backend to turn to.
	ReasonSingleBackend Reason = "SingleBackend"
	// ReasonNoFallback: the second backend has not been resolved yet.
	ReasonNoFallback Reason = "NoFallback"
	// ReasonPatchNotPermitted: priorities work, but not as sharply, because the Gateway's owner has
	// not allowed the EnvoyPatchPolicy that sets the overprovisioning factor.
	ReasonPatchNotPermitted Reason = "PatchNotPermitted"
	// ReasonMergedGatewaysNotSupported: priorities work, but not as sharply, because Envoy Gateway merges the
	// Gateways of the class by its own configuration, which Headgate cannot read.
	ReasonMergedGatewaysNotSupported Reason = "MergedGatewaysNotSupported"
	// ReasonClassNotSupported: the GatewayClass is not Envoy Gateway's.
	ReasonClassNotSupported Reason = "ClassNotSupported"
	// ReasonBackendAPIDisabled: Envoy Gateway's Backend API is off or not installed.
	ReasonBackendAPIDisabled Reason = "BackendAPIDisabled"
	// ReasonPatchAPIDisabled: priorities work, but not as sharply, because Envoy Gateway's EnvoyPatchPolicy API is
	// off or not installed.
	ReasonPatchAPIDisabled Reason = "PatchAPIDisabled"
	// ReasonHostBackend: a backend outside the cluster cannot share a cluster of Envoy with Services.
	ReasonHostBackend Reason = "HostBackend"
	// ReasonZoneAware: a policy makes the proxies prefer or weigh zones, which gives every backend a cluster of its own.
	ReasonZoneAware Reason = "ZoneAware"
	// ReasonWeightsRequested: spec.failover.strategy asks for weights.
	ReasonWeightsRequested Reason = "WeightsRequested"
	// ReasonUnknown: nothing is known before the Gateway is.
	ReasonUnknown Reason = "Unknown"
)

// Reasons of SignalsAvailable.
const (
	// ReasonSourceRead: the calls of the serving backend are counted.
	ReasonSourceRead Reason = "SourceRead"
	// ReasonSourceUnknown: they cannot be counted now, and nothing is decided from errors.
	ReasonSourceUnknown Reason = "SourceUnknown"
	// ReasonSourceInvalid: the source cannot be asked as it is configured.
	ReasonSourceInvalid Reason = "SourceInvalid"
)

// Reasons of XDSAccepted.
const (
	// ReasonAcknowledged: every connected client has acknowledged everything that it uses.
	ReasonAcknowledged Reason = "Acknowledged"
	// ReasonAwaitingClients: a connected client has not yet said what it thinks of the newest version.
	ReasonAwaitingClients Reason = "AwaitingClients"
	// ReasonNoClients: no client is connected that uses the ExposedService.
	ReasonNoClients Reason = "NoClients"
	// ReasonRefusedByClient: a client refuses what it was sent, and goes on with what it had.
	ReasonRefusedByClient Reason = "RefusedByClient"
	// ReasonNotServed: nothing is served, because the spec is not accepted.
	ReasonNotServed Reason = "NotServed"
)

// Reasons of Ready.
const (
	// ReasonReady: calls can be made.
	ReasonReady Reason = "Ready"
	// ReasonDeleting: the object is being deleted.
	ReasonDeleting Reason = "Deleting"
)

// Reasons of BackendsHealthy.
const (
	// ReasonAllBackendsUp: every backend is up.
	ReasonAllBackendsUp Reason = "AllBackendsUp"
	// ReasonBackendDown: a backend is down, and another is up.
	ReasonBackendDown Reason = "BackendDown"
	// ReasonNoBackendUp: no backend is up, and calls go where most endpoints are left. Of FailedOver as well.
	ReasonNoBackendUp Reason = "NoBackendUp"
	// ReasonBackendNotSeen: no backend is known to be down, but nothing new is known of some.
	ReasonBackendNotSeen Reason = "BackendNotSeen"
)

// Reasons of FailedOver.
const (
	// ReasonPreferredServes: the first backend serves.
	ReasonPreferredServes Reason = "PreferredServes"
	// ReasonBackupServes: a backend that was up took over.
	ReasonBackupServes Reason = "BackupServes"
	// ReasonHandingBack: a preferred backend is on its ramp.
	ReasonHandingBack Reason = "HandingBack"
	// ReasonTryingBackup: the serving backend fails its calls, and another is tried.
	ReasonTryingBackup Reason = "TryingBackup"
	// ReasonSwitchHeld: a switch is due that maxSwitchesPerHour does not allow.
	ReasonSwitchHeld Reason = "SwitchHeld"
	// ReasonPinned: somebody has pinned another backend than the preferred one.
	ReasonPinned Reason = "Pinned"
)

// Reasons of Progressing. While a rollout is under way and gets on by itself, the reason is its phase.
const (
	// ReasonRolloutComplete: the first backend runs the revision that is asked for.
	ReasonRolloutComplete Reason = "RolloutComplete"
	// ReasonRolloutFailed: the revision that is asked for was rolled back.
	ReasonRolloutFailed Reason = "RolloutFailed"
	// ReasonRolloutWaiting: a rollout cannot start yet.
	ReasonRolloutWaiting Reason = "RolloutWaiting"
	// ReasonRolloutPaused: spec.rollout.paused holds it.
	ReasonRolloutPaused Reason = "RolloutPaused"
	// ReasonWorkloadPaused: somebody else has paused the workload.
	ReasonWorkloadPaused Reason = "WorkloadPaused"
	// ReasonPodsNotReady: the pods of a step are not ready within the Deployment's progress deadline. The message says
	// what they wait for, in the words of Kubernetes.
	ReasonPodsNotReady Reason = "PodsNotReady"
	// ReasonRolloutSuspended: another backend serves, or the workload is scaled to zero.
	ReasonRolloutSuspended Reason = "RolloutSuspended"
	// ReasonAwaitingApproval: somebody has to approve.
	ReasonAwaitingApproval Reason = "AwaitingApproval"
	// ReasonAwaitingWebhook: a webhook was asked and does not agree.
	ReasonAwaitingWebhook Reason = "AwaitingWebhook"
	// ReasonAwaitingSwap: somebody has to change the first backend.
	ReasonAwaitingSwap Reason = "AwaitingSwap"
)

// ReasonMeaning is a row of the table of reasons.
//
// +kubebuilder:object:generate=false
type ReasonMeaning struct {
	// Condition is the type of the condition.
	Condition string
	// Reason is a reason that it can have.
	Reason Reason
	// Meaning is what that says.
	Meaning string
}

// Reasons is the table of all reasons of all conditions; docs/troubleshooting.md says of each what to do. Ready,
// Stalled and Reconciling also have the reasons of the conditions that they repeat.
func Reasons() []ReasonMeaning {
	return []ReasonMeaning{
		{ConditionReady, ReasonReady, "calls can be made"},
		{ConditionReady, ReasonDeleting, "the object is being deleted"},
		{ConditionAccepted, ReasonAccepted, "the spec can be served as it is"},
		{ConditionAccepted, ReasonGatewayClassNotFound, "spec.gateway.className names no GatewayClass"},
		{ConditionAccepted, ReasonGatewayNotFound, "spec.gateway.parentRef names no Gateway"},
		{ConditionAccepted, ReasonGatewayAPIMissing, "the cluster does not have the kinds of Gateway API"},
		{ConditionAccepted, ReasonBackendNotSupported, "the data plane cannot serve a backend of this kind"},
		{ConditionAccepted, ReasonInvalidOverride, "an override cannot be merged"},
		{ConditionAccepted, ReasonNameConflict, "an object that Headgate did not make has the name that it needs"},
		{ConditionAccepted, ReasonRouteConflict, "another ExposedService has the same calls of the same Gateway, or one, or a route, of another namespace has some of them"},
		{ConditionAccepted, ReasonHostnameNotPermitted, "a host name does not belong to the namespace"},
		{ConditionAccepted, ReasonRolloutNotSupported, "spec.rollout asks for something that Headgate does not do"},
		{ConditionAccepted, ReasonXDSDisabled, "spec.xds is set, and Headgate runs without its xDS server"},
		{ConditionAccepted, ReasonFieldsIgnored, "the data plane cannot do everything that is asked for; the rest works"},
		{ConditionAccepted, ReasonPausedAtRest, "the spec can be served as it is; its workload is paused between rollouts, because the API server does not hold changed pod templates"},
		{ConditionAccepted, ReasonApplyFailed, "the API server refused an object of the rollout"},
		{ConditionAccepted, ReasonNotAccepted, "the spec asks for what no client takes, or names no Gateway"},
		{ConditionResolvedRefs, ReasonResolvedRefs, "everything that the spec names is there and may be used"},
		{ConditionResolvedRefs, ReasonBackendNotFound, "a backend names no Service"},
		{ConditionResolvedRefs, ReasonPortNotFound, "a backend's Service does not have the port"},
		{ConditionResolvedRefs, ReasonServiceNotSupported, "a backend's Service is of a kind that cannot be taken"},
		{ConditionResolvedRefs, ReasonRefNotPermitted, "a reference into another namespace has no ReferenceGrant (any more)"},
		{ConditionResolvedRefs, ReasonWorkloadNotFound, "spec.rollout.workloadRef names no Deployment"},
		{ConditionResolvedRefs, ReasonWorkloadConflict, "somebody else manages the Deployment: an older ExposedService, Flagger or Argo Rollouts"},
		{ConditionResolvedRefs, ReasonWorkloadNotSupported, "no canary can be made of the Deployment"},
		{ConditionExposed, ReasonExposed, "the data plane has accepted and programmed everything"},
		{ConditionExposed, ReasonPending, "the data plane has not yet said what it thinks of the newest objects"},
		{ConditionExposed, ReasonNotAccepted, "nothing is exposed, because the spec is not accepted"},
		{ConditionExposed, ReasonApplyFailed, "the API server refused an object"},
		{ConditionExposed, ReasonGatewayNotAccepted, "the Gateway's controller refused the Gateway"},
		{ConditionExposed, ReasonGatewayNotProgrammed, "the Gateway is accepted but has no address or no proxies yet"},
		{ConditionExposed, ReasonListenerNotReady, "the listener cannot work, for example because a Secret is missing"},
		{ConditionExposed, ReasonRouteNotAccepted, "the Gateway does not take the route"},
		{ConditionExposed, ReasonRefsNotResolved, "the Gateway's controller cannot resolve a reference of the route"},
		{ConditionExposed, ReasonPolicyNotAccepted, "the Gateway's controller refused a generated policy"},
		{ConditionPriorityFailover, ReasonPriorities, "Envoy turns to the fallback backend by itself"},
		{ConditionPriorityFailover, ReasonSingleBackend, "there is no second backend to turn to"},
		{ConditionPriorityFailover, ReasonNoFallback, "the second backend has not been resolved yet"},
		{ConditionPriorityFailover, ReasonPatchNotPermitted, "priorities work, but not as sharply, because the Gateway's owner has not allowed the EnvoyPatchPolicy that sets the overprovisioning factor"},
		{ConditionPriorityFailover, ReasonMergedGatewaysNotSupported, "priorities work, but not as sharply, because Envoy Gateway merges the Gateways of the class by its own configuration, which Headgate cannot read"},
		{ConditionPriorityFailover, ReasonClassNotSupported, "the GatewayClass is not Envoy Gateway's"},
		{ConditionPriorityFailover, ReasonBackendAPIDisabled, "Envoy Gateway's Backend API is off or not installed"},
		{ConditionPriorityFailover, ReasonPatchAPIDisabled, "priorities work, but not as sharply, because Envoy Gateway's EnvoyPatchPolicy API is off or not installed"},
		{ConditionPriorityFailover, ReasonHostBackend, "a backend outside the cluster cannot share a cluster of Envoy with Services"},
		{ConditionPriorityFailover, ReasonZoneAware, "a policy makes the proxies prefer or weigh zones, which gives every backend a cluster of its own"},
		{ConditionPriorityFailover, ReasonWeightsRequested, "spec.failover.strategy asks for weights"},
		{ConditionPriorityFailover, ReasonUnknown, "nothing is known before the Gateway is"},
		{ConditionBackendsHealthy, ReasonAllBackendsUp, "every backend is up"},
		{ConditionBackendsHealthy, ReasonBackendDown, "a backend is down, and another is up"},
		{ConditionBackendsHealthy, ReasonNoBackendUp, "no backend is up, and calls go where most endpoints are left"},
		{ConditionBackendsHealthy, ReasonBackendNotSeen, "no backend is known to be down, but nothing new is known of some"},
		{ConditionFailedOver, ReasonPreferredServes, "the first backend serves"},
		{ConditionFailedOver, ReasonBackupServes, "a backend that was up took over"},
		{ConditionFailedOver, ReasonHandingBack, "a preferred backend is on its ramp"},
		{ConditionFailedOver, ReasonTryingBackup, "the serving backend fails its calls, and another is tried"},
		{ConditionFailedOver, ReasonSwitchHeld, "a switch is due that maxSwitchesPerHour does not allow"},
		{ConditionFailedOver, ReasonPinned, "somebody has pinned another backend than the preferred one"},
		{ConditionFailedOver, ReasonNoBackendUp, "no backend is up, and calls go where most endpoints are left"},
		{ConditionSignalsAvailable, ReasonSourceRead, "the calls of the serving backend are counted"},
		{ConditionSignalsAvailable, ReasonSourceUnknown, "they cannot be counted now, and nothing is decided from errors"},
		{ConditionSignalsAvailable, ReasonSourceInvalid, "the source cannot be asked as it is configured"},
		{ConditionProgressing, ReasonRolloutComplete, "the first backend runs the revision that is asked for"},
		{ConditionProgressing, ReasonRolloutFailed, "the revision that is asked for was rolled back"},
		{ConditionProgressing, ReasonApplyFailed, "an object of the rollout is refused, or its name is somebody else's"},
		{ConditionProgressing, ReasonRolloutWaiting, "a rollout cannot start yet"},
		{ConditionProgressing, ReasonRolloutPaused, "spec.rollout.paused holds it"},
		{ConditionProgressing, ReasonWorkloadPaused, "somebody else has paused the workload"},
		{ConditionProgressing, ReasonPodsNotReady, "the pods of a step are not ready within the progress deadline"},
		{ConditionProgressing, ReasonRolloutSuspended, "another backend serves, or the workload is scaled to zero"},
		{ConditionProgressing, ReasonAwaitingApproval, "somebody has to approve"},
		{ConditionProgressing, ReasonAwaitingWebhook, "a webhook was asked and does not agree"},
		{ConditionProgressing, ReasonAwaitingSwap, "somebody has to change the first backend"},
		{ConditionProgressing, Reason(RolloutPreparing), "the pods of a step are made"},
		{ConditionProgressing, Reason(RolloutStepping), "a step has its share of the calls, and evidence is gathered"},
		{ConditionProgressing, Reason(RolloutRechecking), "the canary was suspected and has no calls for a while"},
		{ConditionProgressing, Reason(RolloutPromoting), "the first backend gets the revision"},
		{ConditionProgressing, Reason(RolloutReleasing), "Kubernetes ends the last pods of the version before"},
		{ConditionProgressing, Reason(RolloutHandingOver), "the calls go back from the canary"},
		{ConditionProgressing, Reason(RolloutRollingBack), "the canary is given up"},
		{ConditionXDSAccepted, ReasonAcknowledged, "every connected client has acknowledged everything that it uses"},
		{ConditionXDSAccepted, ReasonAwaitingClients, "a connected client has not yet said what it thinks of the newest version"},
		{ConditionXDSAccepted, ReasonNoClients, "no client is connected that uses the ExposedService"},
		{ConditionXDSAccepted, ReasonRefusedByClient, "a client refuses what it was sent, and goes on with what it had"},
		{ConditionXDSAccepted, ReasonNotServed, "nothing is served, because the spec is not accepted"},
		{ConditionXDSAccepted, ReasonXDSDisabled, "spec.xds is set, and Headgate runs without its xDS server"},
	}
}

// HealthReason is the reason of a backend's health in the status.
type HealthReason string

const (
	// FaultNoReadyEndpoint: none of its endpoints is ready, or it has none.
	FaultNoReadyEndpoint HealthReason = "NoReadyEndpoint"
	// FaultTooFewReady: the share of its endpoints that is ready is below minReadyPercent.
	FaultTooFewReady HealthReason = "TooFewReady"
	// FaultCallsFail: its calls fail more often than errors.maxPercent allows.
	FaultCallsFail HealthReason = "CallsFail"
	// HealthRecovering: it has ready endpoints again, but not yet for long enough.
	HealthRecovering HealthReason = "Recovering"
	// HealthReady: enough of its endpoints are ready, and its calls do not fail.
	HealthReady HealthReason = "Ready"
	// HealthUncountable: its endpoints cannot be counted, and its calls do not fail.
	HealthUncountable HealthReason = "Uncountable"
	// HealthNotSeen: nothing new is known of it; it counts as what it was.
	HealthNotSeen HealthReason = "NotSeen"
)
