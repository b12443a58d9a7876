package failover

import (
	"fmt"
	"slices"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
)

// brokenInvariants names what must hold of every single look and does not. It knows nothing of how the decider works.
func brokenInvariants(
	spec *v1alpha1.ExposedServiceSpec, before v1alpha1.ExposedServiceStatus, seen Observation, now time.Time, out Outcome,
) []string {
	var broken []string
	breaks := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }

	sum, weights := int32(0), map[string]int32{}
	for i, w := range out.Traffic.Weights {
		if w.Weight < 0 {
			breaks("%s has weight %d", w.Name, w.Weight)
		}
		if i >= len(spec.Backends) || spec.Backends[i].Name != w.Name {
			breaks("weight %d is of %s, which is not what the spec has there", i, w.Name)
		}
		sum += w.Weight
		weights[w.Name] = w.Weight
	}
	if sum != 1_000_000 || len(weights) != len(spec.Backends) {
		breaks("%d weights for %d backends sum to %d", len(weights), len(spec.Backends), sum)
	}

	alive := slices.ContainsFunc(spec.Backends, func(b v1alpha1.Backend) bool { return seenAlive(seen.Backends[b.Name], now) })
	for name, w := range weights {
		if w > 0 && alive && seenDead(seen.Backends[name], now) {
			breaks("%s is dead and has weight %d while another is alive", name, w)
		}
	}

	for i, b := range out.Backends {
		known := fresh(seen.Backends[b.Name], now) && seen.Backends[b.Name].Endpoints.Counting != CountingUnknown
		if !known && i < len(spec.Backends) && out.Active == before.Active && b.Name != out.Active && sameBackends(before, out) &&
			weights[b.Name] > max(1, weightOf(before, b.Name)) && healthOf(out, out.Active) == v1alpha1.BackendHealthy {
			breaks("%s gets %d, and nobody has seen it", b.Name, weights[b.Name])
		}
	}

	if weights[out.Active] == 0 {
		breaks("the active backend %q has no weight", out.Active)
	}
	for _, broken := range brokenNet(spec, before, seen, now, out) {
		breaks("%s", broken)
	}

	changed := before.Traffic == nil || !slices.Equal(before.Traffic.Weights, out.Traffic.Weights) ||
		before.Traffic.Fallback != out.Traffic.Fallback || before.Traffic.Settling != out.Traffic.Settling
	revision := int64(0)
	if before.Traffic != nil {
		revision = before.Traffic.Revision
	}
	if changed {
		revision++
		follows := before.Traffic != nil && before.Traffic.Fallback == out.Traffic.Fallback && slices.Equal(before.Traffic.Weights, out.Traffic.Weights)
		if !follows && !slices.ContainsFunc(out.Decisions, func(d v1alpha1.Decision) bool {
			return d.Revision == revision && d.Reason == out.Traffic.Reason && d.Message != ""
		}) {
			breaks("the traffic has changed, and no decision says why")
		}
	}
	if out.Traffic.Revision != revision {
		breaks("the revision is %d, not %d", out.Traffic.Revision, revision)
	}
	if before.Active != out.Active && !changed {
		breaks("the active backend has changed and the weights have not")
	}

	if len(out.History) > 20 || len(out.History) < min(20, len(out.Decisions)) {
		breaks("the history has %d entries", len(out.History))
	}
	for i, d := range out.Decisions {
		if out.History[len(out.History)-len(out.Decisions)+i] != d {
			breaks("decision %s is not in the history", d.Reason)
		}
		if len([]rune(d.Message)) > 512 {
			breaks("the message of %s is too long", d.Reason)
		}
	}
	if !out.Next.IsZero() && !out.Next.After(now) {
		breaks("the next look is at %s, not after %s", out.Next, now)
	}
	if !out.Changed && len(out.Decisions) > 0 {
		breaks("a decision does not count as a change")
	}
	return broken
}

func sameBackends(before v1alpha1.ExposedServiceStatus, out Outcome) bool {
	return before.Traffic != nil && slices.EqualFunc(before.Traffic.Weights, out.Traffic.Weights,
		func(a, b v1alpha1.BackendWeight) bool { return a.Name == b.Name })
}

func weightOf(status v1alpha1.ExposedServiceStatus, name string) int32 {
	for _, w := range status.Traffic.Weights {
		if w.Name == name {
			return w.Weight
		}
	}
	return 0
}

func healthOf(out Outcome, name string) v1alpha1.BackendHealth {
	for _, b := range out.Backends {
		if b.Name == name {
			return b.Health
		}
	}
	return ""
}

func seenDead(o BackendObservation, now time.Time) bool {
	return o.Endpoints.Counting == Counted && o.Endpoints.Ready == 0 && fresh(o, now)
}

func seenAlive(o BackendObservation, now time.Time) bool {
	return o.Endpoints.Counting == Uncountable || o.Endpoints.Counting == Counted && o.Endpoints.Ready > 0 && fresh(o, now)
}

func fresh(o BackendObservation, now time.Time) bool {
	if o.Endpoints.StaleAfter == 0 {
		return true
	}
	age := now.Truncate(time.Microsecond).Sub(o.Endpoints.Time)
	return max(age, -age) <= o.Endpoints.StaleAfter
}

// brokenNet says what of the net does not hold: somebody stands by who is not the backend that serves or is about to, who is alive
// if any is, and until a backend that has just begun to serve has settled, the data plane finds its endpoints where they were.
func brokenNet(spec *v1alpha1.ExposedServiceSpec, before v1alpha1.ExposedServiceStatus, seen Observation, now time.Time, out Outcome) []string {
	if len(spec.Backends) < 2 {
		return nil
	}
	var broken []string
	lead := out.Active
	if ramp := out.State.Ramp; ramp != nil && !ramp.Trial {
		lead = ramp.To
	}
	fallback := out.Traffic.Fallback
	if fallback == lead || fallback == "" {
		broken = append(broken, fmt.Sprintf("%s leads and %q stands by", lead, fallback))
	}
	if seenDead(seen.Backends[fallback], now) && slices.ContainsFunc(spec.Backends, func(b v1alpha1.Backend) bool {
		return b.Name != lead && seenAlive(seen.Backends[b.Name], now)
	}) {
		broken = append(broken, fmt.Sprintf("%s stands by and is dead, while another is alive", fallback))
	}
	if old := before.Traffic; old != nil && before.Active != out.Active && out.Traffic.Settling != out.Active &&
		(old.Fallback == out.Active || old.Settling == out.Active) {
		broken = append(broken, fmt.Sprintf("%s stood by, serves now, and does not stand by until it has settled", out.Active))
	}
	if s := out.Traffic.Settling; s != "" && s != out.Active {
		broken = append(broken, fmt.Sprintf("%s settles and does not serve", s))
	}
	return broken
}
