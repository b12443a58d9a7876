package main

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// state is where a tool says that it is with a new version.
type state string

const (
	underWay   state = "under way"
	promoted   state = "promoted"
	rolledBack state = "rolled back"
	// held: neither, when the time was over.
	held state = "held"
)

// progress is what a tool says about a new version.
type progress struct {
	state state
	// weight is the share of the calls that it is given, in percent.
	weight float64
	// words are the tool's own.
	words string
}

// flaggerProgress reads a Canary.
func flaggerProgress(canary *unstructured.Unstructured) progress {
	out := progress{state: underWay, weight: number(canary, "status", "canaryWeight"), words: text(canary, "status", "phase")}
	switch out.words {
	case "Succeeded":
		out.state = promoted
	case "Failed":
		out.state = rolledBack
	}
	return out
}

// argoProgress reads a Rollout. Until the controller has seen the newest template its status is about the one before.
func argoProgress(rollout *unstructured.Unstructured) progress {
	out := progress{state: underWay, weight: number(rollout, "status", "canary", "weights", "canary", "weight"), words: text(rollout, "status", "message")}
	aborted, _, _ := unstructured.NestedBool(rollout.Object, "status", "abort") //nolint:errcheck // absent is false
	current := text(rollout, "status", "currentPodHash")
	switch {
	case text(rollout, "status", "observedGeneration") != fmt.Sprint(rollout.GetGeneration()):
	case aborted:
		out.state = rolledBack
	case text(rollout, "status", "phase") == "Healthy" && current != "" && current == text(rollout, "status", "stableRS"):
		out.state = promoted
	}
	return out
}

// partsOfWeight make up one percent of a weight in Headgate's status.
const partsOfWeight = 10_000

// headgateProgress reads an ExposedService.
func headgateProgress(exs *unstructured.Unstructured) progress {
	out := progress{
		state: underWay, weight: number(exs, "status", "rollout", "weight") / partsOfWeight, words: text(exs, "status", "rollout", "message"),
	}
	revision, idle := text(exs, "status", "rollout", "revision"), text(exs, "status", "rollout", "phase") == "Idle"
	switch {
	case text(exs, "status", "rollout", "failed", "revision") != "":
		out.state, out.words = rolledBack, text(exs, "status", "rollout", "failed", "message")
	case idle && revision != "" && revision == text(exs, "status", "rollout", "stable"):
		out.state = promoted
	}
	return out
}

func text(object *unstructured.Unstructured, path ...string) string {
	out, _, _ := unstructured.NestedString(object.Object, path...) //nolint:errcheck // what is not there, or no text, is empty
	return out
}

func number(object *unstructured.Unstructured, path ...string) float64 {
	value, _, _ := unstructured.NestedFieldNoCopy(object.Object, path...) //nolint:errcheck // what is not there, or no number, is 0
	switch n := value.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}
