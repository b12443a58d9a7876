package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

// Who scales a Deployment in the middle of a rollout scales both versions.

// TestScalingInTheMiddleOfAStepKeepsTheLoadPerPodAlike: what an autoscaler sees of one version is true for the other one too.
func TestScalingInTheMiddleOfAStepKeepsTheLoadPerPodAlike(t *testing.T) {
	t.Parallel()
	trial := tryAt(t, 2*calm, "scaled", v1alpha1.StrategyAuto, nil)
	trial.has(8)
	trial.ships(held, 50)
	trial.atStepOf(newVersion)
	stable, canary := trial.exs.Status.Traffic.StableHash, trial.canaryHash()
	for _, replicas := range []int32{8, 16, 6} {
		trial.mark(fmt.Sprintf("scaled to %d", replicas))
		must(t, cluster.Autoscale(trial.ctx, trial.space, primary, replicas))
		all := replicas + (replicas+3)/4 // with maxSurge, a quarter rounded up
		trial.untilPrimary(fmt.Sprintf("%d pods", all), func(d *appsv1.Deployment) bool {
			return *d.Spec.Replicas == replicas && d.Status.Replicas == all && d.Status.ReadyReplicas == all
		})
		trial.alike(stable, canary, all)
	}
	if status := trial.exs.Status.Rollout; status.Phase != v1alpha1.RolloutStepping {
		t.Errorf("the rollout is %s, so that it was not in its middle", status.Phase)
	}
	trial.holds("1s")
	trial.promoted()
	trial.nothingFailed()
}

// TestScalingDownToTheCanarysSizeLosesNoCall: Kubernetes would take a version that has as many pods as there are to be for complete, and all
// pods from the other one.
func TestScalingDownToTheCanarysSizeLosesNoCall(t *testing.T) {
	t.Parallel()
	trial := tryAt(t, calm, "shrunk", v1alpha1.StrategyAuto, nil)
	trial.has(4)
	trial.ships(held, 50)
	trial.atStepOf(newVersion)
	stable, canary := trial.exs.Status.Traffic.StableHash, trial.canaryHash()
	trial.untilPrimary("5 pods", func(d *appsv1.Deployment) bool { return d.Status.Replicas == 5 && d.Status.ReadyReplicas == 5 })
	pods, err := cluster.Count(trial.ctx, trial.space, primary)
	must(t, err)
	at := trial.mark("scaled to 2")
	must(t, cluster.Autoscale(trial.ctx, trial.space, primary, 2))
	trial.untilPrimary("3 pods", func(d *appsv1.Deployment) bool {
		return *d.Spec.Replicas == 2 && d.Status.ObservedGeneration == d.Generation && d.Status.Replicas == 3 && d.Status.ReadyReplicas == 3
	})
	trial.rollout("stable has two pods", func(v1alpha1.RolloutStatus) bool {
		left := pods.Pods(stable)
		return len(slices.DeleteFunc(left, func(p scene.CountedPod) bool { return !p.Running })) == 2
	})
	for _, hash := range []string{stable, canary} {
		stayed := func(p scene.CountedPod) bool { return p.Seen.Before(at) && p.Running }
		if there := pods.Pods(hash); !slices.ContainsFunc(there, stayed) {
			t.Errorf("no pod of %s has stayed: %+v", hash, there)
		}
	}
	trial.holds("1s")
	trial.promoted()
	trial.nothingFailed()
	if slices.ContainsFunc(trial.exs.Status.History, func(d v1alpha1.Decision) bool { return d.Reason == v1alpha1.DecisionCanaryLost }) {
		t.Errorf("the canary was lost: %v", scene.History(trial.exs))
	}
}

// TestAnAutoscalerThatFollowsTheLoadKeepsTheLoadPerPodAlike in the middle of a step: Kubernetes' own, by what metrics-server measures, under
// calls that take the processor's time.
func TestAnAutoscalerThatFollowsTheLoadKeepsTheLoadPerPodAlike(t *testing.T) {
	t.Parallel()
	measured(t)
	// With maxSurge, a quarter rounded up, these are 4 and 8 pods, of which each version has half. Other numbers of pods can't be halved.
	const few, many = 3, 6
	// Calls take 2 ms and what gRPC needs, which may be half of that again on a busy machine. At this rate they use 80 to 120 thousandths of
	// a processor, and three times that at three times the rate. A pod may use 46: the first is no more than few may use, the second
	// more than many but one.
	const rate, percent = 40, 230
	trial := tryAt(t, rate, "follows", v1alpha1.StrategyAuto, nil)
	trial.ship(working)
	trial.has(few)
	trial.ships(held, 50)
	scaler := scene.Autoscaler(trial.space, primary, few, many, percent)
	must(t, cluster.Put(trial.ctx, scaler))
	trial.atStepOf(newVersion)
	trial.follows(scaler, few)

	config, err := scene.Load(trial.exs, 2*rate)
	must(t, err)
	trial.mark("three times the calls")
	more, err := load.Start(trial.ctx, config)
	must(t, err)
	t.Cleanup(func() { more.Stop() })
	trial.follows(scaler, many, more)
	trial.mark("as many as before")
	if report := more.Stop(); report.Failed > 0 {
		t.Errorf("%d of %d further calls failed, first %s %q", report.Failed, report.Total, report.FirstFailure.Code, report.FirstFailure.Message)
	}
	trial.follows(scaler, few)
	trial.holds("1s")
	trial.promoted()
	trial.nothingFailed()
}

// working is a version whose calls take the processor's time.
const working = `{"spec":{"template":{"spec":{"containers":[{"name":"greeter","args":["-work","2ms"]}]}}}}`

// measured skips a test on a cluster where nobody measures what pods use. A local one has to have it.
func measured(t *testing.T) {
	t.Helper()
	err := cluster.HasMetrics(onCluster(t))
	if errors.Is(err, scene.ErrNoMetrics) && os.Getenv("CLUSTER_COMMAND") == "" {
		t.Skip(err)
	}
	must(t, err)
}

// follows waits until an autoscaler has measured the pods and wants so many, and there are, and compares the load of the versions in the
// middle of the step. Others make calls as well.
func (t *trial) follows(scaler *autoscalingv2.HorizontalPodAutoscaler, replicas int32, others ...*load.Run) {
	t.Helper()
	began := time.Now()
	all := replicas + (replicas+3)/4 // with maxSurge, a quarter rounded up
	must(t.T, scene.UntilWithin(t.ctx, rolloutPatience, time.Second, fmt.Sprintf("an autoscaler that wants %d pods", replicas), func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(scaler), scaler); err != nil {
			return err
		}
		if now := scaler.Status; now.DesiredReplicas != replicas || now.CurrentReplicas != replicas || now.CurrentMetrics == nil {
			return fmt.Errorf("%w: %+v", errUnderWay, now)
		}
		return nil
	}))
	t.untilPrimary(fmt.Sprintf("%d pods", all), func(d *appsv1.Deployment) bool {
		return *d.Spec.Replicas == replicas && d.Status.Replicas == all && d.Status.ReadyReplicas == all
	})
	t.Logf("%d replicas after %.0f s, each of which uses %d %% of its request", replicas, time.Since(began).Seconds(), use(scaler))
	t.alike(t.exs.Status.Traffic.StableHash, t.canaryHash(), all, others...)
	must(t.T, cluster.Get(t.ctx, client.ObjectKeyFromObject(scaler), scaler))
	if now := scaler.Status; now.DesiredReplicas != replicas {
		t.Errorf("the autoscaler has changed its mind: %+v", now)
	}
	t.Logf("then each uses %d %%", use(scaler))
	if status := t.exs.Status.Rollout; status.Phase != v1alpha1.RolloutStepping {
		t.Errorf("the rollout is %s, so that it was not in its middle", status.Phase)
	}
}

// use is what an autoscaler sees of a pod's use of the processors, in percent of what it asks for.
func use(scaler *autoscalingv2.HorizontalPodAutoscaler) int32 {
	for _, metric := range scaler.Status.CurrentMetrics {
		if metric.Resource != nil && metric.Resource.Current.AverageUtilization != nil {
			return *metric.Resource.Current.AverageUtilization
		}
	}
	return 0
}

// alike waits until the pods of both versions are as many as they are to be, and fails the test unless each has as many calls as one of the
// other version, within a fifth. others make calls as well.
func (t *trial) alike(stable, canary string, all int32, others ...*load.Run) {
	t.Helper()
	pods := map[string]int32{}
	must(t.T, scene.Until(t.ctx, "both versions have their pods", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(t.exs), t.exs); err != nil {
			return err
		}
		pods[stable], pods[canary] = t.set(stable).Status.ReadyReplicas, t.set(canary).Status.ReadyReplicas
		if want := t.exs.Status.Rollout.Replicas; pods[canary] != want || pods[stable] != all-want || t.exs.Status.Rollout.LiveSince == nil {
			return fmt.Errorf("%w: %d of stable and %d of the canary are ready, want %d and %d", errUnderWay, pods[stable], pods[canary], all-want, want)
		}
		return nil
	}))
	t.made(t.rate) // The last changes arrive.
	of := newTally(append(others, t.live))
	must(t.T, scene.Until(t.ctx, "calls to compare", func(context.Context) error {
		if of.count(); of.all < 10*t.rate*len(of.runs) {
			return errors.New("not yet")
		}
		return nil
	}))
	perPod := func(hash string) float64 { return float64(of.byHash[hash]) / float64(pods[hash]) }
	t.Logf("of %d calls each of %d stable pods had %.0f, each of %d canaries %.0f", of.all, pods[stable], perPod(stable), pods[canary], perPod(canary))
	if a, b := perPod(stable), perPod(canary); a > 1.2*b || b > 1.2*a {
		t.Errorf("a pod of stable has %.0f calls, one of the canary %.0f", a, b)
	}
}

// tally are the calls of several runs since it was begun, by the version that answered them.
type tally struct {
	runs   []*load.Run
	seen   []int
	all    int
	byHash map[string]int
}

func newTally(runs []*load.Run) *tally {
	t := &tally{runs: runs, seen: make([]int, len(runs))}
	for i, run := range runs {
		_, t.seen[i] = run.Recent(0)
	}
	return t
}

// count counts anew.
func (t *tally) count() {
	t.all, t.byHash = 0, map[string]int{}
	for i, run := range t.runs {
		recent, _ := run.Recent(t.seen[i])
		t.all += recent.Calls
		for pod, n := range recent.ByPod {
			t.byHash[scene.HashOf(pod, primary)] += n
		}
	}
}

// stopping is a version whose pods crash.
const stopping = `{"spec":{"template":{"metadata":{"annotations":{"version":"3"}},"spec":{"containers":[{"name":"greeter","args":["-no-such-flag"]}]}}}}`

// TestScaledToZeroAndBackTheProvedVersionComesFirst, in whatever phase, and whether or not Kubernetes keeps old ReplicaSets. What is not
// proved never has more than its share of the pods.
func TestScaledToZeroAndBackTheProvedVersionComesFirst(t *testing.T) {
	t.Parallel()
	for name, history := range map[string]int{"with": 10, "without": 0} {
		t.Run(name+" history", func(t *testing.T) {
			t.Parallel()
			trial := tryAt(t, calm, "zero-"+name, v1alpha1.StrategyAuto, func(exs *v1alpha1.ExposedService) { exs.Spec.Failover = fastRecovery() })
			trial.change(fmt.Sprintf(`{"spec":{"revisionHistoryLimit":%d}}`, history))
			trial.has(4)
			trial.ships(held, 25)
			pods, err := cluster.Count(trial.ctx, trial.space, primary)
			must(t, err)

			trial.atStepOf(slowVersion)
			first, second := trial.exs.Status.Traffic.StableHash, trial.canaryHash()
			trial.toZeroAndBack(pods, first, second)
			trial.rollout("the first step again", func(status v1alpha1.RolloutStatus) bool {
				return status.Phase == v1alpha1.RolloutStepping && status.LiveSince != nil
			})
			if most := pods.MostAtOnce(second); most > 2 {
				t.Errorf("a quarter of five pods are %d", most)
			}

			trial.holds("1s")
			trial.rollout("the promotion is under way", func(status v1alpha1.RolloutStatus) bool { return status.Phase == v1alpha1.RolloutPromoting })
			trial.toZeroAndBack(pods, first, second)
			trial.promoted()
			trial.atRest()

			trial.fails(stopping)
			third := trial.canaryHash()
			trial.toZeroAndBack(pods, second, third)
			trial.untilPrimary("four proved pods", func(d *appsv1.Deployment) bool { return d.Status.ReadyReplicas == 4 && d.Status.UpdatedReplicas == 0 })
			if most := pods.MostAtOnce(third); most > 0 {
				t.Errorf("%d pods of the version that was rolled back came back", most)
			}
			trial.nothingFailed()
		})
	}
}

// fails ships a version, and waits until it was rolled back.
func (t *trial) fails(patch string) {
	t.Helper()
	t.ship(patch)
	t.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool {
		return status.Failed != nil && status.Phase == v1alpha1.RolloutIdle
	})
}

// toZeroAndBack scales the primary to zero and back, and fails the test unless the proved version is what comes back, and it alone.
func (t *trial) toZeroAndBack(pods *scene.Census, proved, untested string) {
	t.Helper()
	t.mark("scaled to 0")
	must(t.T, cluster.Autoscale(t.ctx, t.space, primary, 0))
	t.untilPrimary("no pods", func(d *appsv1.Deployment) bool { return d.Status.Replicas == 0 })
	must(t.T, scene.Until(t.ctx, "no pods of either version", func(ctx context.Context) error {
		for _, hash := range []string{proved, untested} {
			if left, err := cluster.VersionPods(ctx, t.space, primary, hash); err != nil || len(left) > 0 {
				return errors.Join(err, fmt.Errorf("%w: %d of %s", errUnderWay, len(left), hash))
			}
		}
		return nil
	}))
	t.answered(backup)
	pods.Afresh()
	at := t.mark("scaled to 4")
	must(t.T, cluster.Autoscale(t.ctx, t.space, primary, 4))
	must(t.T, scene.Until(t.ctx, "pods of the proved version", func(context.Context) error {
		if n := pods.MostRunning(proved); n < 3 { // There may be a canary again by then.
			return fmt.Errorf("%w: %d, and %d untested ones", errUnderWay, n, pods.MostAtOnce(untested))
		}
		return nil
	}))
	back := slices.DeleteFunc(pods.Pods(""), func(pod scene.CountedPod) bool { return pod.Seen.Before(at) })
	if back[0].Hash != proved || pods.MostAtOnce(untested) > 2 {
		t.Errorf("what came back first is not the proved version %s, or more than a quarter is of %s: %+v", proved, untested, back)
	}
	t.answered(primary)
}
