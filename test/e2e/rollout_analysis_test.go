package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// slowly is a patch of the pod template with which calls take so long on average, spread by two fifths of it.
func slowly(mean time.Duration) string {
	return fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"greeter","args":["-latency=%s","-latency-stddev=%s"]}]}}}}`,
		mean, mean*2/5)
}

// usual is how long calls to the stable version take.
const usual = 40 * time.Millisecond

// shippingSlowly is a trial whose primary takes its usual time for each call, and is rolled out in one step on the metrics of its pods.
func shippingSlowly(t *testing.T, name string) *trial {
	t.Helper()
	trial := try(t, name, v1alpha1.StrategyAuto, nil)
	must(t, cluster.LetHeadgateOut(trial.ctx, trial.space))
	trial.ship(slowly(usual))
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
	trial.ships(func(r *v1alpha1.Rollout) {
		r.Analysis.Workload = &v1alpha1.WorkloadMetrics{Port: intstr.FromInt(scene.ControlPort)}
		r.Analysis.Latency = &v1alpha1.LatencyTolerance{SlowdownPercent: ptr.To[int32](10)}
		r.Analysis.WarmUp = ptr.To(v1alpha1.Duration("5s"))
	}, 50)
	return trial
}

// evidencePatience is for a rollout that has to prove that it is no slower: 200 calls a second are not many for that.
const evidencePatience = 8 * time.Minute

func TestAVersionThatIsHalfAsSlowAgainIsRolledBack(t *testing.T) {
	trial := shippingSlowly(t, "slower")
	at := trial.ship(slowly(usual * 3 / 2))
	trial.rolloutWithin(evidencePatience, "the rollback", func(status v1alpha1.RolloutStatus) bool { return status.Failed != nil })
	failed := trial.exs.Status.Rollout.Failed
	calls, lost := trial.fromCanary()
	t.Logf("rolled back %.1f s after the new template, after %d calls to the canary, %d calls failed: %s",
		time.Since(at).Seconds(), calls, lost, failed.Message)
	if failed.Reason != "Worse" || !strings.Contains(failed.Message, "it took p50") || lost > 0 {
		t.Errorf("failed is %+v", failed)
	}
}

func TestAVersionThatIsAsGoodAsFastIsPromoted(t *testing.T) {
	trial := shippingSlowly(t, "asfast")
	at := trial.ship(slowly(usual * 103 / 100))
	trial.rolloutWithin(evidencePatience, "the rollout is over", func(status v1alpha1.RolloutStatus) bool {
		if status.Failed != nil {
			t.Fatalf("rolled back: %s", status.Failed.Message)
		}
		return status.Phase == v1alpha1.RolloutIdle && status.Revision != "" && status.Stable == status.Revision
	})
	calls, _ := trial.fromCanary()
	t.Logf("promoted %.1f s after the new template, after %d calls to the canary: %s",
		time.Since(at).Seconds(), calls, strings.Join(scene.History(trial.exs), "; "))
	trial.nothingFailed()
}

// second is an application that runs the new version, with a Service of its own.
const second = "second"

// TestWithoutItsSourceARolloutHolds: Prometheus is down for the whole rollout, which holds and says so; when it is back the rollout goes on. The
// canary is the user's own, with a Service by which Prometheus knows it.
func TestWithoutItsSourceARolloutHolds(t *testing.T) {
	trial := try(t, "sourceless", v1alpha1.StrategyAuto, nil)
	must(t, cluster.Deploy(trial.ctx, trial.space, scene.App{Name: second, Replicas: 2}))
	prometheus, err := cluster.DeployPrometheus(trial.ctx, scene.PrometheusConfig{Namespace: trial.space, Apps: []string{primary, second}})
	must(t, err)
	must(t, prometheus.Scale(trial.ctx, 0))
	must(t, cluster.Change(trial.ctx, trial.exs, func(spec *v1alpha1.ExposedServiceSpec) {
		spec.Rollout = &v1alpha1.Rollout{
			Canary:   &v1alpha1.CanaryBackend{Service: v1alpha1.ServiceBackend{Name: second, Port: scene.GRPCPort}},
			Revision: ptr.To("2"),
			Analysis: &v1alpha1.Analysis{Prometheus: prometheus.ServiceQueries(), Errors: &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("5")}}},
		}
		for _, weight := range []int{25, 50} {
			spec.Rollout.Steps = append(spec.Rollout.Steps, v1alpha1.RolloutStep{
				Weight: intstr.FromInt(weight), Hold: ptr.To(v1alpha1.LongDuration("1s")),
			})
		}
	}))
	trial.rollout("the first step", func(status v1alpha1.RolloutStatus) bool { return status.Phase == v1alpha1.RolloutStepping })
	down := trial.mark("the first step, and no Prometheus")
	trial.rollout("it says so", func(status v1alpha1.RolloutStatus) bool {
		return strings.Contains(status.Message, "the calls cannot be counted: Unreachable")
	})
	// A step lasts for 1 s: whoever did not wait for evidence would be past all of them.
	trial.made(20 * calm)
	trial.rollout("it holds", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutStepping && status.Step == 1
	})
	t.Logf("held for %.1f s: %s", time.Since(down).Seconds(), trial.exs.Status.Rollout.Message)

	back := trial.mark("Prometheus is back")
	must(t, prometheus.Scale(trial.ctx, 1))
	trial.rolloutWithin(evidencePatience, "all steps are passed", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutAwaitingSwap
	})
	t.Logf("all steps passed %.1f s after it was asked to come back", time.Since(back).Seconds())
	trial.nothingFailed()
}

// platformServer is the name of the Prometheus server of TestPrometheusTellsTheVersionsApartByTheirPods, with which hack/test.sh installs
// Headgate.
const platformServer = "e2e"

// TestPrometheusTellsTheVersionsApartByTheirPods: they have one name, one label and one Service. The server is one of the platform.
func TestPrometheusTellsTheVersionsApartByTheirPods(t *testing.T) {
	t.Parallel()
	if os.Getenv("CLUSTER_COMMAND") == "" {
		t.Skip("pods can reach this process on a local cluster only: CLUSTER_COMMAND is not set")
	}
	trial := try(t, "prom-versions", v1alpha1.StrategyAuto, nil)
	discovery := trial.serve(cluster.PodTargets(client.InNamespace(trial.space), client.MatchingLabels{"app": primary}))
	_, err := cluster.DeployPrometheus(trial.ctx, scene.PrometheusConfig{Namespace: trial.space, Discovery: discovery})
	must(t, err)
	trial.ships(func(r *v1alpha1.Rollout) { r.Analysis.Prometheus = scene.ServerQueries(platformServer) }, 25, 50)
	trial.promotes(newVersion)
	if history := strings.Join(scene.History(trial.exs), "\n"); !strings.Contains(history, "Prometheus") {
		t.Errorf("the history does not say who has counted:\n%s", history)
	}
	trial.atRest()
	trial.ship(`{"spec":{"template":{"spec":{"containers":[{"name":"greeter","args":["-error-share","0.2","-error-code","INTERNAL"]}]}}}}`)
	// Were they not told apart, both would fail as often, and nobody would be suspected.
	trial.rollout("the canary is suspected", func(status v1alpha1.RolloutStatus) bool { return status.Suspicions > 0 || status.Failed != nil })
	if history := trial.exs.Status.History; !strings.Contains(history[len(history)-1].Message, "counted by Prometheus") {
		t.Errorf("the last decision is %+v", history[len(history)-1])
	}
}
