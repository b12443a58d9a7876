package rollout

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

func TestStepsAreChosenFromTheTraffic(t *testing.T) {
	for _, test := range []struct {
		rate     float64
		maxFirst string
		measured time.Duration
		want     []int32
	}{
		{0, "", measureTime, []int32{250_000, 500_000}},
		{0.5, "", measureTime, []int32{250_000, 500_000}},
		{2, "", measureTime, []int32{250_000, 500_000}},
		{10, "", 20 * time.Second, []int32{250_000, 500_000}},
		{100, "", measureLeast, []int32{10_000, 100_000, 500_000}},
		{1000, "", measureLeast, []int32{10_000, 100_000, 500_000}},
		{0.5, "5", measureTime, []int32{50_000, 500_000}},
		{0.5, "50", measureTime, []int32{500_000}},
		{1000, "0.5", measureLeast, []int32{5000, 50_000, 500_000}},
		{1000, "3", measureLeast, []int32{10_000, 100_000, 500_000}},
		{0.5, "0.05", measureTime, []int32{500, 5000, 50_000, 500_000}},
	} {
		s := newScene(t)
		s.rate = test.rate
		if test.maxFirst != "" {
			s.spec.Rollout.MaxFirstWeight = ptr.To(intstr.FromString(test.maxFirst))
		}
		s.ship("v2")
		began := s.now
		s.runUntil(time.Second, func() bool { return false })
		if want := "measures the traffic, "; !strings.Contains(s.message(), want) || s.status.Rollout.Weight != 0 {
			t.Errorf("%g calls/s: %q", test.rate, s.message())
		}
		s.until(stepping, 2*time.Minute)
		plan := s.status.Rollout.Plan
		t.Logf("%5g calls/s, at most %2s %% at first: measured %s, %d calls (%s/s): steps of %s, expected to take %s",
			test.rate, test.maxFirst, plan.Observed.Duration, plan.Stable.Calls, plan.CallsPerSecond, weightsOf(plan.Weights), plan.Expected)
		if !slices.Equal(plan.Weights, test.want) {
			t.Errorf("%g calls/s: steps of %v, not %v", test.rate, plan.Weights, test.want)
		}
		if took := s.now.Sub(began); took > test.measured+2*time.Second || plan.Observed.Duration < measureLeast {
			t.Errorf("%g calls/s: measured for %s, within %s", test.rate, plan.Observed.Duration, took)
		}
		if (plan.Expected == veryLong) != (test.rate < 0.1) || plan.Expected == "" || plan.CallsPerSecond != strconv.FormatFloat(test.rate, 'f', -1, 64) {
			t.Errorf("%g calls/s: %+v", test.rate, plan)
		}
		if r := s.status.Rollout; r.Weight != test.want[0] || !strings.HasPrefix(s.message(), "v2, step 1 of ") {
			t.Errorf("%g calls/s: weight %d, %s", test.rate, r.Weight, s.message())
		}
	}
}

// What is expected comes true for a version that is as good as stable.
func TestARolloutTakesAboutAsLongAsThePlanSays(t *testing.T) {
	for _, rate := range []float64{2, 10, 100, 1000} {
		s := newScene(t)
		s.rate = rate
		s.ship("v2")
		s.until(stepping, 2*time.Minute)
		expected, err := time.ParseDuration(s.status.Rollout.Plan.Expected)
		if err != nil {
			t.Fatal(err)
		}
		began := s.now
		s.until(promoting, 10*time.Hour)
		took := s.now.Sub(began)
		t.Logf("%4g calls/s: expected %s, took %s", rate, expected, took)
		if took > 2*expected || expected > 2*took {
			t.Errorf("at %g calls/s it took %s, where %s were expected", rate, took, expected)
		}
	}
}

func TestWithoutASourceNoStepsAreChosen(t *testing.T) {
	s := newScene(t)
	s.blind = true
	s.ship("v2")
	s.run(10 * time.Minute)
	if s.phase() != preparing || s.status.Rollout.Weight != 0 || !strings.HasSuffix(s.message(), "waits for the traffic to be counted: Prometheus does not answer") {
		t.Fatalf("%s with weight %d: %s", s.phase(), s.status.Rollout.Weight, s.message())
	}
	s.blind = false
	s.counted = s.now
	s.until(stepping, time.Minute)
}

// The steps of the spec need no traffic; what is seen of it while the pods start says how long they will take.
func TestStepsOfTheSpecDoNotWaitForThePlan(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.pace = 5 * time.Second
	s.ship("v2")
	s.until(stepping, 20*time.Second)
	plan := s.status.Rollout.Plan
	if plan == nil || !slices.Equal(plan.Weights, []int32{100_000, 500_000}) || plan.CallsPerSecond != "200" || plan.Expected != "2m" || plan.Observed.Duration > measureLeast {
		t.Errorf("the plan is %+v", plan)
	}
	if strings.Contains(s.reasons(), string(v1alpha1.DecisionStepsChosen)) {
		t.Errorf("steps were chosen: %s", s.reasons())
	}

	s = newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.blind = true
	s.ship("v2")
	s.until(stepping, 10*time.Second)
	if plan := s.status.Rollout.Plan; plan != nil {
		t.Errorf("nothing was counted, and the plan is %+v", plan)
	}
}

// A canary may wait for its pods for hours, while the status has nothing new.
func TestMeasuringComesToAnEnd(t *testing.T) {
	for _, rate := range []float64{0, 2, 200} {
		s := newScene(t)
		s.rate = rate
		s.spec.Rollout.Steps = steps("10", "50")
		s.pace = time.Hour
		s.ship("v2")
		s.run(measureTime + 2*time.Second)
		for range 60 {
			if s.run(time.Second); s.last.Changed {
				t.Fatalf("%g calls/s: after %s something has to be written: %+v", rate, s.now.Sub(midnight), s.status.Rollout.Plan)
			}
		}
		if plan := s.status.Rollout.Plan; s.phase() != preparing || plan == nil || plan.Observed.Duration > measureTime {
			t.Errorf("%g calls/s: %s, %+v", rate, s.phase(), plan)
		}
	}
}

// Where the first step begins at once, the traffic is seen before the second one.
func TestAPlanThatWasMissedIsMadeBeforeTheNextStep(t *testing.T) {
	s := newOwnCanary(t, "2")
	s.spec.Rollout.Steps = steps("10", "50")
	s.until(stepping, 5*time.Second)
	if plan := s.status.Rollout.Plan; plan != nil {
		t.Fatalf("there is a plan: %+v", plan)
	}
	s.refused = "Service greeter-canary is refused" // The second step waits for a moment.
	s.until(preparing, 5*time.Minute)
	s.run(3 * time.Second)
	s.refused = ""
	s.untilStep(2, time.Minute)
	if plan := s.status.Rollout.Plan; plan == nil || plan.CallsPerSecond != "200" {
		t.Errorf("the plan is %+v", plan)
	}
}

func TestANewRolloutMeasuresAnew(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, 5*time.Minute)
	if got := s.status.Rollout.Plan.Weights; len(got) != 3 {
		t.Fatalf("steps of %v", got)
	}
	s.rate = 2
	s.ship("v3")
	s.until(stepping, 2*time.Minute)
	if plan := s.status.Rollout.Plan; !slices.Equal(plan.Weights, []int32{250_000, 500_000}) || plan.CallsPerSecond != "2" {
		t.Errorf("the plan of v3 is %+v", plan)
	}
	s.ship("v1")
	s.until(idle, time.Minute)
	s.run(time.Minute)
	s.rate = 200
	s.ship("v2")
	s.until(idle, time.Hour)
	s.expectStable("v2")
	if plan := s.status.Rollout.Plan; plan != nil {
		t.Errorf("afterwards there is still the plan %+v", plan)
	}
}

// A canary that starts again takes the steps that it has.
func TestThePlanOutlivesASuspicion(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, 5*time.Minute)
	s.run(10 * time.Second)
	s.suspect()
	s.rate = 2
	s.untilStep(1, time.Minute)
	if r := s.status.Rollout; r.Weight != 10_000 || len(r.Plan.Weights) != 3 {
		t.Errorf("weight %d, plan %+v", r.Weight, r.Plan)
	}
}

// Steps that are put into the spec take the place of those that were chosen, and the other way round.
func TestStepsMayBeEditedWhereTheyWereChosen(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, 5*time.Minute)
	s.spec.Rollout.Steps = steps("5", "20")
	s.run(3 * time.Second)
	if r := s.status.Rollout; r.Weight != 200_000 || r.Step != 2 || s.phase() != stepping {
		t.Errorf("%s in step %d with weight %d", s.phase(), r.Step, r.Weight)
	}
	s.spec.Rollout.Steps = nil
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

// Before there is a plan, the weight that stands for its steps is none of them.
func TestStepsThatAreTakenOutOfTheSpecAreChosenFirst(t *testing.T) {
	s := newOwnCanary(t, "2")
	s.spec.Rollout.Steps = steps("10", "50")
	s.until(stepping, 5*time.Second)
	s.spec.Rollout.Steps = nil
	s.run(time.Second)
	if r := s.status.Rollout; s.phase() != preparing || r.Weight != 10_000 || !strings.Contains(s.message(), "measures the traffic") {
		t.Fatalf("%s with weight %d: %s", s.phase(), r.Weight, s.message())
	}
	s.until(stepping, time.Minute)
	if plan := s.status.Rollout.Plan; plan == nil || plan.CallsPerSecond != "200" || len(plan.Weights) != 3 {
		t.Errorf("the plan is %+v", plan)
	}
}

// What is to be proved is another thing then: nothing of the evidence for the old one is evidence for it.
func TestAnEditedAnalysisStartsTheEvidenceOver(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.fail("v1", 0.01)
	s.fail("v2", 0.01)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(50 * time.Second)
	before := *s.status.Rollout.Evidence
	if before.Percent < 20 || before.Canary.Errors == 0 {
		t.Fatalf("after 50 s there is %+v", before)
	}
	s.spec.Rollout.Analysis.Errors = &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("0.1")}}
	s.run(2 * time.Second)
	after := *s.status.Rollout.Evidence
	if after.Percent != 0 || after.Canary.Calls > 100 || after.Canary.Calls == 0 || after.Canary.Errors > 2 {
		t.Errorf("then there is %+v", after)
	}
	if s.status.Rollout.Step != 1 || s.phase() != stepping {
		t.Errorf("it is %s in step %d", s.phase(), s.status.Rollout.Step)
	}
}
