package exposure

import (
	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/gateway"
)

// checkAnalysis says what about the source of a rollout's evidence has to be settled, before a rollout needs it.
func (r *run) checkAnalysis() {
	if r.exs.Spec.Rollout == nil {
		return
	}
	asked := calls.RolloutSource(r.exs)
	if err := r.Compared.Check(r.exs.Namespace, asked); err != nil {
		r.cannotShip(err.Error())
		return
	}
	if asked.Kind != v1alpha1.AnalysisEnvoy || r.expansion.FailoverReason != v1alpha1.ReasonPriorities {
		return
	}
	// Both sides share a cluster of Envoy, of which only the outcomes are counted by endpoint.
	const remedy = ", because both sides share a cluster: remove it, or set source: Workload or Prometheus"
	if len(asked.Codes) > 0 {
		r.cannotShip(asked.Field + ".errors.codes: Envoy does not tell codes of the two sides apart" + remedy)
	}
	if analysis := r.exs.Spec.Rollout.Analysis; analysis != nil && analysis.Latency != nil {
		r.cannotShip(asked.Field + ".latency: Envoy does not tell latencies of the two sides apart" + remedy)
	}
}

func (r *run) cannotShip(message string) {
	r.shipping.Problems = append(r.shipping.Problems, gateway.Problem{
		Reason: v1alpha1.ReasonRolloutNotSupported, Message: message, For: v1alpha1.ConditionProgressing,
	})
}
