package controllers

import (
	"github.com/headgate/headgate/api/v1alpha1"
)

// checkAnalysis says what about the source of a rollout's evidence has to be settled, before a rollout needs it.
func (r *exposureReconciler) checkAnalysis(s *scope) {
	if s.exs.Spec.Rollout == nil {
		return
	}
	asked := rolloutSource(s.exs)
	if _, err := r.compared.newSource(s.exs.Namespace, asked); err != nil {
		s.problem(v1alpha1.ReasonRolloutNotSupported, asked.Field+": "+err.Error())
	}
}
