package rollout

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// The defaults that the API promises. Those of the judge are its own.
const (
	defaultHold    = time.Minute
	defaultMaxHold = time.Hour
	defaultWarmUp  = time.Minute
)

// defaultMaxFirst is the largest weight that chosen steps begin with.
const defaultMaxFirst = allParts / 4

const (
	// allParts is the weight of everything.
	allParts = 1_000_000
	// drainTime is how long the canary's pods stay after its weight was last served, for calls that are under way.
	drainTime = 15 * time.Second
	// handOverTime is how long each share lasts on the canary's way to zero after a promotion.
	handOverTime = 5 * time.Second
	// coldTime is for how long the first calls of new pods are left out of what is judged: connections, caches and compilers are made then.
	coldTime = 5 * time.Second
	// recheckTime is how long a suspected canary has no calls: longer than the clumps of errors that pass by themselves.
	recheckTime = 30 * time.Second
	// mostSuspicions is how often a canary may be suspected in a rollout.
	mostSuspicions = 5
)

// settings is spec.rollout with its defaults.
type settings struct {
	target    string
	ownCanary bool
	// revision is that of the user's own canary.
	revision string
	// steps are those of the spec or of the plan; chosen says that they are Headgate's to choose, from maxFirst on at most.
	steps    []step
	chosen   bool
	maxFirst int32
	paused   bool
	// fastTrack: revisions that were stable a short time ago need no proof.
	fastTrack bool
	restarts  v1alpha1.RestartPolicy
	onRemoval v1alpha1.RemovalPolicy
	// protect: the user's own Service is to have the stable version alone.
	protect bool

	judge           judge.Judge
	latency         bool
	whenUndecided   v1alpha1.UndecidedPolicy
	maxHold, warmUp time.Duration
	mustHaveTraffic bool
	webhooks        []string
}

// step is one step of the rollout.
type step struct {
	// weight is in parts of 1,000,000.
	weight   int32
	hold     time.Duration
	approval bool
}

func settingsOf(spec *v1alpha1.Rollout, plan *v1alpha1.RolloutPlan) settings {
	if spec == nil {
		spec = &v1alpha1.Rollout{}
	}
	analysis := ptr.Deref(spec.Analysis, v1alpha1.Analysis{})
	out := settings{
		target: targetOf(spec), ownCanary: spec.Canary != nil, revision: ptr.Deref(spec.Revision, ""),
		paused:          ptr.Deref(spec.Paused, false),
		latency:         analysis.Latency != nil,
		whenUndecided:   ptr.Deref(analysis.WhenUndecided, v1alpha1.UndecidedHold),
		maxHold:         duration(analysis.MaxHold, defaultMaxHold),
		warmUp:          duration(analysis.WarmUp, defaultWarmUp),
		mustHaveTraffic: ptr.Deref(analysis.MustHaveTraffic, false),
		chosen:          len(spec.Steps) == 0,
		fastTrack:       ptr.Deref(spec.FastTrack, v1alpha1.FastTrackPrevious) == v1alpha1.FastTrackPrevious,
		restarts:        ptr.Deref(spec.Restarts, v1alpha1.RestartRelease),
		onRemoval:       ptr.Deref(spec.OnRemoval, v1alpha1.RemovalKeepStable),
		protect:         spec.WorkloadRef != nil && ptr.Deref(spec.WorkloadRef.ProtectService, false),
		maxFirst:        defaultMaxFirst,
	}
	if spec.MaxFirstWeight != nil {
		out.maxFirst = parts(*spec.MaxFirstWeight)
	}
	for _, s := range spec.Steps {
		out.steps = append(out.steps, step{
			weight: parts(s.Weight), hold: duration(s.Hold, defaultHold), approval: ptr.Deref(s.Approval, "") == v1alpha1.ApprovalRequired,
		})
	}
	if out.chosen {
		for _, weight := range chosenWeights(plan) {
			out.steps = append(out.steps, step{weight: weight, hold: defaultHold})
		}
	}
	for _, w := range analysis.Webhooks {
		out.webhooks = append(out.webhooks, w.Name)
	}
	out.judge = judgeOf(analysis, out.planned())
	return out
}

// chosenWeights are those of a plan. Before there is one, a first step stands for those that are to be chosen.
func chosenWeights(plan *v1alpha1.RolloutPlan) []int32 {
	if plan == nil || len(plan.Weights) == 0 {
		return ladder[:1]
	}
	return plan.Weights
}

// sharesAfter are the shares of the calls that the canary gets after a step, the last of which is all of them.
func (s settings) sharesAfter(index int) []int32 {
	var list []int32
	for _, step := range s.steps[min(index+1, len(s.steps)):] {
		list = append(list, step.weight)
	}
	if n := len(list); n == 0 || list[n-1] != allParts {
		list = append(list, allParts)
	}
	return list
}

// planned is how long the rollout takes if nothing keeps it, and an hour at least: most are kept by something, and the judge finds
// what comes after the plan more slowly.
func (s settings) planned() time.Duration {
	var sum time.Duration
	for _, step := range s.steps {
		sum += step.hold
	}
	return max(sum, time.Hour)
}

// judgeOf puts what is tolerated into the judge's words.
func judgeOf(analysis v1alpha1.Analysis, planned time.Duration) judge.Judge {
	out := judge.Default()
	out.Planned = planned
	out.Alpha = number(analysis.FalseRollbacks, out.Alpha)
	errors := ptr.Deref(analysis.Errors, v1alpha1.ErrorTolerance{})
	out.Errors.Tolerate = margin(errors.Tolerate, out.Errors.Tolerate)
	out.Errors.Prove = margin(errors.Prove, out.Errors.Prove)
	out.MaxErrorRate = number(errors.MaxPercent, 0) / 100
	if analysis.Latency == nil {
		out.Latency = nil
		return out
	}
	out.Latency.Slowdown = float64(ptr.Deref(analysis.Latency.SlowdownPercent, int32(math.Round(out.Latency.Slowdown*100)))) / 100
	return out
}

// margin puts a tolerance into the judge's words.
func margin(of *v1alpha1.Tolerance, byDefault judge.Margin) judge.Margin {
	given := ptr.Deref(of, v1alpha1.Tolerance{})
	return judge.Margin{Ratio: number(given.Ratio, byDefault.Ratio), Difference: number(given.Percent, byDefault.Difference*100) / 100}
}

// number parses what the API admits.
func number(text *string, byDefault float64) float64 {
	n, err := strconv.ParseFloat(ptr.Deref(text, ""), 64)
	if err != nil {
		return byDefault
	}
	return n
}

func duration[T ~string](value *T, byDefault time.Duration) time.Duration {
	parsed, err := time.ParseDuration(string(ptr.Deref(value, "")))
	if err != nil || parsed < 0 {
		return byDefault
	}
	return parsed
}

// parts is a percentage in parts of 1,000,000, exactly: decimal numbers never go through binary ones. What the API would not
// admit comes out as one of its bounds.
func parts(percent intstr.IntOrString) int32 {
	whole, fraction, _ := strings.Cut(percent.String(), ".")
	fraction = (fraction + "0000")[:4]
	n, err := strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil {
		return 1
	}
	return int32(min(max(n, 1), allParts)) //nolint:gosec // within allParts
}

// percentOf is a weight for people, such as 0.5 %.
func percentOf(weight int32) string {
	return strconv.FormatFloat(float64(weight)/(allParts/100), 'f', -1, 64) + " %"
}

// targetOf is what is rolled out, for the status.
func targetOf(spec *v1alpha1.Rollout) string {
	switch {
	case spec.WorkloadRef != nil:
		return fmt.Sprintf("%s/%s", ptr.Deref(spec.WorkloadRef.Kind, v1alpha1.WorkloadDeployment), spec.WorkloadRef.Name)
	case spec.Canary != nil:
		service := spec.Canary.Service
		target := fmt.Sprintf("Service/%s:%d", service.Name, service.Port)
		if service.Namespace != nil {
			target = fmt.Sprintf("Service/%s/%s:%d", *service.Namespace, service.Name, service.Port)
		}
		return target
	}
	return ""
}
