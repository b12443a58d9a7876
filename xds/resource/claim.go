package resource

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// claim is a host that only one ExposedService of a namespace can have. Those of other namespaces have nothing to do with it: no client
// sees both, but one that reads all namespaces ([Resource.Since]).
type claim struct {
	namespace string
	// port is that of Envoy, for hosts that gRPC clients cannot dial: those with a wildcard.
	port v1alpha1.PortNumber
	host string
}

// claimsOf are the claims of an ExposedService, with the field that makes each. Its own name, [ClientName], is not among them: it belongs
// to each before anybody's host names.
func claimsOf(exs *v1alpha1.ExposedService) (order []claim, fields map[claim]string) {
	fields = map[claim]string{}
	add := func(host, field string) {
		c := claim{namespace: exs.Namespace, host: host}
		if strings.HasPrefix(host, "*") {
			if exs.Spec.XDS.Port == nil {
				return // no client asks for it
			}
			c.port = *exs.Spec.XDS.Port
		}
		order = append(order, c)
		fields[c] = field
	}
	for i, hostname := range exs.Spec.Hostnames {
		if string(hostname) != ClientName(exs) {
			add(string(hostname), fmt.Sprintf("spec.hostnames[%d]", i))
		}
	}
	if len(exs.Spec.Hostnames) == 0 {
		add(everyHost, "spec.hostnames")
	}
	return order, fields
}

// Lost is what an ExposedService claims and does not get.
type Lost struct {
	// Hosts are those that another one of the namespace has.
	Hosts []string
	// Problem names the first of them, and who has it.
	Problem Problem
}

// Conflicts says which ExposedServices claim a host that another one of their namespace has. Who has it keeps it, which is what
// status.xds.hosts says; where nobody has it, it goes to the oldest, by creation and then by name. Who loses a host has all
// its others.
func Conflicts(services []*v1alpha1.ExposedService) map[types.NamespacedName]Lost {
	byAge := slices.SortedFunc(slices.Values(services), olderFirst)
	byAge = slices.DeleteFunc(byAge, func(exs *v1alpha1.ExposedService) bool { return exs.Spec.XDS == nil })
	holders := holdersOf(byAge)
	out := map[types.NamespacedName]Lost{}
	for _, exs := range byAge {
		claims, fields := claimsOf(exs)
		var lost Lost
		for _, c := range claims {
			holder := holders[c]
			if holder == exs {
				continue
			}
			if len(lost.Hosts) == 0 {
				lost.Problem = conflict(c, fields[c], holder)
			}
			lost.Hosts = append(lost.Hosts, c.host)
		}
		if len(lost.Hosts) > 0 {
			out[keyOf(exs)] = lost
		}
	}
	return out
}

// holdersOf are those who have what is claimed. The oldest of the services comes first.
func holdersOf(byAge []*v1alpha1.ExposedService) map[claim]*v1alpha1.ExposedService {
	holders := map[claim]*v1alpha1.ExposedService{}
	for _, exs := range byAge {
		holders[claim{namespace: exs.Namespace, host: ClientName(exs)}] = exs
	}
	for _, havingIt := range []bool{true, false} {
		for _, exs := range byAge {
			claims, _ := claimsOf(exs)
			for _, c := range claims {
				if holders[c] == nil && (!havingIt || has(exs, c)) {
					holders[c] = exs
				}
			}
		}
	}
	return holders
}

// has says whether the status of an ExposedService has it that a claim is its.
func has(exs *v1alpha1.ExposedService, c claim) bool {
	xds := exs.Status.XDS
	return xds != nil && slices.Contains(xds.Hosts, c.host) && (c.port == 0 || c.port == xds.Port)
}

// ForeignHosts are claims by the words of the spec, in which "" stands for every host.
func ForeignHosts(hosts []string) []string {
	out := slices.Clone(hosts)
	for i, host := range out {
		if host == "" {
			out[i] = everyHost
		}
	}
	return out
}

// HostsOf are the hosts that an ExposedService has, for its status: those that it claims, without those that it lost.
func HostsOf(exs *v1alpha1.ExposedService, lost []string) []string {
	claims, _ := claimsOf(exs)
	var hosts []string
	for _, c := range claims {
		if !slices.Contains(lost, c.host) {
			hosts = append(hosts, c.host)
		}
	}
	return hosts
}

func conflict(c claim, field string, holder *v1alpha1.ExposedService) Problem {
	who, change := keyOf(holder), "spec.hostnames"
	var has string
	switch {
	case c.host == ClientName(holder):
		has = fmt.Sprintf("gRPC clients find ExposedService %s by the name %s", who, c.host)
	case c.host == everyHost:
		has, change = fmt.Sprintf("ExposedService %s takes the calls for every other host on port %d", who, c.port), "spec.hostnames or spec.xds.port"
	case c.port != 0:
		has, change = fmt.Sprintf("ExposedService %s has host %s on port %d", who, c.host, c.port), "spec.hostnames or spec.xds.port"
	default:
		has = fmt.Sprintf("ExposedService %s has host %s", who, c.host)
	}
	return Problem{
		Reason: v1alpha1.ReasonRouteConflict, Partial: true,
		Message: fmt.Sprintf("%s: %s, and keeps it; everything else is served: change %s of one of them, or delete one", field, has, change),
	}
}

func olderFirst(a, b *v1alpha1.ExposedService) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
