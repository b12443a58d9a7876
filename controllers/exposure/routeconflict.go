package exposure

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// refuseClaims looks for an older ExposedService that claims the same calls. Gateway API gives them to the
// oldest route and says nothing to the others, so Headgate does.
func (r *run) refuseClaims(ctx context.Context) {
	var others []*v1alpha1.ExposedService
	for _, claim := range refs.RouteClaims(r.exs) {
		var list v1alpha1.ExposedServiceList
		err := r.Client.List(ctx, &list, client.MatchingFields{index.ByRoute: claim}, client.UnsafeDisableDeepCopy)
		if err != nil {
			r.exposing.Fail(fmt.Errorf("list ExposedServices on Gateway %s: %w", refs.Gateway(r.exs), err))
			return
		}
		for i := range list.Items {
			others = append(others, &list.Items[i])
		}
	}
	problem := routeConflict(r.exs, others)
	switch {
	case problem == nil:
	case r.live.Route != nil:
		// It serves already. Gateway API gives the calls to the oldest route, and this one is kept current.
		r.expansion = r.expansion.With(*problem)
	default:
		r.expansion = r.expansion.Without(gateway.RouteRef(r.exs), *problem)
	}
}

// routeConflict finds the oldest of the others that wants a call which exs wants too and came
// before it: by creation, then by name.
func routeConflict(exs *v1alpha1.ExposedService, others []*v1alpha1.ExposedService) *gateway.Problem {
	others = slices.SortedFunc(slices.Values(others), func(a, b *v1alpha1.ExposedService) int { return refs.ByAge(a, b) })
	for _, other := range others {
		if refs.ByAge(other, exs) >= 0 || refs.Gateway(other) != refs.Gateway(exs) || !sectionsOverlap(other, exs) {
			continue
		}
		host, match, found := commonClaim(exs, other)
		if !found {
			continue
		}
		return &gateway.Problem{Reason: v1alpha1.ReasonRouteConflict, Message: fmt.Sprintf(
			"ExposedService %s/%s, which is older, has the same %s and %s on Gateway %s: change spec.hostnames or spec.rules of one of them, or delete one",
			other.Namespace, other.Name, host, match, refs.Gateway(exs))}
	}
	return nil
}

// sectionsOverlap: no section means every listener.
func sectionsOverlap(a, b *v1alpha1.ExposedService) bool {
	x, y := sectionOf(a), sectionOf(b)
	return x == "" || y == "" || x == y
}

func sectionOf(exs *v1alpha1.ExposedService) string {
	if exs.Spec.Gateway == nil || exs.Spec.Gateway.ParentRef == nil {
		return ""
	}
	return ptr.Deref(exs.Spec.Gateway.ParentRef.SectionName, "")
}

// commonClaim describes the first host and match that both have.
func commonClaim(a, b *v1alpha1.ExposedService) (host, match string, found bool) {
	hosts, matches := refs.Hosts(b), refs.Matches(b)
	for _, h := range refs.Hosts(a) {
		if !slices.Contains(hosts, h) {
			continue
		}
		for _, m := range refs.Matches(a) {
			if !slices.Contains(matches, m) {
				continue
			}
			host, match = "host "+h, "match "+m
			if h == "" {
				host = "claim to every host"
			}
			if m == "" {
				match = "claim to every call"
			}
			return host, match, true
		}
	}
	return "", "", false
}
