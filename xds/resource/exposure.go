package resource

import (
	"net/netip"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Exposure is an ExposedService together with what is known of its backends. Nothing in it is written to.
type Exposure struct {
	// Service is the ExposedService. Its status.traffic is the decision that is followed; before the
	// first decision the first backend serves.
	Service *v1alpha1.ExposedService
	// Backends is what is known of each backend of the spec, and of the canary, by name. A backend of
	// the spec that is missing here has no endpoints. A name in the decision that is neither here nor in
	// the spec is not followed: its share is that of the serving backend.
	Backends map[string]Backend
	// Slots are those of the first backend and of the canary, by name, where versions of the first backend take turns in two slots. A slot
	// that is nobody's has no name here. Nil: there are none.
	Slots map[string]v1alpha1.Slot
	// Lost are the hosts that it claims and that another one has ([Conflicts]).
	Lost []string
	// Foreign are the hosts that it claims and that do not belong to its namespace. Lost has them as well.
	Foreign []string
}

// Backend is what is known of a backend, or of a canary.
type Backend struct {
	// Endpoints are its endpoints, in any order: those in the EndpointSlices of its Service, or the
	// addresses that its host name resolves to.
	Endpoints []Endpoint
	// Port is the port by which the cluster knows it: that of its Service. 0: it is not known.
	Port int32
	// Probe is the service name in the gRPC readiness probe that all of its pods declare on the
	// backend's port. Nil: one of them declares none, or nothing is known of any.
	Probe *string
}

// Endpoint is something that calls go to. It has the fields of signals.Endpoint, so that one converts
// to the other.
type Endpoint struct {
	// Addresses are its addresses, one for each IP family. Those without a port, with a zone, or that
	// name no single host are passed over.
	Addresses []netip.AddrPort
	// Ready: it is to get calls.
	Ready bool
	// Serving: it answers calls, whether or not it is to get new ones.
	Serving bool
	// Terminating: it is going away.
	Terminating bool
}

func keyOf(exs *v1alpha1.ExposedService) types.NamespacedName {
	return types.NamespacedName{Namespace: exs.Namespace, Name: exs.Name}
}
