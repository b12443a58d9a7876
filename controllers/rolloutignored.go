package controllers

import (
	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// ignoreInRollout says what of spec.rollout is not acted on, and what stands against the rest.
func (s *scope) ignoreInRollout() {
	spec := s.exs.Spec.Rollout
	if spec == nil {
		return
	}
	if spec.WorkloadRef != nil && s.rollout.off {
		s.problem(v1alpha1.ReasonRolloutNotSupported, "spec.rollout.workloadRef: "+whyOff+
			": turn them on (--rollouts, in the chart rollouts.enabled), or set canary, a Service of your own")
	} else if rival := s.rollout.rival; rival != nil {
		s.problem(v1alpha1.ReasonWorkloadConflict, "spec.rollout.workloadRef: Deployment "+workloadOf(s.exs).Name+
			" is managed by "+rival.name+", and left alone: "+rival.remedy)
	} else if spec.WorkloadRef != nil && s.rollout.deployment == nil {
		s.problem(v1alpha1.ReasonWorkloadNotFound, "spec.rollout.workloadRef: Deployment "+s.exs.Namespace+"/"+spec.WorkloadRef.Name+
			" does not exist: create it, or correct the name")
	}
}

// problem notes what stands against the rollout, and against nothing else.
func (s *scope) problem(reason v1alpha1.Reason, message string) {
	about := v1alpha1.ConditionResolvedRefs
	if reason == v1alpha1.ReasonRolloutNotSupported {
		about = v1alpha1.ConditionProgressing
	}
	s.expansion = s.expansion.With(gateway.Problem{Reason: reason, Message: message, For: about})
}
