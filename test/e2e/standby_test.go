package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

const (
	kills = 50
	// longestPause is the longest time between two kills. Shorter and longer ones than the time in which a switch settles are among them.
	longestPause = 10 * time.Second
	// freezeTime is how long a frozen application stays so.
	freezeTime = 2 * time.Second
	// known is how long a backend has been ready when the proxies know it for certain: its endpoints have to get there, and each proxy
	// checks them itself. Who dies sooner than that after another came back has nobody to stand by.
	known = time.Second
)

// fastRecovery hands back as soon as it may, all at once, and as often as it takes.
func fastRecovery() *v1alpha1.Failover {
	return &v1alpha1.Failover{
		MaxSwitchesPerHour: ptr.To(int32(60)),
		Recovery:           &v1alpha1.Recovery{HealthyFor: ptr.To(v1alpha1.LongDuration("1s")), Ramp: []int32{100}},
	}
}

// TestSomebodyAlwaysStandsBy kills what serves, at random moments and in random ways, as soon as anybody else could serve. No call may
// be lost, whatever Headgate and the proxies are in the middle of.
func TestSomebodyAlwaysStandsBy(t *testing.T) {
	t.Parallel()
	trial := tryAt(t, calm, "standby", v1alpha1.StrategyPriorities, func(exs *v1alpha1.ExposedService) { exs.Spec.Failover = fastRecovery() })
	trial.untilHedged()
	killWhatServes(trial.ctx, t, trial.exs, func(what string) { trial.mark(what) })
	trial.nothingFailed()
}

// TestSomebodyAlwaysStandsByOverXDS is the same for Envoys on Headgate's own xDS.
func TestSomebodyAlwaysStandsByOverXDS(t *testing.T) {
	t.Parallel()
	trial := overXDSAt(t, calm, "standby")
	must(t, cluster.Change(trial.ctx, trial.exs, func(spec *v1alpha1.ExposedServiceSpec) { spec.Failover = fastRecovery() }))
	trial.liveOnAll()
	must(t, untilHedged(trial.ctx, trial.exs))
	killWhatServes(trial.ctx, t, trial.exs, trial.mark)
	// gRPC itself gives calls up whose endpoints refuse connections, after six attempts within a second: how many is printed.
	report := trial.live[withoutProxy].Stop()
	t.Logf("%s: %d of %d calls failed\n%s", withoutProxy, report.Failed, report.Total, report.Summary())
	delete(trial.live, withoutProxy)
	trial.nothingFailed()
}

func killWhatServes(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService, mark func(string)) {
	t.Helper()
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // after 1970
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	freeze := func(ctx context.Context, space, app string) error {
		return cluster.Freeze(ctx, space, app, freezeTime)
	}
	// A container that crashed is started again the later the more often it did, so that few of the kills are crashes.
	ways := []struct {
		name string
		kill func(context.Context, string, string) error
	}{
		{"force-delete", cluster.Kill}, {"force-delete", cluster.Kill}, {"freeze", freeze}, {"freeze", freeze}, {"crash", cluster.Crash},
	}
	for n := range kills {
		time.Sleep(time.Duration(random.Int64N(int64(longestPause)))) // the moment is what is tested
		serves := untilAnotherCould(ctx, t, exs)
		way := ways[random.IntN(len(ways))]
		mark(fmt.Sprintf("%d. %s %s", n+1, way.name, serves))
		must(t, way.kill(ctx, exs.Namespace, serves))
	}
}

// untilAnotherCould waits until a backend that does not serve has had ready endpoints for as long as the proxies need to know, and says who
// serves.
func untilAnotherCould(ctx context.Context, t *testing.T, exs *v1alpha1.ExposedService) (serves string) {
	t.Helper()
	since := map[string]time.Time{}
	must(t, scene.Until(ctx, "another backend to be ready", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		serves = exs.Status.Active
		could := false
		for _, b := range exs.Spec.Backends {
			ready, err := hasReady(ctx, exs.Namespace, b.Name)
			switch {
			case err != nil:
				return err
			case !ready:
				delete(since, b.Name)
			case since[b.Name].IsZero():
				since[b.Name] = time.Now()
			default:
				could = could || b.Name != serves && time.Since(since[b.Name]) >= known
			}
		}
		if !could {
			return fmt.Errorf("nobody but %s is ready", serves)
		}
		return nil
	}))
	return serves
}

// hasReady says whether a Service has an endpoint that is ready.
func hasReady(ctx context.Context, space, service string) (bool, error) {
	var list discoveryv1.EndpointSliceList
	if err := cluster.List(ctx, &list, client.InNamespace(space), client.MatchingLabels{discoveryv1.LabelServiceName: service}); err != nil {
		return false, err
	}
	for _, slice := range list.Items {
		for _, ep := range slice.Endpoints {
			if ptr.Deref(ep.Conditions.Ready, false) {
				return true, nil
			}
		}
	}
	return false, nil
}
