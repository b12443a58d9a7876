package refs

import (
	"encoding/json"
	"slices"
	"strings"

	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Claims are the calls of a Gateway that an ExposedService wants, or that a route has: those that meet one of the
// matches at one of the hosts.
type Claims struct {
	// Namespace is that of whoever claims.
	Namespace string
	// Gateway is the "namespace/name"; empty: nothing is claimed of any.
	Gateway string
	// Section is the listener; empty: every one.
	Section string
	// Hosts are host names. None at all is a claim of its own, "", because Gateway API prefers a route with host names to one
	// without.
	Hosts []string
	// Matches are written so that equal ones are equal strings; "" is every call.
	Matches []string
}

// Claim is one pair of host and match.
type Claim struct{ Host, Match string }

// ClaimsOf are the claims that the spec of an ExposedService makes.
func ClaimsOf(exs *v1alpha1.ExposedService) Claims {
	if exs.Spec.Gateway == nil {
		return Claims{}
	}
	out := Claims{Namespace: exs.Namespace, Gateway: Gateway(exs).String()}
	if ref := exs.Spec.Gateway.ParentRef; ref != nil {
		out.Section = ptr.Deref(ref.SectionName, "")
	}
	for _, hostname := range exs.Spec.Hostnames {
		out.Hosts = append(out.Hosts, string(hostname))
	}
	for _, rule := range exs.Spec.Rules {
		for _, match := range rule.Matches {
			out.Matches = append(out.Matches, matchText(match))
		}
	}
	return out.ordered()
}

// Without are the claims without some hosts; "" is the claim to all.
func (c Claims) Without(hosts []string) Claims {
	if len(hosts) == 0 {
		return c
	}
	c.Hosts = slices.DeleteFunc(slices.Clone(c.Hosts), func(host string) bool { return slices.Contains(hosts, host) })
	return c
}

// ClaimsOfRoute are the claims of a live route, of the Gateway that it names first.
func ClaimsOfRoute(route *gwapiv1.GRPCRoute) Claims {
	if all := ClaimsOfObject(route); len(all) > 0 {
		return all[0]
	}
	return Claims{}
}

// ordered sorts hosts and matches, and says that there are none by the claim to all.
func (c Claims) ordered() Claims {
	for _, list := range []*[]string{&c.Hosts, &c.Matches} {
		if len(*list) == 0 {
			*list = []string{""}
		}
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return c
}

// common are the strings in both of two lists, which are sorted.
func common(a, b []string) []string {
	var out []string
	for _, text := range a {
		if _, found := slices.BinarySearch(b, text); found {
			out = append(out, text)
		}
	}
	return out
}

// Cover says whether all that the others claim is claimed here, on the same listeners.
func (c Claims) Cover(other Claims) bool {
	return c.Gateway == other.Gateway && c.Section == other.Section &&
		len(common(other.Hosts, c.Hosts)) == len(other.Hosts) && len(common(other.Matches, c.Matches)) == len(other.Matches)
}

// HostKeys are one value for each host.
func (c Claims) HostKeys() []string {
	if c.Gateway == "" {
		return nil
	}
	out := make([]string, 0, len(c.Hosts))
	for _, host := range c.Hosts {
		out = append(out, c.Gateway+" "+host)
	}
	return out
}

// matchText writes a match so that those that mean the same are equal.
func matchText(match v1alpha1.Match) string {
	switch {
	case match.Service == nil && match.Method == nil:
		match.Type = ""
	case match.Type == "":
		match.Type = v1alpha1.MatchExact
	}
	match.Headers = slices.Clone(match.Headers)
	for i := range match.Headers {
		header := &match.Headers[i]
		header.Name = strings.ToLower(header.Name)
		if header.Type == "" {
			header.Type = v1alpha1.MatchExact
		}
	}
	slices.SortFunc(match.Headers, func(a, b v1alpha1.HeaderMatch) int { return strings.Compare(a.Name, b.Name) })
	if match.Type == "" && len(match.Headers) == 0 {
		return ""
	}
	text, err := json.Marshal(match)
	if err != nil {
		// A struct of strings can always be written.
		return ""
	}
	return string(text)
}

func routeMatchText(match gwapiv1.GRPCRouteMatch) string {
	var out v1alpha1.Match
	if method := match.Method; method != nil {
		out.Type, out.Service, out.Method = v1alpha1.MatchType(ptr.Deref(method.Type, "")), method.Service, method.Method
	}
	for _, header := range match.Headers {
		out.Headers = append(out.Headers, v1alpha1.HeaderMatch{
			Type: v1alpha1.MatchType(ptr.Deref(header.Type, "")), Name: string(header.Name), Value: header.Value,
		})
	}
	return matchText(out)
}
