package main

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	out := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &out.Object); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestProgressIsReadFromEachToolsOwnStatus(t *testing.T) {
	for name, test := range map[string]struct {
		read   func(*unstructured.Unstructured) progress
		status string
		want   state
		weight float64
	}{
		"Flagger before the new version":  {flaggerProgress, `{status: {phase: Initialized}}`, underWay, 0},
		"Flagger on the way":              {flaggerProgress, `{status: {phase: Progressing, canaryWeight: 20}}`, underWay, 20},
		"Flagger has promoted":            {flaggerProgress, `{status: {phase: Succeeded}}`, promoted, 0},
		"Flagger has rolled back":         {flaggerProgress, `{status: {phase: Failed}}`, rolledBack, 0},
		"Argo has not seen it yet":        {argoProgress, `{metadata: {generation: 2}, status: {observedGeneration: "1", phase: Healthy, currentPodHash: a, stableRS: a}}`, underWay, 0},
		"Argo on the way":                 {argoProgress, `{metadata: {generation: 2}, status: {observedGeneration: "2", phase: Paused, currentPodHash: b, stableRS: a, canary: {weights: {canary: {weight: 30}}}}}`, underWay, 30},
		"Argo has promoted":               {argoProgress, `{metadata: {generation: 2}, status: {observedGeneration: "2", phase: Healthy, currentPodHash: b, stableRS: b}}`, promoted, 0},
		"Argo has rolled back":            {argoProgress, `{metadata: {generation: 2}, status: {observedGeneration: "2", phase: Degraded, abort: true, currentPodHash: b, stableRS: a}}`, rolledBack, 0},
		"Headgate before the new version": {headgateProgress, `{status: {rollout: {phase: Idle, stable: a}}}`, underWay, 0},
		"Headgate on the way":             {headgateProgress, `{status: {rollout: {phase: Stepping, stable: a, revision: b, weight: 100000}}}`, underWay, 10},
		"Headgate gives the share back":   {headgateProgress, `{status: {rollout: {phase: HandingOver, stable: b, revision: b, weight: 250000}}}`, underWay, 25},
		"Headgate has promoted":           {headgateProgress, `{status: {rollout: {phase: Idle, stable: b, revision: b}}}`, promoted, 0},
		"Headgate has rolled back":        {headgateProgress, `{status: {rollout: {phase: RollingBack, stable: a, revision: b, failed: {revision: b}}}}`, rolledBack, 0},
		"nothing is said yet":             {headgateProgress, `{}`, underWay, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.read(object(t, test.status))
			if got.state != test.want || got.weight != test.weight {
				t.Errorf("%s at %v %%, want %s at %v %%", got.state, got.weight, test.want, test.weight)
			}
		})
	}
}
