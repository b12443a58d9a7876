package gateway

import (
	"slices"

	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// GrantNamespaces are the other namespaces that the spec refers to, in order: what may be used of them is in
// their ReferenceGrants.
func GrantNamespaces(exs *v1alpha1.ExposedService) []string {
	var out []string
	if exs.Spec.Gateway != nil {
		out = append(out, GatewayRef(exs).Namespace)
	}
	for _, b := range exs.Spec.Backends {
		out = append(out, backend{Backend: b}.namespace(exs))
	}
	if exs.Spec.Rollout != nil && exs.Spec.Rollout.Canary != nil {
		out = append(out, backend{Backend: canaryBackend(&exs.Spec.Rollout.Canary.Service)}.namespace(exs))
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(namespace string) bool { return namespace == exs.Namespace })
}

// unwatched says of a namespace that Headgate does not look into it, and what to do; empty: it does.
func (f Facts) unwatched(namespace string) string {
	if len(f.Watched) == 0 || slices.Contains(f.Watched, namespace) {
		return ""
	}
	return "namespace " + namespace + " is not watched by Headgate: add it to watchNamespaces (--watch-namespace)"
}

// granted says whether a ReferenceGrant in the namespace of `to` lets objects of one of the kinds `from`
// in the ExposedService's namespace refer to the object.
func granted(exs *v1alpha1.ExposedService, facts Facts, to Ref, from ...Ref) bool {
	for _, grant := range facts.Grants {
		if grant.Namespace == to.Namespace && grantsFrom(grant, exs.Namespace, from) && grantsTo(grant, to) {
			return true
		}
	}
	return false
}

func grantsFrom(grant gwapiv1.ReferenceGrant, namespace string, from []Ref) bool {
	for _, have := range grant.Spec.From {
		for _, want := range from {
			if string(have.Group) == want.Group && string(have.Kind) == want.Kind && string(have.Namespace) == namespace {
				return true
			}
		}
	}
	return false
}

func grantsTo(grant gwapiv1.ReferenceGrant, to Ref) bool {
	for _, have := range grant.Spec.To {
		if string(have.Group) == to.Group && string(have.Kind) == to.Kind && (have.Name == nil || string(*have.Name) == to.Name) {
			return true
		}
	}
	return false
}

// The kinds on whose behalf a reference into another namespace may be granted.
var (
	fromExposedService = Ref{Group: v1alpha1.GroupVersion.Group, Kind: v1alpha1.KindExposedService}
	fromGRPCRoute      = Ref{Group: gwapiv1.GroupName, Kind: KindGRPCRoute}
)
