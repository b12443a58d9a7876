package e2e

import (
	"context"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/hedging"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

func TestCrashOfAllPrimariesLosesNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("both primaries crash")
		must(t, cluster.Crash(ctx, namespace, primary))
		must(t, scene.Answered(ctx, live, backup, 50))
	})
}

func TestLossOfAllPrimaryPodsLosesNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("both primaries deleted without grace")
		must(t, cluster.Kill(ctx, namespace, primary))
		must(t, scene.Answered(ctx, live, backup, 50))
	})
}

func TestScalingPrimariesToZeroAndBackLosesNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("scaled to 0")
		must(t, cluster.Scale(ctx, namespace, primary, 0))
		must(t, cluster.UntilReady(ctx, namespace, primary))
		must(t, scene.Answered(ctx, live, backup, steady))
		live.Mark("scaled to 2")
		must(t, cluster.Scale(ctx, namespace, primary, 2))
		must(t, cluster.UntilReady(ctx, namespace, primary))
	})
}

func TestUnreadyPrimariesLoseNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("primaries not ready")
		must(t, cluster.Order(ctx, namespace, primary, "not-ready"))
		must(t, scene.Answered(ctx, live, backup, steady))
		live.Mark("primaries ready")
		must(t, cluster.Order(ctx, namespace, primary, "ready"))
	})
}

func TestScalingPrimariesLosesNoCall(t *testing.T) {
	report := losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("scaled to 4")
		must(t, cluster.Scale(ctx, namespace, primary, 4))
		must(t, cluster.UntilReady(ctx, namespace, primary))
		must(t, scene.Answered(ctx, live, primary, steady))
		live.Mark("scaled to 2")
		must(t, cluster.Scale(ctx, namespace, primary, 2))
		must(t, cluster.UntilReady(ctx, namespace, primary))
	})
	if pods := len(report.ByPod); pods < 4 {
		t.Errorf("%d pods answered, want all 4: %v", pods, report.ByPod)
	}
}

func TestRollingRestartLosesNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("rolling restart")
		must(t, cluster.Restart(ctx, namespace, primary))
	})
}

// TestFreezeOnlyDelaysCalls: both primaries accept calls and stay silent. Each call that met one gets a second attempt beside the first.
func TestFreezeOnlyDelaysCalls(t *testing.T) {
	var frozen time.Time
	report := losesNothing(t, func(ctx context.Context, live *load.Run) {
		must(t, untilHedged(ctx, greeter))
		live.Mark("primaries freeze")
		frozen = time.Now()
		must(t, cluster.Order(ctx, namespace, primary, "freeze"))
		must(t, scene.Answered(ctx, live, backup, steady))
		live.Mark("primaries thaw")
		must(t, cluster.Order(ctx, namespace, primary, "thaw"))
	})
	// What the machine takes, is what it took before; a call's own time begins when it is sent.
	var before, slowest time.Duration
	for call := range report.Calls() {
		took := call.Latency - call.SendLag
		if call.Due.Before(frozen) {
			before = max(before, took)
		}
		slowest = max(slowest, took)
	}
	delay := hedging.Delay(greeter.Status.Hedging)
	t.Logf("slowest call: %s (a second attempt is made after %s), before the freeze %s", slowest, delay, before)
	// A call may meet both primaries, one attempt each, before the backup.
	if bound := 2*delay + time.Second + 2*before; slowest > bound {
		t.Errorf("the slowest call took %s, want at most %s", slowest, bound)
	}
}

func TestChangesOfRulesLoseNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("one service exposed")
		change(ctx, t, func(spec *v1alpha1.ExposedServiceSpec) {
			spec.Rules = []v1alpha1.Rule{{Matches: []v1alpha1.Match{{Service: ptr.To("helloworld.Greeter")}}}}
		})
		must(t, scene.Answered(ctx, live, primary, steady))
		live.Mark("two matches")
		change(ctx, t, func(spec *v1alpha1.ExposedServiceSpec) {
			spec.Rules = append([]v1alpha1.Rule{{Matches: []v1alpha1.Match{
				{Service: ptr.To("helloworld.Greeter"), Method: ptr.To("SayHello")},
			}}}, spec.Rules...)
		})
		must(t, scene.Answered(ctx, live, primary, steady))
		live.Mark("a further host")
		change(ctx, t, func(spec *v1alpha1.ExposedServiceSpec) { spec.Hostnames = append(spec.Hostnames, "hello.example.com") })
		must(t, scene.Answered(ctx, live, primary, steady))
		live.Mark("everything exposed")
		change(ctx, t, func(spec *v1alpha1.ExposedServiceSpec) { spec.Rules = nil })
	})
}

func TestChangesOfTrafficPolicyLoseNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("circuit breaker and retries")
		change(ctx, t, func(spec *v1alpha1.ExposedServiceSpec) {
			spec.Traffic.CircuitBreaker = &v1alpha1.CircuitBreaker{MaxConnections: ptr.To(int32(100))}
			spec.Traffic.Retry.Attempts = ptr.To(int32(4))
		})
		must(t, scene.Answered(ctx, live, primary, steady))
		live.Mark("health checks and load balancer")
		change(ctx, t, func(spec *v1alpha1.ExposedServiceSpec) {
			spec.Traffic.HealthCheck = &v1alpha1.HealthCheck{Interval: ptr.To(v1alpha1.Duration("500ms"))}
			spec.Traffic.LoadBalancer = &v1alpha1.LoadBalancer{Type: v1alpha1.RoundRobin}
		})
		must(t, scene.Answered(ctx, live, primary, steady))
		live.Mark("request timeout")
		change(ctx, t, func(spec *v1alpha1.ExposedServiceSpec) { spec.Traffic.RequestTimeout = ptr.To(v1alpha1.Duration("1s")) })
	})
}

// TestCheckThatNobodyPassesLosesNoCall: a health check that asks for a service which no pod knows
// calls all of them dead, and they answer all the same.
func TestCheckThatNobodyPassesLosesNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("health check for a service that no pod knows")
		must(t, cluster.Change(ctx, greeter, func(spec *v1alpha1.ExposedServiceSpec) {
			spec.Traffic.HealthCheck = &v1alpha1.HealthCheck{Mode: ptr.To(v1alpha1.HealthCheckAlways), Service: ptr.To("no-such-service")}
		}))
		must(t, cluster.UntilNoneHealthy(ctx, greeter))
		live.Mark("no endpoint passes it")
	})
}

func TestRestartOfHeadgateLosesNoCall(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("Headgate killed")
		must(t, cluster.KillHeadgate(ctx))
		live.Mark("Headgate back")
	})
}

// TestFailoverWithoutHeadgate: while Headgate is down every backup pod is replaced, so that the pod
// IPs of the fallback are all stale, and then the primaries go. The ClusterIP beside them is right.
func TestFailoverWithoutHeadgate(t *testing.T) {
	t.Cleanup(func() {
		must(t, cluster.Scale(context.Background(), scene.HeadgateNamespace, scene.HeadgateDeployment, 2))
		must(t, cluster.UntilReady(context.Background(), scene.HeadgateNamespace, scene.HeadgateDeployment))
	})
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("Headgate scaled to 0, backup restarted")
		must(t, cluster.Scale(ctx, scene.HeadgateNamespace, scene.HeadgateDeployment, 0))
		must(t, cluster.UntilReady(ctx, scene.HeadgateNamespace, scene.HeadgateDeployment))
		must(t, cluster.Restart(ctx, namespace, backup))
		// Until then not even the ClusterIP leads to the new pods: Kubernetes itself takes a moment.
		must(t, cluster.UntilStandbyHealthy(ctx, greeter, 1))
		live.Mark("primaries scaled to 0")
		must(t, cluster.Scale(ctx, namespace, primary, 0))
		must(t, scene.Answered(ctx, live, backup, steady))
		must(t, cluster.UntilReady(ctx, namespace, primary))
		live.Mark("primaries scaled to 2")
		must(t, cluster.Scale(ctx, namespace, primary, 2))
		must(t, cluster.UntilReady(ctx, namespace, primary))
	})
}

// TestDeletedServiceKeepsServing: the user's Service goes away and comes back; its pods never do.
func TestDeletedServiceKeepsServing(t *testing.T) {
	losesNothing(t, func(ctx context.Context, live *load.Run) {
		live.Mark("Service deleted")
		must(t, cluster.RemoveService(ctx, namespace, primary))
		condition, err := cluster.UntilCondition(ctx, greeter, v1alpha1.ConditionResolvedRefs, "False", v1alpha1.ReasonBackendNotFound)
		must(t, err)
		t.Log(condition.Message)
		must(t, scene.Answered(ctx, live, primary, steady))
		live.Mark("Service back")
		must(t, cluster.Deploy(ctx, namespace, scene.App{Name: primary, Replicas: 2}))
		must(t, cluster.UntilExposed(ctx, greeter))
	})
}

func TestStreamsFailOverBetweenMessages(t *testing.T) {
	ctx := onStage(t)
	streams := func(config load.Config) load.Config {
		config.Method, config.Rate, config.Messages = load.Stream, 50, 3
		return config
	}
	report := under(ctx, t, greeter, streams, func(live *load.Run) {
		live.Mark("scaled to 0")
		must(t, cluster.Scale(ctx, namespace, primary, 0))
		must(t, scene.Answered(ctx, live, backup, 100))
		must(t, cluster.UntilReady(ctx, namespace, primary))
		live.Mark("scaled to 2")
		must(t, cluster.Scale(ctx, namespace, primary, 2))
		must(t, cluster.UntilReady(ctx, namespace, primary))
	})
	if report.Failed > 0 {
		t.Errorf("%d of %d streams failed", report.Failed, report.Total)
	}
}

// change changes the shared ExposedService and waits until the new generation is exposed.
func change(ctx context.Context, t *testing.T, edit func(*v1alpha1.ExposedServiceSpec)) {
	t.Helper()
	must(t, cluster.Change(ctx, greeter, edit))
	must(t, cluster.UntilExposed(ctx, greeter))
}
