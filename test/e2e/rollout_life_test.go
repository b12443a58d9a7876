package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// What the life of a cluster does to a rollout that is under way.

// atStep waits until the canary has the weight of a step.
func (t *trial) atStep(step int32) {
	t.Helper()
	t.rollout(fmt.Sprintf("step %d", step), func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutStepping && status.Step == step && status.LiveSince != nil
	})
}

// promoted waits until a rollout that was shipped is over, and the new revision is everywhere.
func (t *trial) promoted() {
	t.Helper()
	t.rollout("the promotion", isPromoted)
}

func isPromoted(status v1alpha1.RolloutStatus) bool {
	return status.Phase == v1alpha1.RolloutIdle && status.Revision != "" && status.Stable == status.Revision
}

// changeRollout edits spec.rollout.
func (t *trial) changeRollout(change func(*v1alpha1.Rollout)) {
	t.Helper()
	must(t.T, cluster.Change(t.ctx, t.exs, func(spec *v1alpha1.ExposedServiceSpec) { change(spec.Rollout) }))
}

// holds says how long each step lasts at least.
func (t *trial) holds(duration v1alpha1.LongDuration) {
	t.Helper()
	t.changeRollout(func(r *v1alpha1.Rollout) {
		for i := range r.Steps {
			r.Steps[i].Hold = &duration
		}
	})
}

// decisions are how often a decision of the rollout was taken.
func (t *trial) decisions(reason v1alpha1.DecisionReason) int { return scene.Decided(t.exs, reason) }

func TestAnAutoscalerInTheMiddleOfARolloutLosesNoCall(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "autoscaled", 10, 50)
	scaler := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: trial.space, Name: primary},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: primary},
			MinReplicas:    ptr.To(int32(2)), MaxReplicas: 6,
		},
	}
	must(t, cluster.Put(trial.ctx, scaler))
	trial.ship(newVersion)
	trial.atStep(1)
	trial.holds("25s")
	// Without metrics an autoscaler still keeps its bounds.
	scaler.Spec.MinReplicas = ptr.To(int32(4))
	must(t, cluster.Put(trial.ctx, scaler))
	trial.mark("4 replicas at least")
	must(t, scene.Until(trial.ctx, "the autoscaler's replicas", func(ctx context.Context) error {
		d := &appsv1.Deployment{}
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: trial.space, Name: primary}, d); err != nil {
			return err
		}
		// As in any rolling update there is one more, by maxSurge.
		if *d.Spec.Replicas != 4 || d.Status.ReadyReplicas != 5 {
			return fmt.Errorf("%w: %d of 5 ready", errUnderWay, d.Status.ReadyReplicas)
		}
		return nil
	}))
	if phase := trial.exs.Status.Rollout.Phase; phase != v1alpha1.RolloutStepping {
		t.Errorf("the rollout is %s, so that the autoscaler was not in its middle", phase)
	}
	trial.holds("1s")
	trial.promoted()
	trial.nothingFailed()
}

// TestAnOutageOfBothVersionsHoldsTheRollout: something that both depend on fails.
func TestAnOutageOfBothVersionsHoldsTheRollout(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "outage", 25, 50)
	trial.ship(newVersion)
	trial.atStep(1)
	began := trial.mark("30 % INTERNAL of both")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "errors", "share", "0.3", "code", "INTERNAL"))
	_, seen := trial.live.Recent(0)
	must(t, scene.UntilWithin(trial.ctx, rolloutPatience, 100*time.Millisecond, "4,000 calls", func(context.Context) error {
		if recent, _ := trial.live.Recent(seen); recent.Calls < 4000 {
			return errUnderWay
		}
		return nil
	}))
	must(t, cluster.Get(trial.ctx, client.ObjectKeyFromObject(trial.exs), trial.exs))
	status := trial.exs.Status.Rollout
	t.Logf("after %.0f s of errors: %s, step %d: %s", time.Since(began).Seconds(), status.Phase, status.Step, status.Message)
	if status.Failed != nil || isPromoted(*status) {
		t.Errorf("decided by an outage of both: %+v", status)
	}
	trial.mark("both are well again")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "errors", "share", "0", "code", "INTERNAL"))
	trial.promoted()
}

func TestWithoutTrafficARolloutHoldsAndSaysSo(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "silent", 10, 50)
	if report := trial.report(); report.Total == 0 {
		t.Fatal("there was no call before the silence either")
	}
	trial.ship(newVersion)
	trial.atStep(1)
	at := trial.exs.Status.Rollout.StepStarted.Time
	must(t, scene.UntilWithin(trial.ctx, rolloutPatience, 200*time.Millisecond, "ten times the step's hold", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(trial.exs), trial.exs); err != nil {
			return err
		}
		if time.Since(at) < 10*time.Second {
			return errUnderWay
		}
		return nil
	}))
	status := trial.exs.Status.Rollout
	t.Log(status.Message)
	if status.Step != 1 || status.Phase != v1alpha1.RolloutStepping || !strings.Contains(status.Message, "call") {
		t.Fatalf("left the step without a call, or says nothing about calls: %+v", status)
	}
	trial.changeRollout(func(r *v1alpha1.Rollout) {
		r.Analysis.WhenUndecided, r.Analysis.MaxHold = ptr.To(v1alpha1.UndecidedAdvance), ptr.To(v1alpha1.LongDuration("2s"))
	})
	trial.promoted()
}

func TestAnotherTemplateInTheMiddleIsShippedInstead(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "replaced", 10, 50)
	trial.ship(newVersion)
	trial.atStep(1)
	trial.holds("30s")
	first := trial.exs.Status.Rollout.Revision
	trial.ship(`{"spec":{"template":{"metadata":{"annotations":{"version":"3"}}}}}`)
	trial.rollout("the newer revision", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutStepping && status.Revision != first
	})
	if trial.decisions(v1alpha1.DecisionRolloutReplaced) != 1 {
		t.Errorf("history: %s", strings.Join(scene.History(trial.exs), "\n"))
	}
	trial.ship(`{"spec":{"template":{"metadata":{"annotations":{"version":null}}}}}`)
	trial.rollout("the stable revision again", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutIdle && status.Weight == 0
	})
	if trial.decisions(v1alpha1.DecisionRolloutReverted) != 1 || trial.exs.Status.Rollout.Failed != nil {
		t.Errorf("history: %s", strings.Join(scene.History(trial.exs), "\n"))
	}
	trial.nothingFailed()
}

// TestAPrimaryThatFailsInTheMiddleSuspendsTheRollout: failover comes first, and the rollout begins again
// from its first step.
func TestAPrimaryThatFailsInTheMiddleSuspendsTheRollout(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "suspended", 10, 50)
	trial.ship(newVersion)
	trial.atStep(1)
	trial.holds("20s")
	trial.atStep(1)
	stable := trial.exs.Status.Traffic.StableHash
	marked := trial.mark("the stable version is not ready")
	must(t, cluster.OrderVersion(trial.ctx, trial.space, primary, stable, "not-ready"))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	trial.rollout("the suspension", func(status v1alpha1.RolloutStatus) bool { return status.Phase == v1alpha1.RolloutSuspended })
	trial.answered(backup)
	trial.holds("1s")
	must(t, cluster.OrderVersion(trial.ctx, trial.space, primary, stable, "ready"))
	trial.decided(v1alpha1.DecisionHandedBack, marked)
	trial.promoted()
	if trial.decisions(v1alpha1.DecisionRolloutResumed) != 1 {
		t.Errorf("history: %s", strings.Join(scene.History(trial.exs), "\n"))
	}
	trial.nothingFailed()
}

// TestHeadgateKilledAtAnyMomentOfRollouts: good and bad versions are on their way while Headgate is
// killed at random moments, ten of each. All end as they would have without.
func TestHeadgateKilledAtAnyMomentOfRollouts(t *testing.T) {
	// Each service has half the calls of other tests: there are four, and four versions start at once.
	const pairs, kills, rate = 2, 5, calm / 2
	seed := uint64(time.Now().UnixNano())    //nolint:gosec // any number will do
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // moments, not secrets
	t.Logf("seed %d", seed)
	var good, bad []*trial
	// The pods of four services end at once, which is no neighbour for the next test's calls.
	t.Cleanup(func() {
		for _, trial := range slices.Concat(good, bad) {
			must(t, cluster.UntilNamespaceGone(context.Background(), trial.space))
		}
	})
	for i := range pairs {
		good = append(good, shippingAt(t, rate, fmt.Sprintf("killed-good-%d", i), 10, 25, 50, 75))
		bad = append(bad, shippingAt(t, rate, fmt.Sprintf("killed-bad-%d", i), 10, 50))
	}
	all := slices.Concat(good, bad)
	for _, trial := range all {
		trial.holds("8s")
		trial.ship(newVersion)
	}
	spoiled := map[*trial]bool{}
	for range kills {
		pause := time.NewTimer(time.Duration(random.Float64() * float64(6*time.Second)))
		<-pause.C
		for _, trial := range all {
			trial.mark("Headgate killed")
		}
		must(t, cluster.KillHeadgate(t.Context()))
		for _, trial := range bad {
			spoiled[trial] = spoiled[trial] || trial.spoil()
		}
	}
	for _, trial := range bad {
		// Five kills in a row may be over before there is a canary.
		must(t, scene.UntilWithin(trial.ctx, rolloutPatience, 20*time.Millisecond, "a canary to spoil", func(context.Context) error {
			if spoiled[trial] || trial.spoil() {
				return nil
			}
			return errUnderWay
		}))
	}
	for _, trial := range good {
		// Beside the time of a rollout, each kill takes the time until the dead leader's lease runs out.
		trial.rolloutWithin(2*rolloutPatience, "the promotion", isPromoted)
		trial.nothingFailed()
		once(trial, v1alpha1.DecisionPromotionStarted)
	}
	for _, trial := range bad {
		trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool {
			return status.Failed != nil && status.Phase == v1alpha1.RolloutIdle
		})
		calls, failed := trial.fromCanary()
		t.Logf("rolled back after %d calls to the canary, %d calls failed", calls, failed)
		once(trial, v1alpha1.DecisionRolloutFailed)
	}
}

// spoil lets the canary fail a fifth of its calls, and says whether there is one that could be told.
func (t *trial) spoil() bool {
	t.Helper()
	must(t.T, cluster.Get(t.ctx, client.ObjectKeyFromObject(t.exs), t.exs))
	hash := hashOfCanary(t.exs)
	if hash == "" || cluster.OrderVersion(t.ctx, t.space, primary, hash, "errors", "share", "0.2", "code", "INTERNAL") != nil {
		return false
	}
	t.canary = hash
	t.mark("20 % INTERNAL of the canary")
	return true
}

// once fails the test unless a decision was taken exactly once.
func once(t *trial, reason v1alpha1.DecisionReason) {
	t.Helper()
	if n := t.decisions(reason); n != 1 {
		t.Errorf("%s %d times:\n%s", reason, n, strings.Join(scene.History(t.exs), "\n"))
	}
}

func TestAPIServerRestartedInTheMiddleOfARollout(t *testing.T) {
	if os.Getenv("CLUSTER_COMMAND") == "" {
		t.Skip("only a local cluster's API server can be restarted: CLUSTER_COMMAND is not set")
	}
	trial := shipping(t, "apirestart", 10, 50)
	trial.ship(newVersion)
	trial.atStep(1)
	trial.mark("API server restarted")
	must(t, scene.RestartComponent(trial.ctx, "kube-apiserver"))
	must(t, scene.UntilWithin(trial.ctx, 3*rolloutPatience, time.Second, "the promotion", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(trial.exs), trial.exs); err != nil {
			return err
		}
		if !isPromoted(*trial.exs.Status.Rollout) {
			return fmt.Errorf("%w: %+v", errUnderWay, trial.exs.Status.Rollout)
		}
		return nil
	}))
	trial.nothingFailed()
}
