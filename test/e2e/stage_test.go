package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

const (
	namespace = "e2e"
	primary   = "primary"
	backup    = "backup"

	// rate is in calls per second.
	rate = 500
	// steady is how many calls must be answered between two events of a test: those of a second.
	steady = rate
)

// cluster is nil where there is none.
var cluster *scene.Cluster

// greeter is the ExposedService of the test of traffic that runs now. Each has its own: switches of
// the last hour make Headgate more careful.
var greeter *v1alpha1.ExposedService

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("KUBECONFIG") == "" {
		return m.Run()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := setUp(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "setting the stage:", err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		// Left for whoever looks at what failed.
		return code
	}
	if err := cluster.RemoveNamespace(context.Background(), namespace); err != nil {
		fmt.Fprintln(os.Stderr, "clearing the stage:", err)
	}
	return code
}

func setUp(ctx context.Context) error {
	var err error
	if cluster, err = scene.Connect(); err != nil {
		return err
	}
	return cluster.MakeNamespace(ctx, namespace)
}

// onStage skips a test without a cluster, and otherwise brings two primaries and a backup into
// their places, and exposes them.
func onStage(t *testing.T) context.Context {
	t.Helper()
	ctx := onCluster(t)
	scenes++
	greeter = scene.ExposedService(namespace, fmt.Sprintf("greeter-%d", scenes), primary, backup)
	greeter.Spec.Failover = &v1alpha1.Failover{Recovery: &v1alpha1.Recovery{
		HealthyFor: ptr.To(v1alpha1.LongDuration("1s")), Ramp: []int32{100},
	}}
	must(t, cluster.Put(ctx, greeter))
	t.Cleanup(func() { must(t, cluster.Delete(context.Background(), greeter)) })
	must(t, cluster.Deploy(ctx, namespace, scene.App{Name: primary, Replicas: 2}, scene.App{Name: backup, Replicas: 1}))
	must(t, cluster.UntilExposed(ctx, greeter))
	untilAllAnswered(ctx, t, greeter, nil)
	return ctx
}

// scenes counts the tests of traffic.
var scenes int

func onCluster(t *testing.T) context.Context {
	t.Helper()
	if cluster == nil {
		t.Skip("no cluster: KUBECONFIG is not set; `make test-e2e` starts a local one")
	}
	return t.Context()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// under makes live calls to an ExposedService while something happens to it, and returns what
// became of them. The calls go on until the primaries have answered steadily again.
func under(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService, change func(load.Config) load.Config, happens func(*load.Run)) load.Report {
	t.Helper()
	config, err := scene.Load(exs, rate)
	must(t, err)
	if change != nil {
		config = change(config)
	}
	live, err := load.Start(ctx, config)
	must(t, err)
	defer func() {
		if t.Failed() {
			report := live.Stop()
			t.Logf("\n%s\n%s", report.Timeline(time.Second), report.Summary())
		}
	}()
	second := int(config.Rate)
	must(t, scene.Answered(ctx, live, primary, second))
	happens(live)
	must(t, scene.Answered(ctx, live, primary, second))
	report := live.Stop()
	t.Logf("\n%s\n%s", report.Timeline(time.Second), report.Summary())
	return report
}

// losesNothing makes live calls while something happens, and fails if any of them fails.
func losesNothing(t *testing.T, happens func(context.Context, *load.Run)) load.Report {
	t.Helper()
	ctx := onStage(t)
	report := under(ctx, t, greeter, nil, func(live *load.Run) { happens(ctx, live) })
	if report.Failed > 0 {
		t.Errorf("%d of %d calls failed, the first at %s with %s %q",
			report.Failed, report.Total, report.FirstFailure.Due.Format(time.TimeOnly), report.FirstFailure.Code, report.FirstFailure.Message)
	}
	return report
}
