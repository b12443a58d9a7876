package controllers

import (
	"errors"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/judge"
)

// errQueriesOfSides: the queries of a rollout ask about sides, those of a failover about backends.
var errQueriesOfSides = errors.New("spec.rollout.analysis.source: Prometheus cannot be asked about the two sides of a rollout yet: " +
	"set Envoy or LoadReports")

// rolloutSource says where the calls of a rollout are counted; nil: nobody asks for them.
func rolloutSource(exs *v1alpha1.ExposedService) *v1alpha1.ErrorBound {
	if !comparesCalls(exs) {
		return nil
	}
	source := v1alpha1.SourceEnvoy
	if exs.Spec.Gateway == nil {
		source = v1alpha1.SourceLoadReports
	}
	switch analysisSource(exs) {
	case v1alpha1.AnalysisEnvoy:
		source = v1alpha1.SourceEnvoy
	case v1alpha1.AnalysisLoadReports:
		source = v1alpha1.SourceLoadReports
	case v1alpha1.AnalysisPrometheus:
		source = v1alpha1.SourcePrometheus
	}
	return &v1alpha1.ErrorBound{Source: &source}
}

func analysisSource(exs *v1alpha1.ExposedService) v1alpha1.AnalysisSource {
	if exs.Spec.Rollout == nil || exs.Spec.Rollout.Analysis == nil {
		return v1alpha1.AnalysisAuto
	}
	return ptr.Deref(exs.Spec.Rollout.Analysis.Source, v1alpha1.AnalysisAuto)
}

// comparedCalls puts what was counted of both sides since the last time into the decider's words. The
// two are compared over the same seconds or not at all.
func (c *callCounter) comparedCalls(key types.NamespacedName, stable string, counted map[string]failover.Calls) rollout.Calls {
	of, canary := counted[stable], counted[v1alpha1.CanaryName]
	switch {
	case !of.Known:
		return rollout.Calls{Why: c.why(key, stable)}
	case !canary.Known:
		return rollout.Calls{Why: c.why(key, v1alpha1.CanaryName)}
	case !of.Start.Equal(canary.Start) || !of.End.Equal(canary.End):
		return rollout.Calls{Why: "canary and stable were not counted over the same time"}
	}
	return rollout.Calls{
		Known: true, Source: of.Source, Start: of.Start, End: of.End, StaleAfter: of.StaleAfter,
		Canary: judge.Counts{Calls: canary.Calls, Errors: canary.Errors},
		Stable: judge.Counts{Calls: of.Calls, Errors: of.Errors},
	}
}

// why says why nothing is known of the calls of a backend; empty: there are none to tell of yet.
func (c *callCounter) why(key types.NamespacedName, backend string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil {
		return ""
	}
	if have.source == nil {
		return have.invalid
	}
	return have.unknown[backend]
}
