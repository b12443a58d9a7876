package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/test/scene"
)

// rolloutPatience is how long a whole rollout may take: it waits for evidence, of which a busy machine gives little.
const rolloutPatience = 6 * time.Minute

// errUnderWay: what a test waits for has not happened yet.
var errUnderWay = errors.New("not yet")

// shipping is a trial whose primary is rolled out by Headgate, in steps that take seconds.
func shipping(t *testing.T, name string, steps ...int) *trial {
	t.Helper()
	return shippingAt(t, calm, name, steps...)
}

func shippingAt(t *testing.T, rate int, name string, steps ...int) *trial {
	t.Helper()
	trial := tryAt(t, rate, name, v1alpha1.StrategyAuto, nil)
	trial.ships(nil, steps...)
	return trial
}

// ships has Headgate roll the primary out.
func (t *trial) ships(change func(*v1alpha1.Rollout), steps ...int) {
	t.Helper()
	must(t.T, cluster.Change(t.ctx, t.exs, func(spec *v1alpha1.ExposedServiceSpec) {
		spec.Rollout = quickRollout(steps...)
		if change != nil {
			change(spec.Rollout)
		}
	}))
	t.rollout("the stable revision is known", func(status v1alpha1.RolloutStatus) bool { return status.Stable != "" })
}

// quickRollout ships the primary in steps that take seconds.
func quickRollout(steps ...int) *v1alpha1.Rollout {
	r := &v1alpha1.Rollout{
		WorkloadRef: &v1alpha1.WorkloadReference{Name: primary},
		// Little is to be proved, so that a test sees the end.
		Analysis: &v1alpha1.Analysis{Errors: &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("5")}}},
	}
	for _, weight := range steps {
		r.Steps = append(r.Steps, v1alpha1.RolloutStep{Weight: intstr.FromInt(weight), Hold: ptr.To(v1alpha1.LongDuration("1s"))})
	}
	return r
}

// rollout waits until the status of the rollout is as it is to be.
func (t *trial) rollout(what string, is func(v1alpha1.RolloutStatus) bool) {
	t.Helper()
	t.rolloutWithin(rolloutPatience, what, is)
}

func (t *trial) rolloutWithin(patience time.Duration, what string, is func(v1alpha1.RolloutStatus) bool) {
	t.Helper()
	must(t.T, scene.UntilWithin(t.ctx, patience, 50*time.Millisecond, what, func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(t.exs), t.exs); err != nil {
			return err
		}
		if status := t.exs.Status.Rollout; status == nil || !is(*status) {
			return fmt.Errorf("%w: %+v; %s", errUnderWay, status, strings.Join(scene.History(t.exs), "; "))
		}
		return nil
	}))
}

// ship changes the primary's pod template.
func (t *trial) ship(patch string) time.Time {
	t.Helper()
	at := t.mark("new template")
	must(t.T, shipIn(t.ctx, t.space, patch))
	return at
}

// shipIn changes the pod template of the primary in a namespace.
func shipIn(ctx context.Context, space, patch string) error {
	return cluster.Patch(ctx, primaryIn(space), client.RawPatch("application/strategic-merge-patch+json", []byte(patch)))
}

// primaryIn is the Deployment of the primary in a namespace, not read yet.
func primaryIn(space string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: primary}}
}

// newVersion is a template that differs in nothing that matters.
const newVersion = `{"spec":{"template":{"metadata":{"annotations":{"version":"2"}}}}}`

// fromCanary counts the canary's calls, and those of all that failed.
func (t *trial) fromCanary() (calls, failed int) {
	for call := range t.report().Calls() {
		if strings.HasPrefix(call.Pod, primary+"-canary-") {
			calls++
		}
		if call.Failed() {
			failed++
		}
	}
	return calls, failed
}

func TestAGoodVersionIsPromotedAndLosesNoCall(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "promoted", 10, 25, 50, 75)
	at := trial.ship(newVersion)
	trial.rollout("the rollout is over", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutIdle && status.Revision != "" && status.Stable == status.Revision
	})
	t.Logf("promoted in %.1f s", time.Since(at).Seconds())
	trial.nothingFailed()
}

// byEvidence tells whether a version was rolled back for what its calls were like. An alarm comes in the first seconds of each look,
// and which of both is first depends on when: blocks enough for the verdict, or the last alarm that is allowed.
func byEvidence(failed *v1alpha1.FailedRevision) bool {
	return failed.Reason == rollout.FailureWorse || failed.Reason == rollout.FailureSuspected
}

func TestABadVersionIsRolledBack(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "rolledback", 10, 50)
	trial.ship(newVersion)
	must(t, scene.UntilWithin(trial.ctx, rolloutPatience, 20*time.Millisecond, "the canary's errors", func(ctx context.Context) error {
		pods, err := cluster.Pods(ctx, trial.space, primary+"-canary")
		if err != nil || len(pods) == 0 {
			return errors.Join(errUnderWay, err)
		}
		return cluster.Order(ctx, trial.space, primary+"-canary", "errors", "share", "0.05", "code", "INTERNAL")
	}))
	trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool { return status.Failed != nil })
	calls, failed := trial.fromCanary()
	t.Logf("rolled back after %d calls to the canary, %d calls failed: %s", calls, failed, trial.exs.Status.Rollout.Failed.Message)
	if !byEvidence(trial.exs.Status.Rollout.Failed) || calls == 0 {
		t.Errorf("failed is %+v", trial.exs.Status.Rollout.Failed)
	}
}

func TestACrashingCanaryIsStoppedAndLosesNoCall(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "crashing", 10, 50)
	at := trial.ship(`{"spec":{"template":{"spec":{"containers":[{"name":"greeter","args":["-no-such-flag"]}]}}}}`)
	trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool { return status.Failed != nil })
	failed := trial.exs.Status.Rollout.Failed
	t.Logf("stopped after %.1f s: %s: %s", time.Since(at).Seconds(), failed.Reason, failed.Message)
	if failed.Reason != "CrashLoop" {
		t.Errorf("failed is %+v", failed)
	}
	trial.nothingFailed()
}

func TestDeletionInTheMiddleOfARolloutGivesTheDeploymentUp(t *testing.T) {
	t.Parallel()
	trial := shipping(t, "givenup", 10, 50)
	trial.ship(newVersion)
	trial.rollout("the first step", func(status v1alpha1.RolloutStatus) bool { return status.Phase == v1alpha1.RolloutStepping })
	must(t, cluster.Delete(trial.ctx, trial.exs))
	trial.untilPrimary("the Deployment rolls out, and Headgate owns nothing of it", func(d *appsv1.Deployment) bool {
		owned := slices.ContainsFunc(d.ManagedFields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == "headgate-workload" })
		return !d.Spec.Paused && !owned && d.Status.UpdatedReplicas == d.Status.Replicas && d.Status.ReadyReplicas >= 2
	})
}
