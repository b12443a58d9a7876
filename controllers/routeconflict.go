package controllers

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// refuseRouteConflicts looks for an older ExposedService that claims the same calls. Gateway API
// gives them to the oldest route and says nothing to the others, so Headgate does.
func (r *exposureReconciler) refuseRouteConflicts(ctx context.Context, s *scope) error {
	var others []*v1alpha1.ExposedService
	for _, claim := range routeClaims(s.exs) {
		var list v1alpha1.ExposedServiceList
		err := r.client.List(ctx, &list, client.MatchingFields{indexRoute: claim}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return fmt.Errorf("list ExposedServices on Gateway %s: %w", gatewayKey(s.exs), err)
		}
		for i := range list.Items {
			others = append(others, &list.Items[i])
		}
	}
	problem := routeConflict(s.exs, others)
	switch {
	case problem == nil:
	case s.facts.LiveWeights != nil:
		// It serves already. Gateway API gives the calls to the oldest route, and this one is kept current.
		s.expansion = s.expansion.With(*problem)
	default:
		s.expansion = s.expansion.Without(gateway.RouteRef(s.exs), *problem)
	}
	return nil
}

// routeConflict finds the oldest of the others that wants a call which exs wants too and came
// before it: by creation, then by name.
func routeConflict(exs *v1alpha1.ExposedService, others []*v1alpha1.ExposedService) *gateway.Problem {
	others = slices.SortedFunc(slices.Values(others), byAge)
	for _, other := range others {
		if byAge(other, exs) >= 0 || gatewayKey(other) != gatewayKey(exs) || !sectionsOverlap(other, exs) {
			continue
		}
		host, match, found := commonClaim(exs, other)
		if !found {
			continue
		}
		return &gateway.Problem{Reason: v1alpha1.ReasonRouteConflict, Message: fmt.Sprintf(
			"ExposedService %s/%s, which is older, has the same %s and %s on Gateway %s: change spec.hostnames or spec.rules of one of them, or delete one",
			other.Namespace, other.Name, host, match, gatewayKey(exs))}
	}
	return nil
}

func byAge(a, b *v1alpha1.ExposedService) int {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	}
	return compareKeys(client.ObjectKeyFromObject(a), client.ObjectKeyFromObject(b))
}

func compareKeys(a, b client.ObjectKey) int {
	switch {
	case a == b:
		return 0
	case a.Namespace < b.Namespace, a.Namespace == b.Namespace && a.Name < b.Name:
		return -1
	}
	return 1
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
	hosts, matches := claimedHosts(b), claimedMatches(b)
	for _, h := range claimedHosts(a) {
		if !slices.Contains(hosts, h) {
			continue
		}
		for _, m := range claimedMatches(a) {
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
