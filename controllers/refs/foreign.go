package refs

import (
	"strings"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// ClaimsOfObject are the claims of a GRPCRoute or an HTTPRoute, whoever has written it, of each Gateway that it names. Those of an
// HTTPRoute are for the calls that have one of its paths.
func ClaimsOfObject(object client.Object) []Claims {
	switch route := object.(type) {
	case *gwapiv1.GRPCRoute:
		return claimsOf(route.Namespace, route.Spec.CommonRouteSpec, route.Spec.Hostnames, matchesOf(route))
	case *gwapiv1.HTTPRoute:
		matches := pathsOf(route)
		if len(matches) == 0 && len(route.Spec.Rules) > 0 {
			return nil // None of its paths is that of a call.
		}
		return claimsOf(route.Namespace, route.Spec.CommonRouteSpec, route.Spec.Hostnames, matches)
	}
	return nil
}

func matchesOf(route *gwapiv1.GRPCRoute) []string {
	var out []string
	for _, rule := range route.Spec.Rules {
		if len(rule.Matches) == 0 {
			out = append(out, "")
		}
		for _, match := range rule.Matches {
			out = append(out, routeMatchText(match))
		}
	}
	return out
}

func pathsOf(route *gwapiv1.HTTPRoute) []string {
	var out []string
	for _, rule := range route.Spec.Rules {
		if len(rule.Matches) == 0 {
			out = append(out, "")
		}
		for _, match := range rule.Matches {
			if text, takesCalls := pathText(match.Path); takesCalls {
				out = append(out, text)
			}
		}
	}
	return out
}

func claimsOf(namespace string, spec gwapiv1.CommonRouteSpec, hosts []gwapiv1.Hostname, matches []string) []Claims {
	var out []Claims
	for _, parent := range spec.ParentRefs {
		if ptr.Deref(parent.Kind, "Gateway") != "Gateway" {
			continue
		}
		claims := Claims{
			Namespace: namespace,
			Gateway:   string(ptr.Deref(parent.Namespace, gwapiv1.Namespace(namespace))) + "/" + string(parent.Name),
			Section:   string(ptr.Deref(parent.SectionName, "")), Matches: append([]string(nil), matches...),
		}
		for _, host := range hosts {
			claims.Hosts = append(claims.Hosts, string(host))
		}
		out = append(out, claims.ordered())
	}
	return out
}

// pathText is the match of the calls that have a path, which is /<service>/<method>. False: no call has it.
func pathText(path *gwapiv1.HTTPPathMatch) (text string, takesCalls bool) {
	if path == nil {
		return "", true
	}
	value, kind := ptr.Deref(path.Value, "/"), ptr.Deref(path.Type, gwapiv1.PathMatchPathPrefix)
	if kind != gwapiv1.PathMatchExact && kind != gwapiv1.PathMatchPathPrefix {
		return "", true // Whatever a regular expression takes.
	}
	value = strings.Trim(value, "/")
	if value == "" {
		// A prefix takes all, and the path of no call is "/".
		return "", kind == gwapiv1.PathMatchPathPrefix
	}
	parts := strings.Split(value, "/")
	switch {
	case len(parts) > 2, len(parts) == 1 && kind == gwapiv1.PathMatchExact:
		return "", false
	case len(parts) == 1:
		return matchText(v1alpha1.Match{Service: &parts[0]}), true
	}
	return matchText(v1alpha1.Match{Service: &parts[0], Method: &parts[1]}), true
}
