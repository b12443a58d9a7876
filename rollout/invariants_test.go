package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/headgate/headgate/api/v1alpha1"
)

// brokenInvariants names what must hold of every single look and does not. It knows nothing of how the decider works.
func brokenInvariants(
	spec *v1alpha1.ExposedServiceSpec, before v1alpha1.ExposedServiceStatus, seen Observation, now time.Time, out Outcome,
) []string {
	var broken []string
	breaks := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }

	was, is := rolloutOf(before), rolloutOf(v1alpha1.ExposedServiceStatus{Rollout: out.Rollout})
	steps := settingsOf(spec.Rollout, is.Plan).steps
	own := spec.Rollout != nil && spec.Rollout.Canary != nil

	takenBack := decided(out.Decisions, v1alpha1.DecisionPodsTakenBack)
	if is.Weight > was.Weight {
		switch {
		case takenBack && is.Phase == rollingBack:
			// They have calls already, and keep those for which stable has no pods.
		case is.Phase == stepping && is.Step == 1:
		case is.Phase == stepping && !recorded(was, is.Revision, is.Step-1):
			breaks("the weight rises to that of step %d, and no verdict on step %d of %s was on record", is.Step, is.Step-1, is.Revision)
		case is.Phase == preparing && !own && (is.Step == 1 || recorded(was, is.Revision, is.Step-1)) && int(is.Step) <= len(steps) && is.Weight <= steps[is.Step-1].weight:
			// It follows the pods.
		case is.Phase == promoting && own && !recorded(was, is.Revision, was.Step):
			breaks("the weight rises in a promotion")
		case is.Phase == promoting && !own && was.Phase != promoting:
			breaks("the weight rises with the promotion, and not with the pods")
		case is.Phase != stepping && is.Phase != promoting && is.Phase != releasing:
			breaks("the weight rises from %d to %d in %s", was.Weight, is.Weight, is.Phase)
		}
		if seen.Canary.Known && seen.Canary.Ready <= 0 {
			breaks("the weight rises, and the canary has no ready pod")
		}
		if is.Revision != was.Revision {
			breaks("the weight rises with another revision")
		}
	}
	if slices.Contains(phases(preparing, stepping, awaitingApproval), is.Phase) && int(is.Step) <= len(steps) && is.Step > 0 &&
		is.Weight > steps[is.Step-1].weight && len(out.Decisions) == 0 {
		breaks("the weight %d is more than step %d allows", is.Weight, is.Step)
	}
	if is.Phase == idle && is.Weight != 0 {
		breaks("%s with weight %d", is.Phase, is.Weight)
	}
	if w := seen.Workload; slices.Contains(phases(rollingBack, suspended, rechecking), is.Phase) && is.Weight != 0 &&
		(own || 2*w.carry(w.Stable.Ready) >= allParts || is.Weight > was.Weight && !takenBack) {
		breaks("%s with weight %d, and stable has %d pods", is.Phase, is.Weight, w.Stable.Ready)
	}
	if is.Revision == was.Revision && is.Step > was.Step+1 {
		breaks("from step %d to %d", was.Step, is.Step)
	}
	waived := len(out.Decisions) == 1 && out.Decisions[0].Reason == v1alpha1.DecisionProofWaived
	if is.Phase == promoting && was.Phase != promoting && !waived && !recorded(was, is.Revision, was.Step) {
		breaks("promoted without a verdict on step %d", was.Step)
	}
	if was.Weight > 0 && is.Weight > 0 && !out.Intents.Canary.Present && !own && is.Target != "" && is.Target[0] == 'D' && seen.Workload.Replicas > 0 {
		breaks("the canary goes while it has weight")
	}
	if out.Intents.Weight != is.Weight {
		breaks("the followers are told %d and the status %d", out.Intents.Weight, is.Weight)
	}
	broken = append(broken, brokenAttempts(spec, was, is, out)...)
	broken = append(broken, brokenTraffic(before, out, was, is)...)

	// A weight may follow the pods.
	follows := slices.Contains(phases(preparing, promoting, releasing, rollingBack, suspended, rechecking), is.Phase)
	changed := was.Phase != is.Phase || was.Step != is.Step || was.Weight != is.Weight && !follows || was.Stable != is.Stable
	if changed != (len(out.Decisions) > 0) && changed {
		breaks("from %s to %s without a decision", was.Phase, is.Phase)
	}
	if out.Pending {
		broken = append(broken, brokenPending(was, is, out)...)
	}
	for i, d := range out.Decisions {
		if out.History[len(out.History)-len(out.Decisions)+i] != d || d.Message == "" || len(d.Message) > 512 {
			breaks("decision %s is not as it should be in the history: %q", d.Reason, d.Message)
		}
	}
	if len(out.History) > 20 {
		breaks("the history has %d entries", len(out.History))
	}
	if !out.Next.IsZero() && !out.Next.After(now) {
		breaks("the next look is at %s, not after %s", out.Next, now)
	}
	if len(is.Message) > 512 || len(is.Progress) > 32 || is.Phase != none && is.Message == "" {
		breaks("the message is %q, the progress %q", is.Message, is.Progress)
	}
	return broken
}

// brokenAttempts is about suspicions, attempts and plans: nothing advances while the canary is suspected.
func brokenAttempts(spec *v1alpha1.ExposedServiceSpec, was, is v1alpha1.RolloutStatus, out Outcome) []string {
	var broken []string
	breaks := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	if was.Phase == rechecking {
		if !slices.Contains(phases(rechecking, preparing, rollingBack, suspended), is.Phase) {
			breaks("from rechecking to %s", is.Phase)
		}
		if is.Step > was.Step || len(is.Verdicts) > len(was.Verdicts) || is.Stable != was.Stable {
			breaks("while the canary was suspected it went to step %d with %d verdicts, %s is stable", is.Step, len(is.Verdicts), is.Stable)
		}
		if is.Phase == preparing && (is.Step != 1 || len(is.Verdicts) > 0) {
			breaks("it is looked at again in step %d with %d verdicts", is.Step, len(is.Verdicts))
		}
	}
	suspects := decided(out.Decisions, v1alpha1.DecisionCanarySuspected)
	if suspects != (is.Suspicions == was.Suspicions+1) || !suspects && is.Suspicions > was.Suspicions {
		breaks("suspected: %t, and from %d to %d suspicions", suspects, was.Suspicions, is.Suspicions)
	}
	if is.Suspicions > 4 {
		breaks("%d suspicions", is.Suspicions)
	}
	if is.Target == was.Target && is.Revision == was.Revision && is.Attempt < was.Attempt {
		breaks("from attempt %d to %d of %s", was.Attempt, is.Attempt, is.Revision)
	}
	if is.Step < was.Step && is.Phase == preparing && is.Attempt <= was.Attempt && !decided(out.Decisions, v1alpha1.DecisionStepAltered) {
		breaks("back from step %d to %d in the same attempt", was.Step, is.Step)
	}
	if is.Weight > was.Weight && !slices.Contains(phases(promoting, releasing, rollingBack), is.Phase) && spec.Rollout != nil && len(spec.Rollout.Steps) == 0 && (is.Plan == nil || len(is.Plan.Weights) == 0) {
		breaks("the weight rises, and no steps were chosen")
	}
	return broken
}

// decided says whether a decision is among others.
func decided(all []v1alpha1.Decision, reason v1alpha1.DecisionReason) bool {
	return slices.ContainsFunc(all, func(d v1alpha1.Decision) bool { return d.Reason == reason })
}

// brokenPending is about looks that are not written: nothing but the evidence may be new in them.
func brokenPending(was, is v1alpha1.RolloutStatus, out Outcome) []string {
	var broken []string
	if out.Changed || len(out.Decisions) > 0 {
		broken = append(broken, "something is decided, and need not be written")
	}
	if len(out.Intents.Ask) > 0 && !strings.Contains(was.Message, "waits for webhooks to agree") {
		broken = append(broken, "webhooks are asked by evidence that is not written")
	}
	if is.Evidence = was.Evidence; !equality.Semantic.DeepEqual(was, is) {
		broken = append(broken, "more than evidence is not written")
	}
	return broken
}

// brokenTraffic is about the weights.
func brokenTraffic(before v1alpha1.ExposedServiceStatus, out Outcome, was, is v1alpha1.RolloutStatus) []string {
	if before.Traffic == nil {
		return nil
	}
	var broken []string
	sum := int32(0)
	for _, w := range out.Traffic.Weights {
		sum += w.Weight
		if w.Weight < 0 {
			broken = append(broken, fmt.Sprintf("%s has weight %d", w.Name, w.Weight))
		}
	}
	if sum != 1_000_000 {
		broken = append(broken, fmt.Sprintf("the weights sum to %d", sum))
	}
	if was.Weight != is.Weight && out.Traffic.Revision <= before.Traffic.Revision {
		broken = append(broken, "the weight has changed and the revision has not")
	}
	if !slices.Equal(Gather(before.Traffic).Weights, Gather(out.Traffic).Weights) {
		broken = append(broken, "a backend's weight has changed")
	}
	return broken
}

func rolloutOf(status v1alpha1.ExposedServiceStatus) v1alpha1.RolloutStatus {
	if status.Rollout == nil {
		return v1alpha1.RolloutStatus{}
	}
	return *status.Rollout
}

func recorded(s v1alpha1.RolloutStatus, revision string, step int32) bool {
	return slices.ContainsFunc(s.Verdicts, func(v v1alpha1.StepVerdict) bool { return v.Step == step && v.Revision == revision })
}
