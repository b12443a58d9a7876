package rollout

import (
	"math"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

func TestPercentagesBecomeExactParts(t *testing.T) {
	for text, want := range map[string]int32{
		"1": 10_000, "10": 100_000, "100": 1_000_000, "0.0001": 1, "0.1": 1000, "33.3333": 333_333, "12.5": 125_000, "99.9999": 999_999,
		"007": 70_000, "0.29": 2900, "100.0": 1_000_000,
	} {
		if got := parts(intstr.FromString(text)); got != want {
			t.Errorf("%s %%: %d, not %d", text, got, want)
		}
	}
	if got := parts(intstr.FromInt32(25)); got != 250_000 {
		t.Errorf("25: %d", got)
	}
	for weight, want := range map[int32]string{0: "0 %", 1: "0.0001 %", 125_000: "12.5 %", 1_000_000: "100 %"} {
		if got := percentOf(weight); got != want {
			t.Errorf("%d: %s, not %s", weight, got, want)
		}
	}
}

func TestDefaultsAreThoseThatTheAPIPromises(t *testing.T) {
	got := settingsOf(&v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}, Steps: steps("10")}, nil)
	if len(got.steps) != 1 || got.steps[0] != (step{weight: 100_000, hold: time.Minute}) || got.chosen {
		t.Errorf("steps: %+v, chosen: %t", got.steps, got.chosen)
	}
	if got.target != "Deployment/greeter" || got.whenUndecided != v1alpha1.UndecidedHold || got.maxHold != time.Hour || got.maxFirst != 250_000 ||
		got.warmUp != time.Minute || got.mustHaveTraffic || got.paused || got.judge.Latency != nil {
		t.Errorf("%+v", got)
	}
	want := judge.Default()
	if *got.judge.Errors != *want.Errors || got.judge.Alpha != 0.01 || got.judge.MaxErrorRate != 0 ||
		got.judge.Errors.Prove != (judge.Margin{Ratio: 2, Difference: 0.005}) || got.judge.Errors.Tolerate != (judge.Margin{Ratio: 1.5, Difference: 0.0005}) {
		t.Errorf("judge: %+v, errors %+v", got.judge, got.judge.Errors)
	}
}

func TestWithoutStepsThoseOfThePlanApply(t *testing.T) {
	rollout := &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}, MaxFirstWeight: ptr.To(intstr.FromString("2.5"))}
	for name, test := range map[string]struct {
		plan *v1alpha1.RolloutPlan
		want []int32
	}{
		"before there is one":   {nil, []int32{10_000}},
		"while it is not ready": {&v1alpha1.RolloutPlan{}, []int32{10_000}},
		"once there is one":     {&v1alpha1.RolloutPlan{Weights: []int32{20_000, 500_000}}, []int32{20_000, 500_000}},
	} {
		got := settingsOf(rollout, test.plan)
		if !got.chosen || got.maxFirst != 25_000 || len(got.steps) != len(test.want) {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for i, weight := range test.want {
			if got.steps[i] != (step{weight: weight, hold: time.Minute}) {
				t.Errorf("%s: step %d is %+v", name, i+1, got.steps[i])
			}
		}
	}
}

// What has to be proved in a step is what the canary gets after it, and all calls in the end.
func TestSharesAfterAStep(t *testing.T) {
	for name, test := range map[string]struct {
		weights []string
		after   int
		want    []int32
	}{
		"all that is to come":         {[]string{"1", "10", "50"}, 0, []int32{100_000, 500_000, allParts}},
		"in the last step, all calls": {[]string{"1", "10", "50"}, 2, []int32{allParts}},
		"all calls are a step":        {[]string{"10", "100"}, 0, []int32{allParts}},
		"and in it":                   {[]string{"10", "100"}, 1, []int32{allParts}},
	} {
		got := settingsOf(&v1alpha1.Rollout{Steps: steps(test.weights...)}, nil).sharesAfter(test.after)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, not %v", name, got, test.want)
		}
	}
}

func TestToleranceReachesTheJudge(t *testing.T) {
	got := settingsOf(&v1alpha1.Rollout{Analysis: &v1alpha1.Analysis{
		FalseRollbacks: ptr.To("0.05"), Latency: &v1alpha1.LatencyTolerance{SlowdownPercent: ptr.To[int32](20)}, WarmUp: ptr.To(v1alpha1.Duration("0s")),
		Errors: &v1alpha1.ErrorTolerance{
			Tolerate: &v1alpha1.Tolerance{Ratio: ptr.To("2"), Percent: ptr.To("0.1")}, Prove: &v1alpha1.Tolerance{Ratio: ptr.To("3"), Percent: ptr.To("1")},
			MaxPercent: ptr.To("5"),
		},
	}}, nil)
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
	j := got.judge
	if j.Alpha != 0.05 || j.Errors.Tolerate.Ratio != 2 || !near(j.Errors.Tolerate.Difference, 0.001) || j.Errors.Prove.Ratio != 3 ||
		!near(j.Errors.Prove.Difference, 0.01) || !near(j.MaxErrorRate, 0.05) || !near(j.Latency.Slowdown, 0.2) || got.warmUp != 0 {
		t.Errorf("%+v, errors %+v, latency %+v", j, j.Errors, j.Latency)
	}
	if *judge.Default().Errors == *j.Errors {
		t.Error("the defaults have changed with it")
	}
	half := settingsOf(&v1alpha1.Rollout{Analysis: &v1alpha1.Analysis{Errors: &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("5")}}}}, nil)
	if prove := half.judge.Errors.Prove; prove.Ratio != 2 || !near(prove.Difference, 0.05) {
		t.Errorf("what is not said has its default: %+v", prove)
	}
}

func TestTargetNamesWhatIsRolledOut(t *testing.T) {
	service := v1alpha1.ServiceBackend{Name: "greeter-canary", Port: 50051}
	elsewhere := service
	elsewhere.Namespace = ptr.To("eu")
	for want, spec := range map[string]*v1alpha1.Rollout{
		"Deployment/greeter":              {WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}},
		"Service/greeter-canary:50051":    {Canary: &v1alpha1.CanaryBackend{Service: service}},
		"Service/eu/greeter-canary:50051": {Canary: &v1alpha1.CanaryBackend{Service: elsewhere}},
	} {
		if got := targetOf(spec); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// What is spread is gathered again, exactly, whatever the weights are; the canary has its share to the nearest part.
func TestSpreadWeightsAreGatheredAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int32Range(0, allParts).Draw(t, "first")
		share := rapid.Int32Range(0, allParts).Draw(t, "share")
		before := &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: "primary", Weight: first}, {Name: "backup", Weight: allParts - first}}}
		after := spread(before, share)
		canary := after.Weights[1]
		if canary.Name != "canary" || after.Weights[0].Weight+canary.Weight != first || before.Weights[0].Weight != first {
			t.Fatalf("%+v from %+v", after.Weights, before.Weights)
		}
		if off := math.Abs(float64(canary.Weight) - float64(first)*float64(share)/allParts); off > 0.5 && first > 1 {
			t.Fatalf("%d of %d for a share of %d", canary.Weight, first, share)
		}
		if again := Gather(after); len(again.Weights) != 2 || again.Weights[0] != before.Weights[0] || again.Weights[1] != before.Weights[1] {
			t.Fatalf("%+v from %+v", again.Weights, before.Weights)
		}
	})
}
