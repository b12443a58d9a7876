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
)

// TestSomebodyAlwaysStandsBy kills what serves, at random moments and in random ways, as soon as anybody else could serve. No call may
// be lost, whatever Headgate and the proxies are in the middle of.
func TestSomebodyAlwaysStandsBy(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	trial := tryAt(t, calm, "standby", v1alpha1.StrategyPriorities, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Failover.MaxSwitchesPerHour = ptr.To(int32(60))
		exs.Spec.Failover.Recovery = &v1alpha1.Recovery{HealthyFor: ptr.To(v1alpha1.LongDuration("1s")), Ramp: []int32{100}}
	})
	freeze := func(ctx context.Context, space, app string) error {
		return cluster.Order(ctx, space, app, "freeze", "duration", freezeTime.String())
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
		serves := trial.untilAnotherCould()
		way := ways[random.IntN(len(ways))]
		trial.mark(fmt.Sprintf("%d. %s %s", n+1, way.name, serves))
		must(t, way.kill(trial.ctx, trial.space, serves))
	}
	trial.nothingFailed()
}

// untilAnotherCould waits until a backend that does not serve has ready endpoints, and says who serves.
func (t *trial) untilAnotherCould() (serves string) {
	t.Helper()
	must(t.T, scene.Until(t.ctx, "another backend to be ready", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(t.exs), t.exs); err != nil {
			return err
		}
		serves = t.exs.Status.Active
		for _, b := range t.exs.Spec.Backends {
			if b.Name == serves {
				continue
			}
			var slices discoveryv1.EndpointSliceList
			if err := cluster.List(ctx, &slices, client.InNamespace(t.space), client.MatchingLabels{discoveryv1.LabelServiceName: b.Name}); err != nil {
				return err
			}
			for _, slice := range slices.Items {
				for _, ep := range slice.Endpoints {
					if ptr.Deref(ep.Conditions.Ready, false) {
						return nil
					}
				}
			}
		}
		return fmt.Errorf("nobody but %s is ready", serves)
	}))
	return serves
}
