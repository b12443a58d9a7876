package resource

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// claim is something that only one ExposedService can have.
type claim struct {
	// listener is the port of Envoy on which it is a host; none: it is a name that gRPC clients dial.
	listener listenerKey
	host     string
}

// listenerKey names a port of Envoy.
type listenerKey struct {
	namespace string
	port      v1alpha1.PortNumber
}

// claimsOf are the claims of an ExposedService, with the field that makes each.
func claimsOf(exs *v1alpha1.ExposedService) ([]claim, map[claim]string) {
	var order []claim
	fields := map[claim]string{}
	add := func(c claim, field string) {
		order = append(order, c)
		fields[c] = field
	}
	if port := exs.Spec.XDS.Port; port != nil {
		listener := listenerKey{exs.Namespace, *port}
		for i, hostname := range exs.Spec.Hostnames {
			add(claim{listener, string(hostname)}, fmt.Sprintf("spec.hostnames[%d]", i))
		}
		if len(exs.Spec.Hostnames) == 0 {
			add(claim{listener, everyHost}, "spec.hostnames")
		}
	}
	for _, name := range clientNames(exs)[1:] {
		i := slices.Index(exs.Spec.Hostnames, v1alpha1.Hostname(name))
		add(claim{host: name}, fmt.Sprintf("spec.hostnames[%d]", i))
	}
	return order, fields
}

// Conflicts says which ExposedServices claim what another one has: a host on a port of Envoy in their
// namespace, or a name that gRPC clients dial, wherever. The older keeps it, by creation, then by
// namespace and name; the name of its own, ClientName, belongs to each before anybody's host names. Who loses one
// claim makes none, so that nobody loses to a loser.
func Conflicts(services []*v1alpha1.ExposedService) map[types.NamespacedName]Problem {
	holders := map[claim]*v1alpha1.ExposedService{}
	byAge := slices.SortedFunc(slices.Values(services), olderFirst)
	byAge = slices.DeleteFunc(byAge, func(exs *v1alpha1.ExposedService) bool { return exs.Spec.XDS == nil })
	for _, exs := range byAge {
		holders[claim{host: ClientName(exs)}] = exs
	}
	problems := map[types.NamespacedName]Problem{}
	for _, exs := range byAge {
		claims, fields := claimsOf(exs)
		at := slices.IndexFunc(claims, func(c claim) bool { return holders[c] != nil && holders[c] != exs })
		if at >= 0 {
			problems[keyOf(exs)] = conflict(claims[at], fields[claims[at]], holders[claims[at]])
			continue
		}
		for _, c := range claims {
			holders[c] = exs
		}
	}
	return problems
}

func conflict(c claim, field string, holder *v1alpha1.ExposedService) Problem {
	who, change := keyOf(holder), "spec.hostnames or spec.xds.port"
	if c.listener == (listenerKey{}) {
		change = "spec.hostnames"
	}
	var has string
	switch {
	case c.listener == (listenerKey{}) && c.host == ClientName(holder):
		has = fmt.Sprintf("gRPC clients find ExposedService %s by the name %s", who, c.host)
	case c.listener == (listenerKey{}):
		has = fmt.Sprintf("ExposedService %s, which is older, has host %s for gRPC clients", who, c.host)
	case c.host == everyHost:
		has = fmt.Sprintf("ExposedService %s, which is older, takes the calls for every other host on port %d", who, c.listener.port)
	default:
		has = fmt.Sprintf("ExposedService %s, which is older, has host %s on port %d", who, c.host, c.listener.port)
	}
	return Problem{v1alpha1.ReasonRouteConflict, fmt.Sprintf("%s: %s: change %s of one of them, or delete one", field, has, change)}
}

func olderFirst(a, b *v1alpha1.ExposedService) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
