package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

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
	must(t.T, scene.UntilWithin(t.ctx, 2*rolloutPatience, 50*time.Millisecond, what, func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(t.exs), t.exs); err != nil {
			return err
		}
		if status := t.exs.Status.Rollout; status == nil || !is(*status) {
			return fmt.Errorf("%w: %+v; %s", errUnderWay, status, strings.Join(scene.History(t.exs), "; "))
		}
		return nil
	}))
}

// ship changes the primary's pod template.
func (t *xdsTrial) ship(patch string) {
	t.Helper()
	t.mark("new template")
	must(t.T, shipIn(t.ctx, t.space, patch))
}

func TestAGoodVersionIsPromotedToXDSClientsAndLosesNoCall(t *testing.T) {
	trial := shippingOverXDS(t, "promoted")
	trial.ship(newVersion)
	trial.rollout("the rollout is over", func(status v1alpha1.RolloutStatus) bool {
		return status.Phase == v1alpha1.RolloutIdle && status.Revision != "" && status.Stable == status.Revision
	})
	trial.answered(primary, steady)
	trial.liveOnAll()
	trial.nothingFailed()
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
	for name, live := range trial.live {
		calls, failures := 0, 0
		for call := range live.Stop().Calls() {
			fromCanary := strings.HasPrefix(call.Pod, primary+"-canary-")
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
