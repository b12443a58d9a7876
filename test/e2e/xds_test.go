package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/xds" // the resolver and the balancers of a client without a proxy
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
	"github.com/headgate/headgate/test/workers"
)

const (
	throughEnvoy = "through an Envoy of one's own"
	withoutProxy = "without a proxy"
)

// xdsTrial is an ExposedService of a test's own on Headgate's own xDS, called by both kinds of clients.
type xdsTrial struct {
	*testing.T
	ctx   context.Context //nolint:containedctx // that of the test
	space string
	exs   *v1alpha1.ExposedService
	live  map[string]*load.Run
	// crew are twenty callers that each wait for an answer before they call again, through the same Envoy.
	crew *workers.Crew
	// canary is the pod-template-hash of the version that is shipped, or was last; empty: none was.
	canary string
}

// overXDS sets a stage of three primaries and three backups, and calls them through an Envoy of the
// namespace and without any proxy, until the test ends. Both are connected by `kubectl headgate bootstrap`.
func overXDS(t *testing.T, name string) *xdsTrial {
	t.Helper()
	return overXDSAt(t, rate, name)
}

// overXDSAt is overXDS with so many calls per second of each of the two.
func overXDSAt(t *testing.T, rate float64, name string) *xdsTrial {
	t.Helper()
	ctx := onCluster(t)
	if os.Getenv("CLUSTER_COMMAND") == "" {
		t.Skip("only in a local cluster's network are its pods and its DNS reached: CLUSTER_COMMAND is not set")
	}
	space := "e2e-xds-" + name
	must(t, cluster.MakeNamespace(ctx, space))
	t.Cleanup(func() { must(t, cluster.RemoveNamespace(context.Background(), space)) })
	exs := scene.ExposedServiceOverXDS(space, "greeter", primary, backup)
	exs.Spec.Failover = &v1alpha1.Failover{Recovery: &v1alpha1.Recovery{
		HealthyFor: ptr.To(v1alpha1.LongDuration("1s")), Ramp: []int32{100},
	}}
	must(t, cluster.Put(ctx, exs))
	must(t, cluster.Deploy(ctx, space, scene.App{Name: primary, Replicas: 3}, scene.App{Name: backup, Replicas: 3}))

	certificate, err := scene.XDSCertificate(ctx, space)
	must(t, err)
	trial := &xdsTrial{T: t, ctx: ctx, space: space, exs: exs, live: map[string]*load.Run{}}
	t.Cleanup(trial.print)
	config, err := cluster.LoadThroughOwnEnvoy(ctx, exs, certificate, rate)
	must(t, err)
	must(t, scene.UntilAnswered(ctx, config))
	trial.start(throughEnvoy, config)
	conn, err := grpc.NewClient(config.Target, grpc.WithAuthority(config.Authority),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	trial.crew = workers.Start(t, conn, workers.Config{Workers: 20, Pace: 100 * time.Millisecond, Timeout: config.Timeout})
	config, err = cluster.LoadWithoutProxy(ctx, exs, certificate, t.TempDir(), rate)
	must(t, err)
	trial.start(withoutProxy, config)
	trial.answered(primary, steady)
	trial.liveOnAll()
	return trial
}

func (t *xdsTrial) start(client string, config load.Config) {
	t.Helper()
	live, err := load.Start(t.ctx, config)
	must(t.T, err)
	t.live[client] = live
}

func (t *xdsTrial) mark(what string) {
	for _, live := range t.live {
		live.Mark(what)
	}
}

// answered waits until so many more calls of each client have been answered by an application.
func (t *xdsTrial) answered(app string, calls int) {
	t.Helper()
	var group errgroup.Group
	for _, live := range t.live {
		group.Go(func() error { return scene.Answered(t.ctx, live, app, calls) })
	}
	must(t.T, group.Wait())
}

// liveOnAll waits until the status says that both clients have acknowledged all that is newest.
func (t *xdsTrial) liveOnAll() {
	t.Helper()
	must(t.T, cluster.UntilLive(t.ctx, t.exs, int32(len(t.live)))) //nolint:gosec // two
}

// nothingFailed ends the calls, and fails the test if any of them failed, but for those that gRPC itself gives up.
func (t *xdsTrial) nothingFailed() {
	t.Helper()
	calls := t.crew.Stop()
	failed := workers.Failed(calls)
	t.Logf("twenty workers: %d calls, %d failed", len(calls), len(failed))
	if len(failed) > 0 {
		t.Errorf("twenty workers: %d of %d calls failed, the first at %s: %v",
			len(failed), len(calls), failed[0].Began.Format("15:04:05.000"), failed[0].Err)
	}
	for client, live := range t.live {
		report := live.Stop()
		given := givenUp(report)
		if client == withoutProxy && given > 0 {
			t.Logf("%s: gRPC gave up %d of %d calls before it had sent them", client, given, report.Total)
			report.Failed -= given
		}
		if report.Failed > 0 || given > maxGivenUp {
			t.Errorf("%s: %d of %d calls failed, the first at %s with %s %q", client, report.Failed, report.Total,
				report.FirstFailure.Due.Format("15:04:05.000"), report.FirstFailure.Code, report.FirstFailure.Message)
		}
	}
}

// maxGivenUp is how many calls gRPC may give up in a test: those of a tenth of a second, which a busy machine
// lets pile up before it sends them.
const maxGivenUp = rate / 10

// givenUp counts the calls that broken connections kept from being sent, twice. grpc-go (1.85) makes such a call
// again by itself if that was its first attempt (gRFC A6, transparent retries). A later one ends there, though the
// retry policy has attempts left: its stream is not marked as one that has got no headers, and a call that has
// got headers must not be made again. No configuration changes that. It takes endpoints that die within
// milliseconds of each other.
func givenUp(report load.Report) int {
	count := 0
	for call := range report.Calls() {
		if call.Code == codes.Unavailable && call.Message == "transport is closing" {
			count++
		}
	}
	return count
}

func (t *xdsTrial) print() {
	for _, client := range slices.Sorted(maps.Keys(t.live)) {
		report := t.live[client].Stop()
		t.Logf("calls %s\n%s\n%s", client, report.Timeline(time.Second), report.Summary())
	}
	t.Log("\n" + strings.Join(scene.History(t.exs), "\n"))
}

// headgateHas scales Headgate, and waits for it.
func headgateHas(t *testing.T, replicas int32) {
	t.Helper()
	ctx := context.Background() // also after the test
	must(t, cluster.Scale(ctx, scene.HeadgateNamespace, scene.HeadgateDeployment, replicas))
	must(t, cluster.UntilReady(ctx, scene.HeadgateNamespace, scene.HeadgateDeployment))
}

// firstAnswer is how long after a time the first call ended that an application has answered well.
func firstAnswer(report load.Report, app string, after time.Time) time.Duration {
	first := time.Duration(-1)
	for call := range report.Calls() {
		since := call.Due.Add(call.Latency).Sub(after)
		if !call.Failed() && strings.HasPrefix(call.Pod, app+"-") && since >= 0 && (first < 0 || since < first) {
			first = since
		}
	}
	return first
}

// TestXDSClientsFailOverByThemselves: all primaries crash at once. Clients notice by their connections,
// long before anybody could tell them.
func TestXDSClientsFailOverByThemselves(t *testing.T) {
	trial := overXDS(t, "crash")
	primaries, err := cluster.Addresses(trial.ctx, trial.space, primary)
	must(t, err)
	trial.mark("all primaries crash")
	crashed, err := scene.CrashAt(trial.ctx, primaries)
	must(t, err)
	trial.answered(backup, 50)
	trial.answered(primary, steady)
	trial.liveOnAll()
	trial.nothingFailed()

	// The project's goal. What is asserted leaves room for processors that others use, as much as the calls needed.
	const goal, room = 25 * time.Millisecond, 225 * time.Millisecond
	for client, live := range trial.live {
		report := live.Wait()
		took, bound := firstAnswer(report, backup, crashed), goal+room+report.MaxSendLag
		t.Logf("%s: last crash to first answer of a backup: %s (goal without a proxy: %s)", client, took, goal)
		if client == withoutProxy && (took < 0 || took > bound) {
			t.Errorf("%s: the first answer of a backup came %s after the crash, want %s at most", client, took, bound)
		}
	}
}

func TestRenamedPortsDecideNothingOverXDS(t *testing.T) {
	t.Parallel()
	trial := overXDS(t, "renamed")
	before := history(trial.ctx, t, trial.exs)
	for _, names := range renamings {
		trial.mark(fmt.Sprintf("ports are %+v", names))
		must(t, cluster.NamePorts(trial.ctx, trial.space, primary, names))
		must(t, cluster.NamePorts(trial.ctx, trial.space, backup, names))
		trial.answered(primary, steady)
	}
	mustHaveDecidedNothing(trial.ctx, t, trial.exs, before)
	trial.nothingFailed()
}

// TestXDSClientsNeedNoHeadgate: a replica is lost, then all of Headgate; and the primaries while there is none.
func TestXDSClientsNeedNoHeadgate(t *testing.T) {
	trial := overXDS(t, "headgate")
	replicas, err := cluster.HeadgatePods(trial.ctx)
	must(t, err)
	trial.mark("one replica of Headgate killed")
	must(t, cluster.KillPod(trial.ctx, scene.HeadgateNamespace, replicas[0]))
	must(t, cluster.UntilReady(trial.ctx, scene.HeadgateNamespace, scene.HeadgateDeployment))
	trial.liveOnAll()
	trial.mark("all replicas killed")
	must(t, cluster.KillHeadgate(trial.ctx))
	trial.liveOnAll()

	t.Cleanup(func() { headgateHas(t, 2) })
	trial.mark("no Headgate")
	headgateHas(t, 0)
	trial.mark("all primaries killed")
	must(t, cluster.Kill(trial.ctx, trial.space, primary))
	trial.answered(backup, steady)
	must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
	trial.mark("Headgate again")
	headgateHas(t, 2)
	trial.answered(primary, steady)
	trial.liveOnAll()
	trial.nothingFailed()
}

// TestXDSClientsLoseNoCallOfLivingEndpoints: endpoints that are not ready, leave or come, in one go.
func TestXDSClientsLoseNoCallOfLivingEndpoints(t *testing.T) {
	trial := overXDS(t, "changes")
	trial.mark("primaries not ready")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "not-ready"))
	trial.answered(backup, steady)
	trial.mark("primaries ready")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "ready"))
	trial.answered(primary, steady)
	trial.mark("rolling restart of the primaries")
	must(t, cluster.Restart(trial.ctx, trial.space, primary))
	trial.answered(primary, steady)
	for _, replicas := range []int32{5, 2, 3} {
		trial.mark(fmt.Sprintf("primaries scaled to %d", replicas))
		must(t, cluster.Scale(trial.ctx, trial.space, primary, replicas))
		must(t, cluster.UntilReady(trial.ctx, trial.space, primary))
	}
	trial.answered(primary, steady)
	trial.liveOnAll()
	trial.nothingFailed()
}

// TestAPIServerRestartedUnderXDSClients: the API server is killed and all primaries crash at once.
func TestAPIServerRestartedUnderXDSClients(t *testing.T) {
	trial := overXDS(t, "api-restart")
	primaries, err := cluster.Addresses(trial.ctx, trial.space, primary)
	must(t, err)
	trial.mark("API server killed")
	var restart errgroup.Group
	restart.Go(func() error { return scene.RestartComponent(trial.ctx, "kube-apiserver") })
	must(t, cluster.UntilAPIServerDown(trial.ctx))
	trial.mark("all primaries crash")
	_, err = scene.CrashAt(trial.ctx, primaries)
	must(t, err)
	trial.answered(backup, 50)
	must(t, restart.Wait())
	trial.mark("API server back")
	trial.answered(primary, steady)
	trial.nothingFailed()
}
