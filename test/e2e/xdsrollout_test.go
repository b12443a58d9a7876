package e2e

import (
	"strings"
	"testing"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// shippingOverXDS is a trial whose primary is rolled out to the clients of Headgate's own xDS, by what they report.
func shippingOverXDS(t *testing.T, name string) *xdsTrial {
	t.Helper()
	trial := overXDS(t, name)
	must(t, cluster.Change(trial.ctx, trial.exs, func(spec *v1alpha1.ExposedServiceSpec) {
		spec.Rollout = quickRollout(10, 50)
	}))
	trial.rollout("the stable revision is known", func(status v1alpha1.RolloutStatus) bool { return status.Stable != "" })
	return trial
}

// rollout waits until the status of the rollout is as it is to be.
func (t *xdsTrial) rollout(what string, is func(v1alpha1.RolloutStatus) bool) {
	t.Helper()
	must(t.T, untilRollout(t.ctx, t.exs, &t.canary, 2*rolloutPatience, what, is))
}

// ship changes the primary's pod template.
func (t *xdsTrial) ship(patch string) {
	t.Helper()
	t.mark("new template")
	must(t.T, shipIn(t.ctx, t.space, patch))
}

func TestAGoodVersionIsPromotedToXDSClientsAndLosesNoCall(t *testing.T) {
	trial := shippingOverXDS(t, "promoted")
	pods, err := cluster.Count(trial.ctx, trial.space, primary)
	must(t, err)
	places, err := cluster.FollowPlacesOfOwnEnvoy(trial.ctx, trial.exs)
	must(t, err)
	trial.ship(newVersion)
	trial.rollout("the rollout is over", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutIdle && status.Revision != "" && status.Stable == status.Revision
	})
	trial.answered(primary, steady)
	trial.liveOnAll()
	trial.nothingFailed()
	if started := pods.Pods(trial.canary); len(started) != 3 {
		t.Errorf("%d pods of the new version were started, want 3: %+v", len(started), started)
	}
	moved, err := places.Moved(pods.Addresses(), 6)
	must(t, err)
	if len(moved) > 0 {
		t.Errorf("endpoints changed their places: %s", strings.Join(moved, "\n"))
	}
}

func TestABadVersionIsRolledBackByTheReportsOfXDSClients(t *testing.T) {
	trial := shippingOverXDS(t, "rolledback")
	trial.ship(`{"spec":{"template":{"spec":{"containers":[{"name":"greeter","args":["-error-share","0.05","-error-code","INTERNAL"]}]}}}}`)
	trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool { return status.Failed != nil })
	failed := trial.exs.Status.Rollout.Failed
	if !byEvidence(failed) || !strings.Contains(failed.Message, "counted by LoadReports") {
		t.Errorf("failed is %+v", failed)
	}
	trial.answered(primary, steady)
	if trial.canary == "" {
		t.Fatal("no canary has been seen")
	}
	for name, live := range trial.live {
		calls, failures := 0, 0
		for call := range live.Stop().Calls() {
			fromCanary := scene.HashOf(call.Pod, primary) == trial.canary
			if fromCanary {
				calls++
			}
			switch {
			case call.Failed() && fromCanary:
				failures++
			case call.Failed():
				t.Errorf("%s: a call failed that the bad version has not answered: %s %q", name, call.Code, call.Message)
			}
		}
		t.Logf("%s: the bad version answered %d calls and failed %d: %s", name, calls, failures, failed.Message)
	}
}
