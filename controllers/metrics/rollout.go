package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/headgate/headgate/api/v1alpha1"
)

var rolloutLabels = []string{"namespace", "name"}

var (
	// One series for the phase that a rollout is in, and none for the others: it says the same, and has no cost for what is not the case.
	rolloutPhaseDesc = prometheus.NewDesc("headgate_rollout_phase",
		"1 for the phase that the rollout of an ExposedService is in (Idle while there is nothing to ship).", []string{"namespace", "name", "phase"}, nil)
	rolloutWeightDesc = prometheus.NewDesc("headgate_rollout_weight_ratio",
		"The canary's share of the first backend's calls, from 0 to 1.", rolloutLabels, nil)
	rolloutStepDesc = prometheus.NewDesc("headgate_rollout_step",
		"The step that a rollout is in, from 1. There is no series while nothing is shipped.", rolloutLabels, nil)
	rolloutStepsDesc = prometheus.NewDesc("headgate_rollout_steps",
		"The number of steps of a rollout. There is no series while nothing is shipped, or the steps are not chosen yet.", rolloutLabels, nil)
	rolloutEvidenceDesc = prometheus.NewDesc("headgate_rollout_evidence_ratio",
		"How much there is of the evidence that leaving the present step asks for, from 0 to 1. There is no series while nothing is shipped.", rolloutLabels, nil)
	rolloutSuspicionsDesc = prometheus.NewDesc("headgate_rollout_suspicions",
		"How often the canary of the present or last rollout was suspected: its calls were taken away, and it is looked at again.", rolloutLabels, nil)
)

var rolloutDescs = []*prometheus.Desc{
	rolloutPhaseDesc, rolloutWeightDesc, rolloutStepDesc, rolloutStepsDesc, rolloutEvidenceDesc, rolloutSuspicionsDesc,
}

func collectRollout(exs *v1alpha1.ExposedService, gauge func(desc *prometheus.Desc, value float64, labels ...string)) {
	rollout := exs.Status.Rollout
	if rollout == nil {
		return
	}
	gauge(rolloutPhaseDesc, 1, string(rollout.Phase))
	gauge(rolloutWeightDesc, float64(rollout.Weight)/1e6)
	gauge(rolloutSuspicionsDesc, float64(rollout.Suspicions))
	if rollout.Step == 0 {
		return
	}
	gauge(rolloutStepDesc, float64(rollout.Step))
	if steps := stepsOf(exs); steps > 0 {
		gauge(rolloutStepsDesc, float64(steps))
	}
	if rollout.Evidence != nil {
		gauge(rolloutEvidenceDesc, float64(rollout.Evidence.Percent)/100)
	}
}

// stepsOf is how many steps a rollout has: those of the spec, or those that were chosen.
func stepsOf(exs *v1alpha1.ExposedService) int {
	switch {
	case exs.Spec.Rollout != nil && len(exs.Spec.Rollout.Steps) > 0:
		return len(exs.Spec.Rollout.Steps)
	case exs.Status.Rollout.Plan != nil:
		return len(exs.Status.Rollout.Plan.Weights)
	}
	return 0
}
