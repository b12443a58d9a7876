package controllers

import (
	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
)

// checkAnalysis says what about the source of a rollout's evidence has to be settled, before a rollout needs it.
func (r *exposureReconciler) checkAnalysis(s *scope) {
	if s.exs.Spec.Rollout == nil {
		return
	}
	asked := calls.RolloutSource(s.exs)
	if err := r.compared.Check(s.exs.Namespace, asked); err != nil {
		s.problem(v1alpha1.ReasonRolloutNotSupported, asked.Field+": "+err.Error())
		return
	}
	if asked.Kind != v1alpha1.AnalysisEnvoy || s.expansion.FailoverReason != v1alpha1.ReasonPriorities {
		return
	}
	// Both sides share a cluster of Envoy, of which only the outcomes are counted by endpoint.
	const remedy = ", because both sides share a cluster: remove it, or set source: Workload or Prometheus"
	if len(asked.Codes) > 0 {
		s.problem(v1alpha1.ReasonRolloutNotSupported, asked.Field+".errors.codes: Envoy does not tell codes of the two sides apart"+remedy)
	}
	if analysis := s.exs.Spec.Rollout.Analysis; analysis != nil && analysis.Latency != nil {
		s.problem(v1alpha1.ReasonRolloutNotSupported, asked.Field+".latency: Envoy does not tell latencies of the two sides apart"+remedy)
	}
}
