package resource

import (
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// healthOf is the EDS health of every endpoint, by tier: what the decision has its backend do, and what
// is true of the endpoint itself.
//
// Envoy uses HEALTHY endpoints, DEGRADED ones when no healthy one is left at any priority, and the others
// never; DRAINING ones do not count when it asks which share of a priority is healthy, so that a planned
// end does not look like a failure. gRPC clients use HEALTHY ones only.
//
// Where that leaves no HEALTHY endpoint at all, the next best are: calls have to go somewhere, and who
// must not serve while there is another may when there is none.
func healthOf(tiers []tier) [][]corev3.HealthStatus {
	out := make([][]corev3.HealthStatus, len(tiers))
	for t := range tiers {
		out[t] = make([]corev3.HealthStatus, len(tiers[t].endpoints))
		for i, ep := range tiers[t].endpoints {
			out[t][i] = ownHealth(ep.Endpoint, tiers[t].standing)
		}
	}
	for _, good := range rescues {
		if usesAny(out) {
			break
		}
		for t := range tiers {
			for i, ep := range tiers[t].endpoints {
				if good(ep.Endpoint, tiers[t].standing) {
					out[t][i] = corev3.HealthStatus_HEALTHY
				}
			}
		}
	}
	return out
}

func ownHealth(ep Endpoint, s standing) corev3.HealthStatus {
	switch {
	case ep.Terminating:
		return corev3.HealthStatus_DRAINING
	case !ep.Ready, s == excluded:
		return corev3.HealthStatus_UNHEALTHY
	case s == standsBy:
		return corev3.HealthStatus_DEGRADED
	}
	return corev3.HealthStatus_HEALTHY
}

// rescues are who serves when nobody else can, the best first.
var rescues = []func(Endpoint, standing) bool{
	// A net. Envoy finds it by itself; a gRPC client does not.
	func(ep Endpoint, s standing) bool { return ep.Ready && !ep.Terminating && s == standsBy },
	func(ep Endpoint, _ standing) bool { return ep.Ready && !ep.Terminating },
	// The last replica on its way out, as kube-proxy has it (KEP-1669).
	func(ep Endpoint, s standing) bool { return ep.Terminating && ep.Serving && s != excluded },
	func(ep Endpoint, _ standing) bool { return ep.Terminating && ep.Serving },
}

func usesAny(health [][]corev3.HealthStatus) bool {
	return slices.ContainsFunc(health, func(tier []corev3.HealthStatus) bool {
		return slices.Contains(tier, corev3.HealthStatus_HEALTHY)
	})
}
