package resource

import (
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
)

// slotClusters are the clusters where versions of the first backend take turns in two slots.
//
// Each slot is a locality and has a cluster in which it comes first, the other one behind it, and then the other backends: always in
// this order, with endpoints or without. Who is promoted stays in its slot and in its cluster, with its connections and what Envoy
// knows of their health. That of the stable version is the main one. In it the canary has no endpoints, so that no call goes there
// which the route does not send; but while it is promoted, the stable version is about to have none.
func (s *service) slotClusters(e Exposure) []ordered {
	endpoints := ownEndpoints(e)
	first := s.exs.Spec.Backends[0].Name
	stable, canary := s.tier(e, endpoints, first, s.plan.standings[0]), s.tier(e, endpoints, v1alpha1.CanaryName, serves)
	stable.name = placeOf(s.exs, stableSlot(e))
	if e.Slots[v1alpha1.CanaryName] == "" {
		canary = tier{standing: serves}
	}
	canary.name = placeOf(s.exs, stableSlot(e).Other())
	empty, behind := tier{name: canary.name, standing: stable.standing}, canary
	behind.standing = stable.standing
	if !IsPromoting(s.exs) {
		behind = empty
	}

	var others []tier
	for i, b := range s.exs.Spec.Backends[1:] {
		others = append(others, s.tier(e, endpoints, b.Name, s.plan.standings[i+1]))
	}
	out := []ordered{{s.plan.main.name, append([]tier{stable, behind}, others...)}}
	for _, share := range s.plan.shares {
		tiers := append(s.inOrder(stable, empty), others...)
		switch {
		case share.name == first:
			serving := stable
			serving.standing = serves
			tiers = append(s.inOrder(serving, empty), others...)
		case e.Slots[share.name] != "":
			tiers = append([]tier{canary, stable}, others...)
		default:
			tiers = leadBy(s.tier(e, endpoints, share.name, serves), tiers)
		}
		out = append(out, ordered{share.cluster, tiers})
	}
	return out
}

// inOrder puts two slots into the order that they have where none of them leads: Blue, Green.
func (s *service) inOrder(a, b tier) []tier {
	out := []tier{a, b}
	if b.name == placeOf(s.exs, v1alpha1.SlotBlue) {
		slices.Reverse(out)
	}
	return out
}

// IsPromoting says whether the canary is on its way to be the stable version.
func IsPromoting(exs *v1alpha1.ExposedService) bool {
	return exs.Status.Rollout != nil &&
		(exs.Status.Rollout.Phase == v1alpha1.RolloutPromoting || exs.Status.Rollout.Phase == v1alpha1.RolloutReleasing)
}
