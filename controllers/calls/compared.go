package calls

import (
	"math"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/judge"
	"github.com/headgate/headgate/signals"
)

// ComparedSource says where the calls of a rollout are counted while it is under way; nil: nobody asks for them.
func ComparedSource(exs *v1alpha1.ExposedService) *Source {
	if !comparesCalls(exs) {
		return nil
	}
	return RolloutSource(exs)
}

// comparesCalls says whether the calls of a canary are counted: from its making to its end.
func comparesCalls(exs *v1alpha1.ExposedService) bool {
	return exs.Status.Rollout != nil && exs.Status.Rollout.Phase != v1alpha1.RolloutIdle
}

// Compared puts what was counted of both sides since the last time into the decider's words. The two are compared over the same
// seconds or not at all. Of a canary that has no weight nothing has to be known: the traffic is measured before it has pods.
func (c *Counter) Compared(key types.NamespacedName, stable string, taken Counts, weightless bool) rollout.Calls {
	of, canary := taken.of(stable), taken.of(v1alpha1.CanaryName)
	alone := weightless && of.known() && !canary.known()
	switch {
	case !of.known():
		return rollout.Calls{Why: c.why(key, stable)}
	case alone:
	case !canary.known():
		return rollout.Calls{Why: c.why(key, v1alpha1.CanaryName)}
	case !of.counts.Start.Equal(canary.counts.Start) || !of.counts.End.Equal(canary.counts.End):
		return rollout.Calls{Why: "canary and stable were not counted over the same time"}
	}
	out := rollout.Calls{
		Known: true, Source: of.source, Start: of.counts.Start, End: of.counts.End, StaleAfter: of.bound, Stable: judged(of.counts),
	}
	if alone {
		return out
	}
	out.Canary = judged(canary.counts)
	out.Canary.Latencies, out.Stable.Latencies, out.NoLatencies = comparedLatencies(canary.counts, of.counts)
	return out
}

// judged are counts in the judge's words, without latencies.
func judged(counts signals.Counts) judge.Counts {
	out := judge.Counts{
		Calls: counts.Calls, Errors: counts.Errors, Cancelled: counts.Cancelled, TellsCancelled: counts.TellsCancelled,
		Begun: counts.Begun, InFlight: counts.InFlight, TellsBegun: counts.TellsBegun,
	}
	for _, pod := range counts.Pods {
		out.Pods = append(out.Pods, judge.PodCounts{ID: pod.ID, Calls: pod.Calls, Errors: pod.Errors})
	}
	return out
}

// comparedLatencies are those of both sides in the same buckets, or why there are none.
func comparedLatencies(canary, stable signals.Counts) (ofCanary, ofStable []judge.Bucket, why string) {
	switch {
	case stable.NoLatencies != "":
		return nil, nil, stable.NoLatencies
	case canary.NoLatencies != "":
		return nil, nil, canary.NoLatencies
	}
	common := signals.Align(canary.Latencies, stable.Latencies)
	if len(common[0]) == 1 && canary.Latencies.Calls() > 0 && stable.Latencies.Calls() > 0 &&
		len(canary.Latencies)+len(stable.Latencies) > 2 {
		return nil, nil, "the histograms of canary and stable have no bounds in common"
	}
	return buckets(common[0]), buckets(common[1]), ""
}

// buckets are those of a histogram in the judge's words.
func buckets(histogram signals.Histogram) []judge.Bucket {
	out := make([]judge.Bucket, len(histogram))
	for i, b := range histogram {
		out[i] = judge.Bucket{UpTo: b.UpTo, Count: uint64(math.Round(max(0, b.Count)))}
	}
	return out
}
