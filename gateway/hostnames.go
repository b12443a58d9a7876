package gateway

import (
	"fmt"
	"slices"
	"strings"

	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/hostname"
)

// HostOwnership says which host names are those of a namespace.
type HostOwnership struct {
	// Enforced: an ExposedService may have only host names that its namespace owns.
	Enforced bool
	// Own are the patterns of its namespace, Others those of all other namespaces ([ParseHostPatterns]).
	Own, Others []string
}

// ParseHostPatterns reads a list of host names from an annotation, separated by commas: "api.example.com", "*.shop.example.com" for
// all names below, and "*" for all names there are.
func ParseHostPatterns(annotation string) []string {
	var out []string
	for entry := range strings.SplitSeq(annotation, ",") {
		if entry = strings.ToLower(strings.TrimSpace(entry)); entry != "" {
			out = append(out, entry)
		}
	}
	return out
}

// OwnsHost says whether patterns cover a host name of a spec; "" stands for all.
func OwnsHost(patterns []string, host string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return hostname.Covers(pattern, host) })
}

// Foreign are the host names of the spec that are not the namespace's own, in order; "" stands for a spec without host names, which has all.
// None where ownership is not enforced.
func (o HostOwnership) Foreign(exs *v1alpha1.ExposedService) []string {
	if !o.Enforced {
		return nil
	}
	return slices.DeleteFunc(hostsOf(exs), func(host string) bool { return OwnsHost(o.Own, host) })
}

// Taken says whether a host name belongs to another namespace, and not to this one; "" stands for all.
func (o HostOwnership) Taken(host string) bool {
	return o.Enforced && !OwnsHost(o.Own, host) && OwnsHost(o.Others, host)
}

func hostsOf(exs *v1alpha1.ExposedService) []string {
	if len(exs.Spec.Hostnames) == 0 {
		return []string{""}
	}
	out := make([]string, 0, len(exs.Spec.Hostnames))
	for _, host := range exs.Spec.Hostnames {
		out = append(out, string(host))
	}
	return out
}

// foreignHosts says which host names may not be had here; nil: they all may.
func (r Resolved) foreignHosts() *Problem {
	foreign := r.facts.Hostnames.Foreign(r.exs)
	if len(foreign) == 0 {
		return nil
	}
	have := "none"
	if len(r.facts.Hostnames.Own) > 0 {
		have = strings.Join(r.facts.Hostnames.Own, ", ")
	}
	what := fmt.Sprintf("host %s does", foreign[0])
	switch {
	case foreign[0] == "":
		what = "without host names it would have all, which do"
	case len(foreign) > 1:
		what = fmt.Sprintf("hosts %s do", strings.Join(foreign, ", "))
	}
	return &Problem{Reason: v1alpha1.ReasonHostnameNotPermitted, Message: fmt.Sprintf(
		"spec.hostnames: %s not belong to namespace %s, which has %s: choose names of these, or ask the cluster's owners for more (annotation %s of the namespace)",
		what, r.exs.Namespace, have, v1alpha1.AnnotationHostnames)}
}

// hostnames are those that the route is to have; false: none, and so no route. A route that is there keeps a host name of the spec that
// belongs to nobody: whoever turns ownership on before all namespaces have theirs ends no traffic.
func (e *expansion) hostnames() (names []gwapiv1.Hostname, has bool) {
	foreign := e.facts.Hostnames.Foreign(e.exs)
	for _, host := range hostsOf(e.exs) {
		if slices.Contains(foreign, host) && (!e.isLive(host) || e.facts.Hostnames.Taken(host)) {
			continue
		}
		has = true
		if host != "" {
			names = append(names, gwapiv1.Hostname(host))
		}
	}
	return names, has
}

// withoutForeignRoute takes out a route that may have no host name at all, which would have all. A live one goes.
func (e *expansion) withoutForeignRoute() {
	if _, has := e.hostnames(); has {
		return
	}
	route := RouteRef(e.exs)
	delete(e.out.exists, route)
	refuse(&e.out, route)
	e.out.Kept = slices.DeleteFunc(e.out.Kept, func(ref Ref) bool { return ref == route })
}

// isLive says whether the live route has a host name.
func (e *expansion) isLive(host string) bool {
	live := e.facts.LiveRoute
	if live == nil {
		return false
	}
	if len(live.Spec.Hostnames) == 0 {
		return host == ""
	}
	return slices.Contains(live.Spec.Hostnames, gwapiv1.Hostname(host))
}
