package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

const (
	// calm is the rate, in calls per second, of the tests of decisions.
	calm = 100
	// healthyFor is short, so that a test sees a whole hand-back.
	healthyFor = 3 * time.Second
)

// shapes are the two data planes: failover in the proxy, and by weights alone.
var shapes = map[string]v1alpha1.FailoverStrategy{
	"priorities": v1alpha1.StrategyPriorities,
	"weights":    v1alpha1.StrategyWeights,
}

// trial is an ExposedService of a test's own, under live calls.
type trial struct {
	*testing.T
	ctx   context.Context //nolint:containedctx // that of the test
	space string
	exs   *v1alpha1.ExposedService
	live  *load.Run
	// rate is that of the live calls, in calls per second.
	rate int
	// canary is the pod-template-hash of the version that is shipped, or was last; empty: none was.
	canary string
	// printed: the report has been.
	printed bool
}

// try sets a stage of its own for one test: two primaries, a backup, and an ExposedService that
// hands back quickly. Live calls run until the test ends.
func try(t *testing.T, name string, strategy v1alpha1.FailoverStrategy, change func(*v1alpha1.Failover)) *trial {
	t.Helper()
	return tryAt(t, calm, name, strategy, func(exs *v1alpha1.ExposedService) {
		if change != nil {
			change(exs.Spec.Failover)
		}
	})
}

func tryAt(t *testing.T, rate int, name string, strategy v1alpha1.FailoverStrategy, change func(*v1alpha1.ExposedService)) *trial {
	t.Helper()
	return tryWith(t, rate, name, strategy, change, nil)
}

// tryWith is tryAt with calls that differ from the usual ones.
func tryWith(
	t *testing.T, rate int, name string, strategy v1alpha1.FailoverStrategy, change func(*v1alpha1.ExposedService), differ func(*load.Config),
) *trial {
	t.Helper()
	ctx := onCluster(t)
	space := "e2e-" + name
	must(t, cluster.MakeNamespace(ctx, space))
	t.Cleanup(func() { must(t, cluster.RemoveNamespace(context.Background(), space)) })
	must(t, cluster.Deploy(ctx, space, scene.App{Name: primary, Replicas: 2}, scene.App{Name: backup, Replicas: 1}))

	exs := scene.ExposedService(space, "greeter", primary, backup)
	exs.Spec.Failover = &v1alpha1.Failover{
		Strategy: &strategy,
		Recovery: &v1alpha1.Recovery{
			HealthyFor: ptr.To(v1alpha1.LongDuration("3s")), Ramp: []int32{10, 50, 100}, RampInterval: ptr.To(v1alpha1.LongDuration("2s")),
		},
	}
	if change != nil {
		change(exs)
	}
	must(t, cluster.Put(ctx, exs))
	if strategy == v1alpha1.StrategyPriorities {
		must(t, cluster.UntilExposed(ctx, exs))
	} else {
		_, err := cluster.UntilCondition(ctx, exs, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
		must(t, err)
	}
	untilAllAnswered(ctx, t, exs, nil)
	config, err := scene.Load(exs, float64(rate))
	must(t, err)
	if differ != nil {
		differ(&config)
	}
	live, err := load.Start(ctx, config)
	must(t, err)
	trial := &trial{T: t, ctx: ctx, space: space, exs: exs, live: live, rate: rate}
	t.Cleanup(func() { trial.report() })
	trial.answered(primary)
	return trial
}

// answered waits until a second's worth of calls has been answered by an application.
func (t *trial) answered(app string) {
	t.Helper()
	must(t.T, scene.Answered(t.ctx, t.live, app, t.rate))
}

// few are as many calls as say who is called.
const few = 20

// answeredAlone waits until a few calls in a row have been answered by an application and no other, and returns when that was so. It is asked for
// as soon as a decision is known: who was left is held off for seconds only.
func (t *trial) answeredAlone(app string) time.Time {
	t.Helper()
	at, err := scene.Alone(t.ctx, t.live, app, few)
	must(t.T, err)
	return at
}

func (t *trial) mark(what string) time.Time {
	t.live.Mark(what)
	return time.Now()
}

// decided waits for a decision after a time.
func (t *trial) decided(reason v1alpha1.DecisionReason, after time.Time) v1alpha1.Decision {
	t.Helper()
	decision, err := cluster.UntilDecided(t.ctx, t.exs, reason, after)
	must(t.T, err)
	return decision
}

// handedBack waits until the primary has everything again, after a time.
func (t *trial) handedBack(after time.Time) {
	t.Helper()
	t.decided(v1alpha1.DecisionHandedBack, after)
	must(t.T, cluster.UntilActive(t.ctx, t.exs, primary))
	t.answered(primary)
}

// report stops the calls and prints what became of them; a second time it only returns it.
func (t *trial) report() load.Report {
	report := t.live.Stop()
	if !t.printed {
		t.printed = true
		t.Logf("\n%s\n%s\n%s", report.Timeline(time.Second), report.Summary(), strings.Join(scene.History(t.exs), "\n"))
	}
	return report
}

// nothingFailed fails the test if any call failed.
func (t *trial) nothingFailed() {
	t.Helper()
	if report := t.report(); report.Failed > 0 {
		t.Errorf("%d of %d calls failed, first %s %q", report.Failed, report.Total, report.FirstFailure.Code, report.FirstFailure.Message)
	}
}

// onlyFailedBetween fails the test if a call failed that was over before a time or due after another.
func (t *trial) onlyFailedBetween(from, to time.Time) {
	t.Helper()
	report := t.report()
	t.Logf("failed: %d of %d, between the death and the arrival of the route", report.Failed, report.Total)
	for call := range report.Calls() {
		if call.Failed() && (call.Due.Add(call.Latency).Before(from) || call.Due.After(to)) {
			t.Errorf("a call due at %s failed with %s, outside of %s to %s", call.Due.Format("15:04:05.000"), call.Code,
				from.Format("15:04:05.000"), to.Format("15:04:05.000"))
			return
		}
	}
}

func TestDeletedPrimariesAreLeftHeldAndHandedBack(t *testing.T) {
	t.Parallel()
	for name, strategy := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial := try(t, "deleted-"+name, strategy, nil)
			killed := trial.mark("primaries deleted")
			must(t, cluster.Kill(trial.ctx, trial.space, primary))
			left := trial.decided(v1alpha1.DecisionSwitchedToBackup, killed)
			arrived := trial.answeredAlone(backup)
			t.Logf("the backup answers alone %s after the decision", arrived.Sub(left.Time.Time))
			must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
			trial.mark("primaries ready")
			back := trial.decided(v1alpha1.DecisionHandingBack, killed)
			if held := back.Time.Sub(left.Time.Time); held < healthyFor {
				t.Errorf("handed back after %s, want at least %s", held, healthyFor)
			}
			trial.handedBack(killed)
			if steps := scene.Decided(trial.exs, v1alpha1.DecisionHandingBack); steps != 2 {
				t.Errorf("%d steps of the ramp before the last, want 2 (10 %%, 50 %%)", steps)
			}
			if strategy == v1alpha1.StrategyPriorities {
				trial.nothingFailed()
			} else {
				trial.onlyFailedBetween(killed, arrived)
			}
		})
	}
}

func TestUnreadyPrimariesAreLeft(t *testing.T) {
	t.Parallel()
	for name, strategy := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial := try(t, "unready-"+name, strategy, nil)
			marked := trial.mark("primaries not ready")
			must(t, cluster.Order(trial.ctx, trial.space, primary, "not-ready"))
			trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
			trial.answeredAlone(backup)
			trial.mark("primaries ready")
			must(t, cluster.Order(trial.ctx, trial.space, primary, "ready"))
			trial.handedBack(marked)
			trial.nothingFailed()
		})
	}
}

func TestOneOfTwoPrimariesLostSwitchesNothing(t *testing.T) {
	t.Parallel()
	trial := try(t, "one-of-two", v1alpha1.StrategyPriorities, nil)
	pods, err := cluster.Pods(trial.ctx, trial.space, primary)
	must(t, err)
	trial.mark("one primary deleted")
	must(t, cluster.KillPod(trial.ctx, trial.space, pods[0]))
	trial.answered(primary)
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
	trial.answered(primary)
	trial.nothingFailed()
	if switches := scene.Decided(trial.exs, v1alpha1.DecisionSwitchedToBackup); switches > 0 {
		t.Errorf("%d switches", switches)
	}
}

func withErrors(failover *v1alpha1.Failover) { failover.Errors = &v1alpha1.ErrorBound{MaxPercent: "5"} }

func TestFailingPrimariesAreLeftByEvidence(t *testing.T) {
	t.Parallel()
	trial := try(t, "failing", v1alpha1.StrategyPriorities, withErrors)
	marked := trial.mark("30 % INTERNAL")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "errors", "share", "0.3", "code", "INTERNAL"))
	left := trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	t.Logf("left after %.1f s: %s", left.Time.Sub(marked).Seconds(), left.Message)
	arrived := trial.answeredAlone(backup)
	trial.answered(backup)
	trial.onlyFailedBetween(marked, arrived)
}

// TestErrorsOfBothBackendsSwitchNothing: a dependency of both fails; moving would help nobody.
func TestErrorsOfBothBackendsSwitchNothing(t *testing.T) {
	t.Parallel()
	trial := try(t, "both-failing", v1alpha1.StrategyPriorities, withErrors)
	trial.mark("30 % INTERNAL of both")
	must(t, cluster.Order(trial.ctx, trial.space, backup, "errors", "share", "0.3", "code", "INTERNAL"))
	must(t, cluster.Order(trial.ctx, trial.space, primary, "errors", "share", "0.3", "code", "INTERNAL"))
	_, seen := trial.live.Recent(0)
	must(t, scene.Until(trial.ctx, "3,000 calls", func(context.Context) error {
		if recent, _ := trial.live.Recent(seen); recent.Calls < 3000 {
			return errors.New("not yet")
		}
		return nil
	}))
	must(t, cluster.UntilActive(trial.ctx, trial.exs, primary))
	if switches := scene.Decided(trial.exs, v1alpha1.DecisionSwitchedToBackup); switches > 0 {
		t.Errorf("%d switches", switches)
	}
}

func TestFlappingPrimariesAreHeldOff(t *testing.T) {
	t.Parallel()
	const allowed = 4
	trial := try(t, "flapping", v1alpha1.StrategyPriorities, func(f *v1alpha1.Failover) { f.MaxSwitchesPerHour = ptr.To(int32(allowed)) })
	marked := trial.mark("flapping begins")
	flap := time.NewTicker(5 * time.Second)
	defer flap.Stop()
	for i := range 24 {
		order := "not-ready"
		if i%2 == 1 {
			order = "ready"
		}
		must(t, cluster.Order(trial.ctx, trial.space, primary, order))
		<-flap.C
	}
	trial.mark("flapping ends")
	trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	switches := scene.Decided(trial.exs, v1alpha1.DecisionSwitchedToBackup)
	t.Logf("%d switches in 12 flaps, %d allowed", switches, allowed)
	if switches > allowed {
		t.Errorf("%d switches, at most %d allowed", switches, allowed)
	}
	trial.nothingFailed()
}

func TestBothDownStaysAndRecovers(t *testing.T) {
	t.Parallel()
	trial := try(t, "both-down", v1alpha1.StrategyPriorities, nil)
	marked := trial.mark("both scaled to 0")
	must(t, cluster.Scale(trial.ctx, trial.space, primary, 0))
	must(t, cluster.Scale(trial.ctx, trial.space, backup, 0))
	condition, err := cluster.UntilCondition(trial.ctx, trial.exs, v1alpha1.ConditionBackendsHealthy, metav1.ConditionFalse, "NoBackendUp")
	must(t, err)
	t.Log(condition.Message)
	trial.mark("both scaled up")
	must(t, cluster.Scale(trial.ctx, trial.space, backup, 1))
	must(t, cluster.Scale(trial.ctx, trial.space, primary, 2))
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
	must(t, cluster.UntilActive(trial.ctx, trial.exs, primary))
	arrived := trial.answeredAlone(primary)
	trial.answered(primary)
	trial.onlyFailedBetween(marked, arrived)
}

func TestPrimaryScaledToZeroAndBack(t *testing.T) {
	t.Parallel()
	trial := try(t, "to-zero", v1alpha1.StrategyPriorities, nil)
	marked := trial.mark("scaled to 0")
	must(t, cluster.Scale(trial.ctx, trial.space, primary, 0))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	trial.answered(backup)
	trial.mark("Service deleted and made again")
	must(t, cluster.RemoveService(trial.ctx, trial.space, primary))
	trial.answered(backup)
	trial.mark("scaled to 2")
	must(t, cluster.Deploy(trial.ctx, trial.space, scene.App{Name: primary, Replicas: 2}))
	trial.handedBack(marked)
	trial.nothingFailed()
}

// renamings are what a Service's ports become one after the other, that for calls and one for orders: renamed, named for the first
// time, joined by another, left by it. Where one gets the other's name, their targets are numbers: with names as targets nothing
// tells them apart until the EndpointSlices have followed.
var renamings = []scene.PortNames{
	{Calls: "a"},
	{Calls: "b"},
	{},
	{Calls: "grpc"},
	{Calls: "grpc", Orders: "orders"},
	{Calls: "grpc", Orders: "orders", Numbers: true},
	{Calls: "orders", Orders: "grpc", Numbers: true},
	{Calls: "b", Orders: "a", Numbers: true},
	{Calls: "a", Numbers: true},
	{},
	{Calls: "grpc"},
}

// TestRenamedPortsDecideNothing: pods that did not change serve on, whatever their Service calls their ports.
func TestRenamedPortsDecideNothing(t *testing.T) {
	t.Parallel()
	for name, strategy := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trial := try(t, "renamed-"+name, strategy, nil)
			before := history(trial.ctx, t, trial.exs)
			for _, names := range renamings {
				trial.mark(fmt.Sprintf("ports are %+v", names))
				must(t, cluster.NamePorts(trial.ctx, trial.space, primary, names))
				must(t, cluster.NamePorts(trial.ctx, trial.space, backup, names))
				trial.answered(primary)
			}
			mustHaveDecidedNothing(trial.ctx, t, trial.exs, before)
			trial.nothingFailed()
		})
	}
}

// history is what has been decided of an ExposedService, a line each. Backends that come up one after the other may
// have been decided of before a test begins.
func history(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService) []string {
	t.Helper()
	must(t, cluster.Get(ctx, client.ObjectKeyFromObject(exs), exs))
	return scene.History(exs)
}

func mustHaveDecidedNothing(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService, before []string) {
	t.Helper()
	if now := history(ctx, t, exs); !slices.Equal(now, before) {
		t.Errorf("decided: %s\nbefore: %s", strings.Join(now, "; "), strings.Join(before, "; "))
	}
}

// TestHeadgateKilledInTheMiddle: the same end and no switch more, though every replica is killed
// right after the primaries, and the leader again in the middle of the ramp. The primaries stay away
// until Headgate is back: those that return before would leave nothing to switch from.
func TestHeadgateKilledInTheMiddle(t *testing.T) {
	trial := try(t, "killed", v1alpha1.StrategyPriorities, nil)
	marked := trial.mark("primaries deleted, Headgate killed")
	must(t, cluster.Scale(trial.ctx, trial.space, primary, 0))
	must(t, cluster.Kill(trial.ctx, trial.space, primary))
	must(t, cluster.KillHeadgate(trial.ctx))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	trial.mark("scaled to 2")
	must(t, cluster.Scale(trial.ctx, trial.space, primary, 2))
	trial.decided(v1alpha1.DecisionHandingBack, marked)
	trial.mark("leader killed in the middle of the ramp")
	must(t, cluster.KillLeader(trial.ctx))
	trial.handedBack(marked)
	trial.nothingFailed()
	if switches := scene.Decided(trial.exs, v1alpha1.DecisionSwitchedToBackup); switches != 1 {
		t.Errorf("%d switches, want one", switches)
	}
	must(t, cluster.UntilReady(trial.ctx, scene.HeadgateNamespace, scene.HeadgateDeployment))
}

// TestEnvoyGatewayDownDuringFailover: the decision is taken and shown, and applied when Envoy
// Gateway is back.
func TestEnvoyGatewayDownDuringFailover(t *testing.T) {
	trial := try(t, "gateway-down", v1alpha1.StrategyPriorities, nil)
	restore := func() {
		must(t, cluster.Scale(context.Background(), scene.EnvoyGatewayNamespace, scene.EnvoyGatewayDeployment, 1))
		must(t, cluster.UntilReady(context.Background(), scene.EnvoyGatewayNamespace, scene.EnvoyGatewayDeployment))
	}
	t.Cleanup(restore)
	trial.mark("Envoy Gateway scaled to 0")
	must(t, cluster.Scale(trial.ctx, scene.EnvoyGatewayNamespace, scene.EnvoyGatewayDeployment, 0))
	must(t, cluster.UntilReady(trial.ctx, scene.EnvoyGatewayNamespace, scene.EnvoyGatewayDeployment))
	marked := trial.mark("primaries deleted")
	must(t, cluster.Kill(trial.ctx, trial.space, primary))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	trial.answered(backup)
	_, err := cluster.UntilCondition(trial.ctx, trial.exs, v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonPending)
	must(t, err)
	trial.mark("Envoy Gateway back")
	restore()
	_, err = cluster.UntilCondition(trial.ctx, trial.exs, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	must(t, err)
	trial.handedBack(marked)
	trial.nothingFailed()
}

func TestAPIServerRestartedDuringFailover(t *testing.T) {
	onCluster(t)
	if os.Getenv("CLUSTER_COMMAND") == "" {
		t.Skip("only a local cluster's API server can be restarted: CLUSTER_COMMAND is not set")
	}
	trial := try(t, "api-restart", v1alpha1.StrategyPriorities, nil)
	marked := trial.mark("primaries scaled to 0")
	must(t, cluster.Scale(trial.ctx, trial.space, primary, 0))
	trial.mark("API server killed")
	must(t, scene.RestartComponent(trial.ctx, "kube-apiserver"))
	trial.answered(backup)
	trial.decided(v1alpha1.DecisionSwitchedToBackup, marked)
	trial.mark("scaled to 2")
	must(t, scene.Until(trial.ctx, "the API server", func(ctx context.Context) error { return cluster.Scale(ctx, trial.space, primary, 2) }))
	trial.handedBack(marked)
	if report := trial.report(); report.Failed > 0 {
		t.Errorf("%d of %d calls failed", report.Failed, report.Total)
	}
	if switches := scene.Decided(trial.exs, v1alpha1.DecisionSwitchedToBackup); switches != 1 {
		t.Errorf("%d switches, want one", switches)
	}
}

// TestPin: a person decides, whatever the signals say, and takes the decision back.
func TestPin(t *testing.T) {
	t.Parallel()
	trial := try(t, "pin", v1alpha1.StrategyPriorities, nil)
	marked := trial.mark("backup pinned")
	must(t, cluster.Change(trial.ctx, trial.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.Failover.Pin = backup }))
	trial.decided(v1alpha1.DecisionPinned, marked)
	trial.answered(backup)
	trial.mark("pin removed")
	must(t, cluster.Change(trial.ctx, trial.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.Failover.Pin = "" }))
	trial.handedBack(marked)
	trial.nothingFailed()
}
