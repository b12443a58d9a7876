package e2e

import (
	"testing"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/grpcapp/load"
)

// TestAVersionThatHangsIsRolledBack: a part of the canary's calls has no answer before the deadline of its caller. To Envoy these are neither
// successes nor errors.
func TestAVersionThatHangsIsRolledBack(t *testing.T) {
	t.Parallel()
	trial := tryWith(t, calm, "hanging", v1alpha1.StrategyAuto, nil, func(config *load.Config) { config.Timeout = time.Second })
	trial.ships(nil, 20, 50)
	trial.ship(newVersion)
	trial.whenThereIsACanary("latency", "distribution", "uniform", "min", "0s", "max", "1600ms")
	trial.rollout("the rollback", func(status v1alpha1.RolloutStatus) bool { return status.Failed != nil })
	status := trial.exs.Status.Rollout
	calls, failed := trial.fromCanary()
	t.Logf("rolled back after %d answers of the canary, %d calls failed: %s", calls, failed, status.Failed.Message)
	if !byEvidence(status.Failed) || status.Evidence.Canary.Cancelled == 0 {
		t.Errorf("failed is %+v, the canary's calls were %+v", status.Failed, status.Evidence.Canary)
	}
}
