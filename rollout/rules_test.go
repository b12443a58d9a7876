package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

func TestEverythingThatKeepsAStepIsSaid(t *testing.T) {
	tests := map[string]struct {
		keep func(*scene)
		want string
	}{
		"paused":                  {func(s *scene) { s.spec.Rollout.Paused = ptr.To(true) }, "step 2 of 4 at 10 %: paused"},
		"a deaf data plane":       {func(s *scene) { s.deaf, s.status.Rollout.LiveSince = true, nil }, "waits for the data plane to serve the weight: the route is not accepted"},
		"its hold":                {func(s *scene) { s.spec.Rollout.Steps[1].Hold = long(24 * time.Hour) }, "holds until"},
		"a source that is away":   {func(s *scene) { s.blind = true }, "waits for evidence; the calls cannot be counted: Prometheus does not answer"},
		"silence":                 {func(s *scene) { s.rate = 0 }, "the canary has had no calls in this step"},
		"nothing known":           {func(s *scene) { s.hidden = true }, "nothing is known of Deployment/greeter: the API server does not answer"},
		"an outage of both sides": {func(s *scene) { s.rate, s.outage = 20, 0.5 }, "waits for stable, more than a tenth of whose calls failed within the last moments"},
		"a canary that lacks pods": {func(s *scene) {
			s.replicas, s.pods["v1"] = 20, 20
			s.pace = time.Hour
		}, "waits for the canary's pods: 1 of 2 ready"},
		"a canary without its Service": {func(s *scene) { s.unserved = true }, "waits for the canary's Service to be made"},
		"a webhook": {
			func(s *scene) {
				s.spec.Rollout.Analysis.Webhooks = []v1alpha1.RolloutWebhook{{Name: "tests"}, {Name: "change"}}
				s.answers["change"] = Answer{Revision: "v2", Step: 2, Words: "frozen until Monday"}
				s.answers["tests"] = Answer{Revision: "v2", Step: 1, Agrees: true}
			},
			"waits for webhooks to agree: tests, change (frozen until Monday)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.spec.Rollout.Steps = steps("1", "10", "25", "50")
			s.ship("v2")
			s.untilStep(2, time.Hour)
			test.keep(s)
			s.run(10 * time.Minute)
			if s.phase() != stepping || s.status.Rollout.Step != 2 || s.status.Rollout.Weight != 100_000 {
				t.Fatalf("%s, step %d, weight %d: %s", s.phase(), s.status.Rollout.Step, s.status.Rollout.Weight, s.reasons())
			}
			if !strings.Contains(s.message(), test.want) {
				t.Errorf("it says %q, not %q", s.message(), test.want)
			}
		})
	}
}

func TestWebhooksAreAskedWhenNothingElseIsMissing(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Analysis.Webhooks = []v1alpha1.RolloutWebhook{{Name: "tests"}}
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(30 * time.Second)
	if got := s.last.Intents.Ask; len(got) > 0 {
		t.Errorf("%v is asked before the hold is over", got)
	}
	s.run(2 * time.Minute)
	if got := s.last.Intents; len(got.Ask) != 1 || got.Revision != "v2" || got.Step != 1 {
		t.Fatalf("asked: %+v", got)
	}
	s.answers["tests"] = Answer{Revision: "v2", Step: 1, Agrees: true}
	s.untilStep(2, time.Minute)
	if got := s.last.Intents.Ask; len(got) > 0 {
		t.Errorf("%v is asked at once in the next step", got)
	}
}

func TestAWebhookThatRefusesIsNamed(t *testing.T) {
	required := v1alpha1.ApprovalRequired
	for name, test := range map[string]struct {
		answer   Answer
		approval *v1alpha1.Approval
		reason   v1alpha1.Reason
		progress string
	}{
		"not asked yet":              {Answer{}, nil, "Stepping", "1/2 10 %, passed"},
		"asked about another step":   {Answer{Revision: "v2", Step: 2}, nil, "Stepping", "1/2 10 %, passed"},
		"refuses":                    {Answer{Revision: "v2", Step: 1, Words: "no"}, nil, v1alpha1.ReasonAwaitingWebhook, "1/2 webhook tests"},
		"refuses before an approval": {Answer{Revision: "v2", Step: 1, Words: "no"}, &required, v1alpha1.ReasonAwaitingWebhook, "1/2 webhook tests"},
		"agrees before an approval":  {Answer{Revision: "v2", Step: 1, Agrees: true}, &required, v1alpha1.ReasonAwaitingApproval, "1/2 approval"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.spec.Rollout.Steps = steps("10", "50")
			s.spec.Rollout.Steps[0].Approval = test.approval
			s.spec.Rollout.Analysis.Webhooks = []v1alpha1.RolloutWebhook{{Name: "tests"}}
			s.answers["tests"] = test.answer
			s.ship("v2")
			s.untilStep(1, time.Minute)
			s.run(10 * time.Minute)
			if got := s.last.Condition; got.Reason != test.reason || s.status.Rollout.Progress != test.progress {
				t.Errorf("%s (%s), %q", got.Reason, got.Message, s.status.Rollout.Progress)
			}
		})
	}
}

// A webhook is waited for only where nothing else is.
func TestAPauseComesBeforeWebhooks(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Analysis.Webhooks = []v1alpha1.RolloutWebhook{{Name: "tests"}}
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.answers["tests"] = Answer{Revision: "v2", Step: 1, Words: "no"}
	s.run(10 * time.Minute)
	s.spec.Rollout.Paused = ptr.To(true)
	s.run(time.Second)
	if s.last.Condition.Reason != v1alpha1.ReasonRolloutPaused || len(s.last.Intents.Ask) > 0 {
		t.Errorf("%s, asked: %v", s.last.Condition.Reason, s.last.Intents.Ask)
	}
}

// An outage of something that both sides depend on is nobody's fault.
func TestErrorsOnBothSidesHoldAndThenPromote(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.outage = 0.5
	s.run(20 * time.Minute)
	if strings.Contains(s.reasons(), string(v1alpha1.DecisionRolloutFailed)) {
		t.Fatalf("rolled back: %s", s.reasons())
	}
	s.outage = 0
	s.until(idle, time.Hour)
	if s.status.Rollout.Stable != "v2" {
		t.Errorf("%s is stable: %s", s.status.Rollout.Stable, s.reasons())
	}
}

func TestErrorRateOverItsBoundRollsBackWhateverStableDoes(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Analysis.Errors = &v1alpha1.ErrorTolerance{MaxPercent: ptr.To("5")}
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.outage = 0.5
	s.until(rollingBack, 5*time.Minute)
	if f := s.status.Rollout.Failed; f == nil || !strings.Contains(s.reasons(), string(v1alpha1.DecisionCanarySuspected)) {
		t.Errorf("failed: %+v: %s", f, s.reasons())
	}
}

// What is taken for stable must be one revision: pods of a template that came a moment before the hold would stay in it.
func TestATemplateThatIsFasterThanTheHoldIsRolledOutBeforeAnythingIsShipped(t *testing.T) {
	s := newScene(t)
	s.status, s.all = served("primary", "backup"), nil
	s.template, s.pods = "v2", map[string]int32{"v1": 3, "v2": 1}
	s.run(time.Minute)
	if r := s.status.Rollout; r.Stable != "v2" || !s.held || s.pods["v1"] != 0 {
		t.Errorf("stable is %q, held %t, pods %v", r.Stable, s.held, s.pods)
	}
	if decided(s.all, v1alpha1.DecisionRolloutStarted) {
		t.Errorf("a rollout was begun: %v", s.all)
	}
	s.ship("v3")
	s.untilStep(1, time.Minute)
}

func TestNothingIsTakenForStableBeforeItIsHeld(t *testing.T) {
	s := newScene(t)
	s.status = served("primary", "backup")
	s.held = false
	s.look()
	if r := s.status.Rollout; r.Stable != "" || !s.held {
		t.Fatalf("stable is %q, held %t", r.Stable, s.held)
	}
	s.ship("v2")
	s.untilStep(1, time.Minute)
	if r := s.status.Rollout; r.Stable != "v1" || r.Revision != "v2" {
		t.Errorf("stable is %q, %q is shipped", r.Stable, r.Revision)
	}
}

func TestSlowCanaryIsRolledBackWhereLatenciesAreAskedFor(t *testing.T) {
	for _, asked := range []bool{true, false} {
		s := newScene(t)
		s.spec.Rollout.Steps = steps("10", "50")
		s.slow["v2"] = true
		if asked {
			s.spec.Rollout.Analysis.Latency = &v1alpha1.LatencyTolerance{}
		}
		s.ship("v2")
		s.until(idle, time.Hour)
		if failed := s.status.Rollout.Failed != nil; failed != asked {
			t.Errorf("latencies asked for: %t, rolled back: %t (%s)", asked, failed, s.message())
		}
	}
}

func TestLatenciesOfFreshPodsAreNotJudged(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Analysis.Latency = &v1alpha1.LatencyTolerance{}
	s.spec.Rollout.Analysis.WarmUp = ptr.To(v1alpha1.Duration("2m"))
	s.slow["v2"] = true
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(110 * time.Second)
	if s.phase() != stepping {
		t.Fatalf("%s while it warmed up: %s", s.phase(), s.message())
	}
	s.slow["v2"] = false // It is warm now.
	s.until(idle, time.Hour)
	if s.status.Rollout.Failed != nil {
		t.Errorf("rolled back: %s", s.message())
	}
}

func TestTheStatusSaysHowLongCallsTook(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Analysis.Latency = &v1alpha1.LatencyTolerance{}
	s.spec.Rollout.Analysis.WarmUp = ptr.To(v1alpha1.Duration("2m"))
	s.slow["v2"] = true
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(110 * time.Second)
	if got := s.status.Rollout.Evidence.Latency; got != nil {
		t.Errorf("latencies were judged while the canary warmed up: %+v", got)
	}
	if want := "latencies are judged from "; !strings.Contains(s.message(), want) {
		t.Errorf("%q does not say %q", s.message(), want)
	}
	s.until(rollingBack, time.Minute)
	latency := s.status.Rollout.Evidence.Latency
	if latency == nil || !strings.HasPrefix(latency.Canary, "p50 10ms, p90 63.1ms, p99 95.5ms of ") || !strings.HasPrefix(latency.Stable, "p50 5.56ms, p90 10ms, p99 79.4ms of ") {
		t.Fatalf("latencies are %+v", latency)
	}
	if against, err := strconv.ParseFloat(latency.Against, 64); err != nil || against < 4.6 {
		t.Errorf("against the canary %q", latency.Against)
	}
	if failed := s.status.Rollout.Failed; failed == nil || !strings.Contains(failed.Message, "it took "+latency.Canary) {
		t.Errorf("failed: %+v", failed)
	}
}

func TestWhoeverHasNoLatenciesIsTold(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Analysis.Latency = &v1alpha1.LatencyTolerance{}
	s.timeless, s.scrape = "no histogram anywhere", 5*time.Second
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(2 * time.Hour)
	if s.phase() != stepping || s.status.Rollout.Step != 1 {
		t.Fatalf("without latencies it is %s in step %d: %s", s.phase(), s.status.Rollout.Step, s.reasons())
	}
	for _, words := range []string{"analysis.latency is set, and Envoy has no latencies: no histogram anywhere", "set analysis.workload or analysis.prometheus.latencies"} {
		if !strings.Contains(s.message(), words) {
			t.Errorf("%q does not say %q", s.message(), words)
		}
	}
	s.timeless = ""
	s.untilStep(2, 10*time.Minute)
}

// When the pods of the user's own canary became ready nobody knows.
func TestTheUsersOwnCanaryWarmsUpFromTheBeginningOfAStep(t *testing.T) {
	s := newOwnCanary(t, "2")
	s.world.canary.since = time.Time{}
	s.spec.Rollout.Steps = steps("10", "50")
	s.spec.Rollout.Analysis.Latency = &v1alpha1.LatencyTolerance{}
	s.slow["2"] = true
	s.untilStep(1, 2*time.Minute)
	s.run(50 * time.Second)
	if s.phase() != stepping || s.status.Rollout.Evidence.Latency != nil {
		t.Fatalf("%s while it warmed up: %s", s.phase(), s.message())
	}
	s.until(rollingBack, time.Minute)
}

func TestRolledBackRevisionIsTriedAgainOnlyWhenAskedFor(t *testing.T) {
	s := newScene(t)
	s.trouble["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
	s.ship("v2")
	s.until(idle, time.Minute)
	s.trouble = map[string]*Trouble{}
	s.run(time.Hour)
	if s.phase() != idle {
		t.Fatalf("tried again by itself: %s", s.reasons())
	}
	s.retry = "1"
	s.until(stepping, time.Minute)
	s.trouble["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
	s.until(idle, time.Minute)
	s.run(time.Hour)
	if s.phase() != idle {
		t.Errorf("tried again with the same annotation: %s", s.reasons())
	}
	s.trouble = map[string]*Trouble{}
	s.ship("v1")
	s.run(time.Second)
	if s.status.Rollout.Failed != nil || s.pods["v2"] != 0 {
		t.Errorf("put back, and still there: %+v, %+v", s.status.Rollout.Failed, s.pods)
	}
	s.ship("v2")
	if s.phase() != preparing {
		t.Errorf("put back and asked for again, but not tried: %s", s.message())
	}
}

// TestEvictionsDelayARolloutAndFailNothing: each time it begins at the first step, and it gets through in the end.
func TestEvictionsDelayARolloutAndFailNothing(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.ship("v2")
	for n := range 5 {
		s.untilStep(1, time.Minute)
		s.kill("v2", s.now.Add(5*time.Second))
		s.look()
		if s.status.Rollout.Weight != 0 {
			t.Fatalf("death %d: the dead canary keeps weight %d", n+1, s.status.Rollout.Weight)
		}
	}
	s.until(idle, time.Hour)
	s.expectStable("v2")
	if lost := strings.Count(s.reasons(), "CanaryLost"); lost != 5 {
		t.Errorf("lost %d times: %s", lost, s.reasons())
	}
}

func TestCanaryIsSizedByItsShareOfAllPods(t *testing.T) {
	tests := map[string]struct {
		replicas, surge, missing int32
		weight                   int32
		size, need               int32
	}{
		"at least one":                         {4, 1, 1, 10_000, 1, 1},
		"its share of all pods, rounded up":    {10, 3, 2, 250_000, 4, 2},
		"half":                                 {10, 3, 2, 500_000, 7, 4},
		"never all of them":                    {4, 1, 0, 1_000_000, 3, 3},
		"no surge":                             {4, 0, 1, 500_000, 2, 2},
		"two pods":                             {2, 1, 0, 500_000, 1, 1},
		"the only one":                         {1, 1, 0, 500_000, 1, 1},
		"nothing needs no pod":                 {10, 3, 2, 0, 1, 0},
		"a millionth is one":                   {1000, 250, 250, 1, 1, 0},
		"no overflow with any number of pods":  {2_000_000_000, 100, 0, 1_000_000, 1_999_999_999, 1_999_999_999},
		"nonsense of a broken counter is none": {-3, 0, 0, 500_000, 1, 1},
	}
	for name, test := range tests {
		w := Workload{Replicas: test.replicas, Surge: test.surge, Unavailable: test.missing}
		if size, need := w.size(test.weight), w.need(test.weight); size != test.size || need != test.need {
			t.Errorf("%s: size %d and need %d, not %d and %d", name, size, need, test.size, test.need)
		}
	}
}

// TestNoPodHasMoreThanItsShare plays rollouts of all sizes. In each look no ready pod of either side has more calls than it has when a
// rolling update is at its narrowest, but for canaries of whole pods.
func TestNoPodHasMoreThanItsShare(t *testing.T) {
	for _, replicas := range []int32{1, 2, 3, 4, 5, 10, 25, 100} {
		for _, tight := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d pods, tight %t", replicas, tight), func(t *testing.T) {
				s := newScene(t)
				s.replicas, s.pods["v1"], s.tight = replicas, replicas, tight
				s.spec.Rollout.Steps = steps("10", "50")
				s.ship("v2")
				least := float64(max(replicas-s.missing(), 1))
				worst := 0.0
				for s.status.Rollout.Stable != "v2" {
					if s.now.Sub(midnight) > time.Hour {
						t.Fatalf("%s: %s", s.phase(), s.message())
					}
					s.pass(s.now.Add(500 * time.Millisecond))
					s.look()
					if s.status.Rollout.Stable == "v2" {
						break
					}
					weight := float64(s.live) / allParts
					if stable := s.ready("v1"); weight < 1 {
						worst = max(worst, (1-weight)/float64(stable)*least)
					}
					if canary := s.ready("v2"); weight > 0 && s.phase() == promoting {
						worst = max(worst, weight/float64(canary)*least)
					}
				}
				// Below three pods one of them cannot be spared.
				if worst > 1.0001 && replicas > 2 {
					t.Errorf("a pod has %.2f times its share", worst)
				}
				s.run(time.Minute)
				if s.pods["v2"] != replicas || s.pods["v1"] != 0 || s.status.Traffic.StableHash != "" || s.status.Traffic.Slot != v1alpha1.SlotGreen {
					t.Errorf("pods %v, %+v", s.pods, s.status.Traffic)
				}
			})
		}
	}
}

func TestScalingInTheMiddleScalesTheCanary(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("50")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.replicas = 10
	s.run(10 * time.Second)
	if s.pods["v2"] != 7 {
		t.Errorf("%d canaries of 13 pods at 50 %%", s.pods["v2"])
	}
	s.replicas = 2
	s.run(10 * time.Second)
	if s.pods["v2"] != 1 {
		t.Errorf("%d canaries of 3 pods at 50 %%", s.pods["v2"])
	}
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

func TestScalingToZeroSuspendsUntilThereArePods(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.replicas = 0
	s.run(time.Minute)
	if s.phase() != suspended || s.pods["v2"] != 0 || s.last.Intents.Canary.Present {
		t.Errorf("%s, canary %+v", s.phase(), s.pods)
	}
	s.replicas = 4
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

func TestDeletedDeploymentEndsItsRollout(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, time.Hour)
	s.exists = false
	s.run(time.Minute)
	if s.phase() != idle || s.pods["v2"] != 0 || s.status.Rollout.Stable != "" {
		t.Errorf("%s, canary %+v, stable %q", s.phase(), s.canary, s.status.Rollout.Stable)
	}
	s.exists, s.template, s.pods = true, "v7", map[string]int32{"v7": 4}
	s.run(time.Second)
	s.expectStable("v7")
}

func TestRemovedRolloutLeavesStableHeld(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, time.Hour)
	s.spec.Rollout = nil
	s.run(time.Minute)
	if s.status.Rollout != nil || s.held || s.pods["v2"] != 0 || s.last.Condition != nil || s.shares() != "primary 1000000" {
		t.Errorf("%+v, held %t, canary %+v, %s", s.status.Rollout, s.held, s.canary, s.shares())
	}
	if s.pods["v1"] != 4 || s.pausedBy != "headgate" {
		t.Errorf("stable is not left held: %v, paused by %q", s.pods, s.pausedBy)
	}
}

// TestARemovedRolloutReleasesWhatIsProved: with nothing held, or onRemoval: Release.
func TestARemovedRolloutReleasesWhatIsAskedFor(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.OnRemoval = ptr.To(v1alpha1.RemovalRelease)
	s.ship("v2")
	s.untilStep(1, time.Hour)
	s.spec.Rollout = nil
	s.run(time.Minute)
	if s.status.Rollout != nil || s.held || s.pausedBy != "" || s.pods["v2"] != 4 || s.pods["v1"] != 0 {
		t.Errorf("%+v, held %t, paused by %q, pods %v", s.status.Rollout, s.held, s.pausedBy, s.pods)
	}
	s = newScene(t)
	s.spec.Rollout = nil
	s.run(time.Minute)
	if s.status.Rollout != nil || s.held || s.pausedBy != "" {
		t.Errorf("%+v, held %t, paused by %q", s.status.Rollout, s.held, s.pausedBy)
	}
}

func TestAnotherWorkloadIsTakenOverAfterTheFirstIsGivenUp(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(1, time.Hour)
	s.spec.Rollout.WorkloadRef.Name = "other"
	if got := Target(&s.spec, &s.status); got != "Deployment/greeter" {
		t.Errorf("%s is observed while greeter is not given up", got)
	}
	s.run(20 * time.Second)
	s.all = nil
	s.runUntil(time.Minute, func() bool { return Target(&s.spec, &s.status) == "Deployment/other" })
	s.run(time.Minute)
	if got := s.status.Rollout; got.Target != "Deployment/other" || got.Phase != idle {
		t.Errorf("%+v", got)
	}
}

// A Deployment that rolls out when the rollout is added is left to finish; one that somebody holds is not.
func TestWhatADeploymentRunsBecomesStable(t *testing.T) {
	s := newScene(t)
	s.status = served("primary", "backup")
	s.held, s.template, s.pods = false, "v2", map[string]int32{"v1": 3, "v2": 1}
	s.look()
	s.pass(s.now.Add(time.Millisecond))
	s.look()
	if s.held || s.status.Rollout.Stable != "" {
		t.Errorf("held %t, stable %q in the middle of a rolling update", s.held, s.status.Rollout.Stable)
	}
	s.run(time.Minute)
	s.expectStable("v2")

	s.status = served("primary", "backup")
	s.held, s.template, s.pods = true, "v3", map[string]int32{"v2": 4}
	s.look()
	s.pass(s.now.Add(time.Millisecond))
	s.look()
	s.expectStable("v2")
}

func TestAPauseOfSomebodyElsesIsTheirsToEnd(t *testing.T) {
	s := newScene(t)
	s.held, s.pausedBy = false, "kubectl"
	s.ship("v2")
	s.run(time.Minute)
	if s.phase() != idle || s.held || s.last.Condition.Reason != v1alpha1.ReasonWorkloadPaused ||
		!strings.Contains(s.message(), "was paused by kubectl: resume it (spec.paused: false)") {
		t.Fatalf("%s, held %t, %s: %s", s.phase(), s.held, s.last.Condition.Reason, s.message())
	}
	s.held, s.pausedBy = true, ""
	s.until(promoting, time.Hour)
	s.pausedBy = "gitops"
	s.run(time.Minute)
	if s.phase() != releasing || s.last.Condition.Reason != v1alpha1.ReasonWorkloadPaused || s.last.Intents.Workload != WorkloadAsIs {
		t.Fatalf("%s, %s, %s: %s", s.phase(), s.last.Condition.Reason, s.last.Intents.Workload, s.message())
	}
	s.pausedBy = ""
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

func TestARolloutThatIsRemovedEndsThoughSomebodyPausesTheDeployment(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(1, time.Hour)
	s.pausedBy = "gitops"
	s.spec.Rollout = nil
	s.run(time.Minute)
	if s.status.Rollout != nil || s.held || s.pods["v1"] != 4 {
		t.Errorf("%+v, held %t, pods %v", s.status.Rollout, s.held, s.pods)
	}
}

func TestConfigurationThatFailsHasToBePutBackByPeople(t *testing.T) {
	s := newScene(t)
	s.template, s.pods = "t1-c1", map[string]int32{"t1-c1": 4}
	s.status = served("primary", "backup")
	s.run(2 * time.Second)
	s.trouble["t1-c2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
	s.ship("t1-c2")
	s.until(idle, time.Minute)
	if !strings.Contains(s.message(), "only its ConfigMaps and Secrets have changed: put them back") {
		t.Errorf("it says %s", s.message())
	}
}

// A promotion that turns out bad is taken back, without anybody putting the template back. Stable has pods enough all the time.
func TestPromotionThatTurnsOutBadIsTakenBack(t *testing.T) {
	s := newScene(t)
	s.replicas, s.pods["v1"] = 12, 12
	s.ship("v2")
	s.until(promoting, time.Hour)
	s.runUntil(time.Minute, func() bool { return s.status.Rollout.Weight > 700_000 })
	s.trouble["v2"] = &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}
	s.run(time.Second)
	if s.phase() != rollingBack || s.status.Rollout.Weight != 0 {
		t.Fatalf("%s with weight %d", s.phase(), s.status.Rollout.Weight)
	}
	s.run(time.Hour)
	if s.pods["v1"] != 12 || !s.held || s.status.Traffic.Slot != "" || s.status.Traffic.StableHash != "" {
		t.Errorf("pods %v, held %t, %+v", s.pods, s.held, s.status.Traffic)
	}
}

// A template that comes while another one is promoted never gets a pod before its turn.
func TestTemplateInTheMiddleOfAPromotionNeverGetsAPod(t *testing.T) {
	for _, c := range []struct {
		phase    v1alpha1.RolloutPhase
		replicas int32
		// becomes: the revision has all calls when it is released, which those of two pods can't have before they are all of it.
		becomes bool
	}{{promoting, 4, false}, {releasing, 4, true}, {releasing, 2, false}} {
		phase := c.phase
		s := newScene(t)
		s.guarded, s.replicas = true, c.replicas
		s.ship("v2")
		s.until(phase, time.Hour)
		s.ship("v3")
		for s.status.Rollout.Revision != "v3" {
			s.pass(s.now.Add(time.Second))
			s.look()
			if s.pods["v3"] != 0 && s.status.Rollout.Revision != "v3" {
				t.Fatalf("in %s: pods %v", s.phase(), s.pods)
			}
		}
		if stable := s.status.Rollout.Stable; (stable == "v2") != c.becomes {
			t.Errorf("from %s %s is stable", phase, stable)
		}
		s.until(idle, time.Hour)
		s.expectStable("v3")
		s.run(time.Minute)
		if s.pods["v3"] != c.replicas || len(s.pods) != 1 || s.held {
			t.Errorf("pods %v, held %t", s.pods, s.held)
		}
	}
}

func TestEditedStepsAreFollowed(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "20", "50")
	s.ship("v2")
	s.untilStep(2, time.Hour)
	s.spec.Rollout.Steps = steps("10", "15", "50")
	s.run(2 * time.Second)
	if got := s.status.Rollout; got.Weight != 150_000 || got.Step != 2 {
		t.Errorf("lowered: step %d, weight %d", got.Step, got.Weight)
	}
	s.spec.Rollout.Steps = steps("5")
	s.run(2 * time.Second)
	if got := s.status.Rollout; got.Weight != 50_000 || got.Step != 1 {
		t.Errorf("shortened: step %d, weight %d", got.Step, got.Weight)
	}
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

func TestConfigOfTheRevisionIsRolledOutWithIt(t *testing.T) {
	s := newScene(t)
	s.template, s.pods = "t1-c1", map[string]int32{"t1-c1": 4}
	s.status = served("primary", "backup")
	s.run(2 * time.Second)
	if got := s.last.Intents.Config; got != "c1" {
		t.Errorf("config %q when idle", got)
	}
	s.ship("t1-c2")
	s.untilStep(1, time.Minute)
	if got := s.last.Intents.Config; got != "c2" {
		t.Errorf("config %q of the canary", got)
	}
	s.until(idle, time.Hour)
	s.ship("t1") // trackConfig is turned off: no rollout.
	s.run(time.Minute)
	s.expectStable("t1")
	if s.last.Intents.Config != "" || s.phase() != idle {
		t.Errorf("%s, config %q", s.phase(), s.last.Intents.Config)
	}
}

func TestNothingIsWrittenWhenNothingHappens(t *testing.T) {
	s := newScene(t)
	for range 600 {
		s.run(time.Second)
		if s.last.Changed {
			t.Fatalf("%s: something has to be written: %+v", s.at(), s.status.Rollout)
		}
	}
}

func TestCountsThatOverlapAreTakenOnce(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(30 * time.Second)
	seen := s.observe(s.status)
	seen.Calls = Calls{Known: true, Start: s.now.Add(-20 * time.Second), End: s.now}
	seen.Calls.Canary.Calls, seen.Calls.Canary.Errors, seen.Calls.Stable.Calls = 100, 100, 100
	before := s.status.Rollout.Evidence.Canary
	if out := Decide(&s.spec, s.status, seen, s.now); out.Rollout.Evidence.Canary != before {
		t.Errorf("%+v after %+v", out.Rollout.Evidence.Canary, before)
	}
}

func TestEvidenceOfAnotherVersionStartsOver(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(2, time.Hour)
	s.status.Rollout.Evidence.State = "of another version"
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

// leaveInDoubt lets all calls of the canary fail for a few seconds. It loses its calls, and when it has them again the moment that was bad
// speaks against it still.
func (s *scene) leaveInDoubt() {
	s.t.Helper()
	s.suspect()
	s.untilStep(1, time.Minute)
	if !s.doubtful() {
		s.t.Fatalf("there is no doubt: %s", s.reasons())
	}
}

// doubtful: too much speaks against the canary to advance, and too little to roll back.
func (s *scene) doubtful() bool {
	s.t.Helper()
	state, err := judge.ParseState(s.status.Rollout.Evidence.State)
	if err != nil {
		s.t.Fatal(err)
	}
	return settingsOf(s.spec.Rollout, s.status.Rollout.Plan).judge.Decide(state).Doubtful
}

// What errors of before have left is dispelled by calls: fewer of them take more time, and it ends. Meanwhile the step is one, and
// not prepared for ever, for only in a step does maxHold apply.
func TestDoubtIsDispelledByCallsWhateverTheWeight(t *testing.T) {
	for _, weight := range []string{"0.5", "5", "49"} {
		t.Run(weight, func(t *testing.T) {
			s := newScene(t)
			s.rate = 4000
			s.spec.Rollout.Steps = steps(weight, "50")
			s.ship("v2")
			s.untilStep(1, time.Minute)
			s.run(10 * time.Second)
			s.leaveInDoubt()
			before := s.status.Rollout.Evidence.Canary.Calls
			s.run(3 * time.Second)
			if s.phase() != stepping || !s.doubtful() || s.status.Rollout.Weight != s.live {
				t.Errorf("%s: %s", s.phase(), s.message())
			}
			began := s.now
			s.runUntil(time.Hour, func() bool { return !s.doubtful() })
			calls := s.status.Rollout.Evidence.Canary.Calls - before
			t.Logf("dispelled after %s and %d calls of the canary", s.now.Sub(began), calls)
			if s.doubtful() || calls > 100_000 {
				t.Errorf("after %d calls of the canary: %s", calls, s.message())
			}
			s.until(idle, time.Hour)
			s.expectStable("v2")
		})
	}
}

// The step is one in spite of the doubt, so that it ends.
func TestAStepInDoubtIsUndecidedInTime(t *testing.T) {
	s := newScene(t)
	s.rate = 400
	s.spec.Rollout.Steps = steps("0.5", "50")
	s.spec.Rollout.Analysis.WhenUndecided = ptr.To(v1alpha1.UndecidedRollBack)
	s.spec.Rollout.Analysis.MaxHold = long(2 * time.Minute)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(10 * time.Second)
	s.leaveInDoubt()
	s.until(rollingBack, 3*time.Minute)
	if f := s.status.Rollout.Failed; f == nil || f.Reason != FailureUndecided {
		t.Errorf("failed: %+v", f)
	}
}

// A step that gets no more than it has is begun in spite of a doubt.
func TestAStepThatIsNotLargerBeginsInDoubt(t *testing.T) {
	s := newScene(t)
	s.rate = 4000
	s.spec.Rollout.Steps = steps("50")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(10 * time.Second)
	s.leaveInDoubt()
	s.run(6 * time.Second)
	s.spec.Rollout.Steps = steps("0.5", "50")
	s.run(3 * time.Second)
	if r := s.status.Rollout; s.phase() != stepping || r.Weight != 5000 || !s.doubtful() {
		t.Errorf("%s with weight %d: %s", s.phase(), r.Weight, s.message())
	}
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

// Between two steps no evidence is gathered and no time runs out: a doubt without calls would stay for ever.
func TestDoubtBetweenTwoStepsGoesBackToTheOneBefore(t *testing.T) {
	for policy, want := range map[v1alpha1.UndecidedPolicy]v1alpha1.RolloutPhase{
		v1alpha1.UndecidedHold: stepping, v1alpha1.UndecidedAdvance: stepping, v1alpha1.UndecidedRollBack: idle,
	} {
		t.Run(string(policy), func(t *testing.T) {
			s := newScene(t)
			s.rate, s.scrape = 4000, time.Second
			s.replicas, s.pods["v1"] = 20, 20
			s.spec.Rollout.Steps = steps("10", "20", "50")
			s.spec.Rollout.Analysis.WhenUndecided, s.spec.Rollout.Analysis.MaxHold = &policy, long(10*time.Minute)
			s.ship("v2")
			s.untilStep(2, time.Hour)
			s.pace = time.Hour // The pods of the third step do not come.
			s.until(preparing, time.Hour)
			s.outage = 0.5
			s.fail("v2", 1)
			for !s.doubtful() {
				s.pass(s.now.Add(time.Second))
				s.look()
			}
			s.outage, s.rate = 0, 0
			s.fail("v2", 0)
			s.run(2 * time.Second)
			if r := s.status.Rollout; s.phase() != stepping || r.Step != 2 || r.Weight != 200_000 || len(r.Verdicts) != 1 {
				t.Fatalf("%s, step %d, weight %d, verdicts %v: %s", s.phase(), r.Step, r.Weight, r.Verdicts, s.reasons())
			}
			s.run(time.Hour)
			if s.phase() != want {
				t.Errorf("%s: %s", s.phase(), s.message())
			}
			if f := s.status.Rollout.Failed; want == idle && (f == nil || f.Reason != FailureUndecided) {
				t.Errorf("failed: %+v", f)
			}
		})
	}
}

// The canary's last calls from before it had all of them fail. With all of them nothing could ever be said against that, or for it.
func TestDoubtWithAllCallsGoesBackToWhereThereIsAComparison(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "100")
	s.ship("v2")
	s.untilStep(2, time.Hour)
	s.fail("v2", 0.5)
	for !s.doubtful() {
		s.live = 100_000 // The data plane is late.
		s.pass(s.now.Add(time.Second))
		s.look()
	}
	s.fail("v2", 0)
	s.runUntil(time.Minute, func() bool { return s.phase() == stepping && s.status.Rollout.Step == 1 })
	if r := s.status.Rollout; r.Step != 1 || r.Weight != 100_000 || s.live != 100_000 || len(r.Verdicts) != 0 {
		t.Fatalf("step %d, weight %d, live %d, verdicts %v: %s", r.Step, r.Weight, s.live, r.Verdicts, s.reasons())
	}
	s.until(idle, time.Hour)
	s.expectStable("v2")
}

func TestCanaryKeepsItsPodsUntilItsSmallerShareIsServed(t *testing.T) {
	s := newScene(t)
	s.replicas, s.pods["v1"] = 10, 10
	s.spec.Rollout.Steps = steps("50", "60")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(10 * time.Second)
	s.deaf = true
	s.spec.Rollout.Steps = steps("10", "60")
	s.run(time.Minute)
	if s.status.Rollout.Weight != 100_000 || s.pods["v2"] != 7 {
		t.Errorf("weight %d, %d pods", s.status.Rollout.Weight, s.pods["v2"])
	}
	s.deaf = false
	s.run(2 * time.Second)
	if s.pods["v2"] != 2 {
		t.Errorf("%d pods for 10 %% of 13", s.pods["v2"])
	}
}

func (s *scene) expectStable(revision string) {
	s.t.Helper()
	if got := s.status.Rollout.Stable; got != revision {
		s.t.Errorf("%q is stable, not %q: %s; there were %s", got, revision, s.message(), s.reasons())
	}
}

// The verdict is asked for where the weight rises, whatever way led there.
func TestWeightDoesNotRiseWithoutAVerdictOnRecord(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "20", "50")
	s.ship("v2")
	s.untilStep(2, time.Hour)
	s.status.Rollout.Phase, s.status.Rollout.Step = preparing, 3
	s.run(time.Minute)
	if got := s.status.Rollout; got.Phase != preparing || got.Weight != 200_000 {
		t.Errorf("%s with weight %d", got.Phase, got.Weight)
	}
}

func TestNothingIsGivenToACanaryThatTheDataPlaneHasNotHeardOf(t *testing.T) {
	s := newScene(t)
	s.deaf = true
	s.ship("v2")
	s.run(time.Minute)
	if s.phase() != preparing || s.status.Rollout.Weight != 0 || !strings.Contains(s.message(), "waits for the data plane") {
		t.Errorf("%s with weight %d: %s", s.phase(), s.status.Rollout.Weight, s.message())
	}
	s.deaf = false
	s.until(stepping, time.Minute)
}

func TestStepIsNotLeftWhileTheDataPlaneServesAnotherWeight(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.run(59 * time.Second)
	seen := s.observe(s.status)
	seen.DataPlane.Weight = 0 // Somebody has changed the route.
	for range 5 {
		s.now = s.now.Add(time.Minute)
		Decide(&s.spec, s.status, seen, s.now).Apply(&s.status)
	}
	if s.status.Rollout.Step != 1 || s.phase() != stepping || !strings.Contains(s.message(), "waits for the data plane") {
		t.Errorf("%s, step %d: %s", s.phase(), s.status.Rollout.Step, s.message())
	}
}

func TestTroubleOfAnotherRevisionSaysNothing(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	seen := s.observe(s.status)
	seen.Canary = Canary{Known: true, Found: true, Revision: "v0", Trouble: &Trouble{Kind: TroubleCrashLoop, Words: "back-off"}}
	if out := Decide(&s.spec, s.status, seen, s.now); out.Rollout.Phase != preparing {
		t.Errorf("%s: %s", out.Rollout.Phase, out.Rollout.Message)
	}
}

// TestNothingStartsWhileSomebodyHasPinnedAnotherBackend: the first one may be well, and is to be compared with.
func TestNothingStartsWhileSomebodyHasPinnedAnotherBackend(t *testing.T) {
	s := newScene(t)
	s.spec.Failover = &v1alpha1.Failover{Pin: "backup"}
	s.failOver("backup")
	s.ship("v2")
	s.run(time.Minute)
	if s.phase() != idle || !strings.Contains(s.message(), "v2 waits: backup serves instead of primary") || s.pods["v2"] != 0 {
		t.Errorf("%s: %s", s.phase(), s.message())
	}
	s.spec.Failover = nil
	s.failOver("primary")
	s.until(stepping, time.Minute)
}

// TestAVersionThatComesWhileThereAreNoPodsIsComparedWithStable: a backup serves for as long as the first one has to prove that it is back,
// and that says nothing against its version.
func TestAVersionThatComesWhileThereAreNoPodsIsComparedWithStable(t *testing.T) {
	s := newScene(t)
	s.failOver("backup")
	s.status.Failover = &v1alpha1.FailoverStatus{State: &v1alpha1.DeciderState{Backends: []v1alpha1.BackendMemory{{
		Name: "primary", Standing: v1alpha1.BackendDown, Cause: string(v1alpha1.FaultNoReadyEndpoint), HealthySince: micro(s.now),
	}}}}
	s.ship("v2")
	s.run(time.Minute)
	if s.phase() != idle || !strings.Contains(s.message(), "v2 waits: backup serves instead of primary") || s.pods["v2"] != 0 {
		t.Errorf("%s: %s", s.phase(), s.message())
	}
	s.status.Failover = nil
	s.failOver("primary")
	s.until(stepping, time.Minute)
}

// What cannot be made is said with the phase, keeps the canary from getting more calls, and is over when it is.
func TestWhatIsRefusedIsSaidAndKeepsAStepFromBeginning(t *testing.T) {
	const words = "Service shop/greeter-canary is refused by the API server: not on a Friday"
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.refused = words
	s.ship("v2")
	s.until(preparing, time.Minute)
	s.run(10 * time.Minute)
	if s.phase() != preparing || s.status.Rollout.Weight != 0 {
		t.Fatalf("%s with weight %d: %s", s.phase(), s.status.Rollout.Weight, s.reasons())
	}
	if got := s.last.Condition; got.Reason != v1alpha1.ReasonApplyFailed || got.Status != metav1.ConditionFalse || !strings.HasSuffix(got.Message, words) {
		t.Errorf("the condition is %+v", got)
	}
	if !strings.HasSuffix(s.message(), words) || s.status.Rollout.Progress != "1/2 refused" {
		t.Errorf("it says %q, %q", s.message(), s.status.Rollout.Progress)
	}
	s.refused = ""
	s.untilStep(1, time.Minute)
	if got := s.last.Condition; got.Status != metav1.ConditionTrue || strings.Contains(got.Message, words) {
		t.Errorf("afterwards the condition is %+v", got)
	}
}

// Whoever restores or edits a status may leave things out.
func TestEvidenceThatSaysNothingStartsOver(t *testing.T) {
	s := newScene(t)
	s.ship("v2")
	s.untilStep(1, time.Minute)
	s.status.Rollout.Evidence = &v1alpha1.RolloutEvidence{}
	s.until(idle, time.Hour)
	s.expectStable("v2")
}
