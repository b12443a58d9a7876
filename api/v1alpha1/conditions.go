package v1alpha1

// Condition types of an ExposedService. All but Reconciling and Stalled are always present once
// the object was looked at; Reconciling and Stalled are present only while they are True, as
// kstatus wants it.
const (
	// ConditionReady sums up the others: True when Accepted and Exposed are.
	ConditionReady = "Ready"
	// ConditionAccepted says whether the spec makes sense together with what it names: every
	// Service, port, GatewayClass, Gateway and permission is there.
	ConditionAccepted = "Accepted"
	// ConditionExposed says whether the objects that Headgate made are accepted and programmed by
	// the data plane.
	ConditionExposed = "Exposed"
	// ConditionPriorityFailover says whether Envoy itself leaves a backend that is down, and if
	// not, why not and what to enable.
	ConditionPriorityFailover = "PriorityFailover"
	// ConditionBackendsHealthy says whether every backend can serve.
	ConditionBackendsHealthy = "BackendsHealthy"
	// ConditionFailedOver says whether another backend than the first serves.
	ConditionFailedOver = "FailedOver"
	// ConditionSignalsAvailable says whether the source that spec.failover.errors asks can be read. It
	// is there only with spec.failover.errors. While it is not True, nothing is decided from errors.
	ConditionSignalsAvailable = "SignalsAvailable"
	// ConditionXDSAccepted says whether the clients that Headgate serves over xDS have taken what they were
	// sent. It is there only with spec.xds.
	ConditionXDSAccepted = "XDSAccepted"
	// ConditionReconciling is True while Headgate or the data plane still works on the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when nothing will change until somebody acts.
	ConditionStalled = "Stalled"
)

// Reason is the reason of a condition: one word for programs, beside the message for people.
type Reason string

// Reasons of Accepted, and of Ready and Stalled when Accepted is False.
const (
	// ReasonAccepted: everything that the spec names is there.
	ReasonAccepted Reason = "Accepted"
	// ReasonGatewayClassNotFound: spec.gateway.className names no GatewayClass.
	ReasonGatewayClassNotFound Reason = "GatewayClassNotFound"
	// ReasonGatewayNotFound: spec.gateway.parentRef names no Gateway.
	ReasonGatewayNotFound Reason = "GatewayNotFound"
	// ReasonGatewayAPIMissing: the cluster does not have the kinds of Gateway API.
	ReasonGatewayAPIMissing Reason = "GatewayAPIMissing"
	// ReasonServiceNotFound: a backend names no Service.
	ReasonServiceNotFound Reason = "ServiceNotFound"
	// ReasonPortNotFound: a backend's Service does not have the port.
	ReasonPortNotFound Reason = "PortNotFound"
	// ReasonServiceNotSupported: a backend's Service is of a kind that cannot be taken.
	ReasonServiceNotSupported Reason = "ServiceNotSupported"
	// ReasonRefNotPermitted: a reference into another namespace has no ReferenceGrant.
	ReasonRefNotPermitted Reason = "RefNotPermitted"
	// ReasonBackendNotSupported: the data plane cannot serve a backend of this kind.
	ReasonBackendNotSupported Reason = "BackendNotSupported"
	// ReasonInvalidOverride: an override cannot be merged.
	ReasonInvalidOverride Reason = "InvalidOverride"
	// ReasonNameConflict: an object that Headgate did not make has the name that it needs.
	ReasonNameConflict Reason = "NameConflict"
	// ReasonRouteConflict: an older ExposedService has the same host and match on the same Gateway.
	ReasonRouteConflict Reason = "RouteConflict"
	// ReasonWorkloadNotFound: spec.rollout.workloadRef names no Deployment.
	ReasonWorkloadNotFound Reason = "WorkloadNotFound"
	// ReasonWorkloadConflict: somebody else manages the Deployment: an older ExposedService, Flagger or Argo Rollouts.
	ReasonWorkloadConflict Reason = "WorkloadConflict"
	// ReasonWorkloadNotSupported: no canary can be made of the Deployment.
	ReasonWorkloadNotSupported Reason = "WorkloadNotSupported"
	// ReasonRolloutNotSupported: spec.rollout asks for something that Headgate does not do.
	ReasonRolloutNotSupported Reason = "RolloutNotSupported"
	// ReasonXDSDisabled: spec.xds is set, and Headgate runs without its xDS server.
	ReasonXDSDisabled Reason = "XDSDisabled"
	// ReasonFieldsIgnored: the data plane cannot do everything that is asked for; the rest works.
	// It is the one reason with which Accepted is True although something is missing.
	ReasonFieldsIgnored Reason = "FieldsIgnored"
)

// Reasons of Exposed, and of Ready when Accepted is True.
const (
	// ReasonExposed: the data plane has accepted and programmed everything.
	ReasonExposed Reason = "Exposed"
	// ReasonPending: the data plane has not yet said what it thinks of the newest objects.
	ReasonPending Reason = "Pending"
	// ReasonNotAccepted: nothing is exposed, because the spec is not accepted.
	ReasonNotAccepted Reason = "NotAccepted"
	// ReasonApplyFailed: the API server refused an object.
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
	// ReasonClassNotSupported: the GatewayClass is not Envoy Gateway's.
	ReasonClassNotSupported Reason = "ClassNotSupported"
	// ReasonBackendAPIDisabled: Envoy Gateway's Backend API is off or not installed.
	ReasonBackendAPIDisabled Reason = "BackendAPIDisabled"
	// ReasonPatchAPIDisabled: Envoy Gateway's EnvoyPatchPolicy API is off or not installed.
	ReasonPatchAPIDisabled Reason = "PatchAPIDisabled"
	// ReasonHostBackend: a backend outside the cluster cannot share a cluster of Envoy with Services.
	ReasonHostBackend Reason = "HostBackend"
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

// Labels and annotations that Headgate puts on the objects that it makes.
const (
	// LabelManagedBy is the standard label that names the program that manages an object.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy, and the field manager of server-side apply.
	ManagedBy = "headgate"
	// LabelOwnerName holds the name of the ExposedService that an object was made for.
	LabelOwnerName = "headgate.dev/exposedservice"
	// LabelOwnerNamespace holds its namespace.
	LabelOwnerNamespace = "headgate.dev/exposedservice-namespace"
	// LabelBackend holds the name of the backend that an object was made for, if it was for one.
	LabelBackend = "headgate.dev/backend"
	// AnnotationIntent holds a hash of what was last applied, so that a removed field is noticed.
	AnnotationIntent = "headgate.dev/intent"
	// Finalizer guards the objects in other namespaces, which no owner reference can reach.
	Finalizer = "headgate.dev/cleanup"
)
