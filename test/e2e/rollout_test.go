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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
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
	must(t.T, untilRollout(t.ctx, t.exs, &t.canary, patience, what, is))
}

// untilRollout waits until the status of a rollout is as it is to be, and notes the hash of the canary on the way.
func untilRollout(
	ctx context.Context, exs *v1alpha1.ExposedService, canary *string, patience time.Duration, what string, is func(v1alpha1.RolloutStatus) bool,
) error {
	return scene.UntilWithin(ctx, patience, 50*time.Millisecond, what, func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		if hash := hashOfCanary(exs); hash != "" {
			*canary = hash
		}
		if status := exs.Status.Rollout; status == nil || !is(*status) {
			return fmt.Errorf("%w: %+v; %s", errUnderWay, status, strings.Join(scene.History(exs), "; "))
		}
		return nil
	})
}

// hashOfCanary is the pod-template-hash of the version that is shipped now; empty: none is. What is over may still have pods that end.
func hashOfCanary(exs *v1alpha1.ExposedService) string {
	rollout, traffic := exs.Status.Rollout, exs.Status.Traffic
	if rollout == nil || traffic == nil || rollout.Phase == v1alpha1.RolloutIdle {
		return ""
	}
	return traffic.CanaryHash
}

// canaryHash is the pod-template-hash of the version that is shipped, or was last.
func (t *trial) canaryHash() string {
	t.Helper()
	if t.canary == "" {
		t.Fatal("no canary has been seen")
	}
	return t.canary
}

// whenThereIsACanary waits until the canary has pods, and gives them an order.
func (t *trial) whenThereIsACanary(order string, parameters ...string) {
	t.Helper()
	t.rollout("a canary", func(v1alpha1.RolloutStatus) bool { return hashOfCanary(t.exs) != "" })
	must(t.T, scene.UntilWithin(t.ctx, rolloutPatience, 20*time.Millisecond, "the canary's pods", func(ctx context.Context) error {
		return cluster.OrderVersion(ctx, t.space, primary, t.canaryHash(), order, parameters...)
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

// promotes ships a version and waits until it is everywhere. Then canaryHash is its own.
func (t *trial) promotes(patch string) time.Time {
	t.Helper()
	before := t.exs.Status.Rollout.Stable
	at := t.ship(patch)
	t.rollout("the promotion", func(status v1alpha1.RolloutStatus) bool { return isPromoted(status) && status.Stable != before })
	return at
}

// held lets each step last until the test has seen enough.
func held(r *v1alpha1.Rollout) {
	for i := range r.Steps {
		r.Steps[i].Hold = ptr.To(v1alpha1.LongDuration("1h"))
	}
}

// atStepOf ships a version, and waits until its canary has the weight of the first step.
func (t *trial) atStepOf(patch string) {
	t.Helper()
	before := t.exs.Status.Rollout.Revision
	t.ship(patch)
	t.rollout("the first step", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutStepping && status.Step == 1 && status.LiveSince != nil && status.Revision != before
	})
}

// atRest waits until no rollout is under way, and all that was made for one is gone.
func (t *trial) atRest() {
	t.Helper()
	t.rollout("rest", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutIdle && status.Stable != "" && t.exs.Status.Traffic.StableHash == "" && t.exs.Status.Traffic.CanaryHash == ""
	})
	t.untilPrimary("the Deployment at rest", func(d *appsv1.Deployment) bool { return !d.Spec.Paused && d.Status.Replicas == *d.Spec.Replicas })
}

// progressing waits until the condition Progressing has a reason, and words of others in its message.
func (t *trial) progressing(reason v1alpha1.Reason, words string) {
	t.Helper()
	t.rollout(fmt.Sprintf("%s: %q", reason, words), func(v1alpha1.RolloutStatus) bool {
		have := meta.FindStatusCondition(t.exs.Status.Conditions, v1alpha1.ConditionProgressing)
		return have != nil && have.Reason == string(reason) && strings.Contains(have.Message, words)
	})
	t.Log(t.exs.Status.Rollout.Message)
}

// change changes the primary's Deployment, but for its pod template, by a patch.
func (t *trial) change(patch string) {
	t.Helper()
	must(t.T, shipIn(t.ctx, t.space, patch))
}

// template is the primary's pod template.
func (t *trial) template() corev1.PodTemplateSpec {
	t.Helper()
	d := primaryIn(t.space)
	must(t.T, cluster.Get(t.ctx, client.ObjectKeyFromObject(d), d))
	return d.Spec.Template
}

// putBack gives the primary a pod template that it had, and waits until that is all that there is.
func (t *trial) putBack(template corev1.PodTemplateSpec) {
	t.Helper()
	t.mark("template put back")
	must(t.T, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		d := primaryIn(t.space)
		if err := cluster.Get(t.ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return err
		}
		d.Spec.Template = template
		return cluster.Update(t.ctx, d)
	}))
	t.atRest()
}

// set is the ReplicaSet of a version of the primary. What stands in for a canary has no pods.
func (t *trial) set(hash string) *appsv1.ReplicaSet {
	t.Helper()
	var sets appsv1.ReplicaSetList
	must(t.T, cluster.List(t.ctx, &sets, client.InNamespace(t.space), client.MatchingLabels{appsv1.DefaultDeploymentUniqueLabelKey: hash}))
	sets.Items = slices.DeleteFunc(sets.Items, func(set appsv1.ReplicaSet) bool {
		return set.Annotations[workload.AnnotationStandInOf] != "" && *set.Spec.Replicas == 0 && set.Status.Replicas == 0
	})
	if len(sets.Items) != 1 {
		t.Fatalf("there are %d ReplicaSets of %s with pods", len(sets.Items), hash)
	}
	return &sets.Items[0]
}

// kubectl runs the real one.
func (t *trial) kubectl(arguments ...string) {
	t.Helper()
	t.mark("kubectl " + strings.Join(arguments, " "))
	out, err := scene.Kubectl(t.ctx, t.space, arguments...)
	must(t.T, err)
	t.Log(strings.TrimSpace(out))
}

// primaryIn is the Deployment of the primary in a namespace, not read yet.
func primaryIn(space string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: primary}}
}

// newVersion is a template that differs in nothing that matters.
const newVersion = `{"spec":{"template":{"metadata":{"annotations":{"version":"2"}}}}}`

// fromCanary counts the canary's calls, and those of all that failed.
func (t *trial) fromCanary() (calls, failed int) {
	t.Helper()
	canary := t.canaryHash()
	for call := range t.report().Calls() {
		if scene.HashOf(call.Pod, primary) == canary {
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
	follower := trial.follow()
	at := trial.ship(newVersion)
	trial.promoted()
	t.Logf("promoted in %.1f s", time.Since(at).Seconds())
	trial.nothingFailed()
	follower.startedOnce(trial.canaryHash(), 2)
	follower.nobodyMoved(4)
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
	trial.whenThereIsACanary("errors", "share", "0.05", "code", "INTERNAL")
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
