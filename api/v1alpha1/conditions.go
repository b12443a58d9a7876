package v1alpha1

// Condition types of an ExposedService. All but Reconciling and Stalled are always present once
// the object was looked at; Reconciling and Stalled are present only while they are True, as
// kstatus wants it.
const (
	// ConditionReady says whether calls can be made. It is True as long as the data plane serves, whatever
	// is wrong with a backend that others stand in for, with a rollout or with a part of the spec.
	ConditionReady = "Ready"
	// ConditionAccepted says whether the spec can be served as it is. While it is False, everything but what
	// it names goes on.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether every backend, workload and canary Service that the spec names is
	// there and may be used, as the condition of a route of Gateway API does.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionExposed says whether the data plane has accepted and programmed everything that Headgate made.
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
	// AnnotationBesides holds the names of the backends whose endpoints a fallback has beside those of the backend that it was made
	// for, separated by commas.
	AnnotationBesides = "headgate.dev/besides"
	// AnnotationIntent holds a hash of what was last applied, so that a removed field is noticed.
	AnnotationIntent = "headgate.dev/intent"
	// AnnotationHostnames of a Namespace holds the host names that its ExposedServices may have, separated by commas, such as
	// "api.example.com, *.shop.example.com".
	AnnotationHostnames = "headgate.dev/hostnames"
	// Finalizer guards the objects in other namespaces, which no owner reference can reach.
	Finalizer = "headgate.dev/cleanup"
)
