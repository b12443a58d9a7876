package rollout

import (
	"math"
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
	got := settingsOf(&v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}})
	weights := []int32{10_000, 100_000, 250_000, 500_000}
	if len(got.steps) != len(weights) {
		t.Fatalf("steps: %+v", got.steps)
	}
	for i, s := range got.steps {
		if s != (step{weight: weights[i], hold: time.Minute}) {
			t.Errorf("step %d: %+v", i+1, s)
		}
	}
	if got.target != "Deployment/greeter" || got.whenUndecided != v1alpha1.UndecidedHold || got.maxHold != time.Hour ||
		got.warmUp != time.Minute || got.mustHaveTraffic || got.paused || got.judge.Latency != nil {
		t.Errorf("%+v", got)
	}
	want := judge.Default()
	if *got.judge.Errors != *want.Errors || got.judge.Alpha != 0.01 || got.judge.MaxErrorRate != 0 {
		t.Errorf("judge: %+v, errors %+v", got.judge, got.judge.Errors)
	}
}

func TestToleranceReachesTheJudge(t *testing.T) {
	got := settingsOf(&v1alpha1.Rollout{Analysis: &v1alpha1.Analysis{
		FalseRollbacks: ptr.To("0.05"), Latency: &v1alpha1.LatencyTolerance{SlowdownPercent: ptr.To[int32](20)}, WarmUp: ptr.To(v1alpha1.Duration("0s")),
		Errors: &v1alpha1.ErrorTolerance{
			Tolerate: &v1alpha1.Tolerance{Ratio: ptr.To("2"), Percent: ptr.To("0.1")}, ProvePercent: ptr.To("1"), MaxPercent: ptr.To("5"),
		},
	}})
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
	j := got.judge
	if j.Alpha != 0.05 || j.Errors.Ratio != 2 || !near(j.Errors.Difference, 0.001) || !near(j.Errors.AdvanceDifference, 0.01) ||
		!near(j.MaxErrorRate, 0.05) || !near(j.Latency.Slowdown, 0.2) || got.warmUp != 0 {
		t.Errorf("%+v, errors %+v, latency %+v", j, j.Errors, j.Latency)
	}
	if *judge.Default().Errors == *j.Errors {
		t.Error("the defaults have changed with it")
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
