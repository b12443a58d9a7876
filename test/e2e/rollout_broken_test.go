package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// The stable version is the broken one, and the new one is the repair.

// mends fails the test unless a version became stable without proof, for a reason.
func (t *trial) mends(why string) {
	t.Helper()
	once(t, v1alpha1.DecisionProofWaived)
	if !strings.Contains(strings.Join(scene.History(t.exs), "\n"), why) {
		t.Errorf("the history does not say %q: %v", why, scene.History(t.exs))
	}
}

// alone is a trial of a primary without a backup.
func alone(t *testing.T, name string) *trial {
	t.Helper()
	trial := tryAt(t, calm, name, v1alpha1.StrategyAuto, func(exs *v1alpha1.ExposedService) {
		exs.Spec.Backends, exs.Spec.Failover = exs.Spec.Backends[:1], nil
	})
	trial.ships(nil, 10, 50)
	return trial
}

// TestARepairIsShippedWhileTheBackupServes: there is nothing to compare it with, and nobody is harmed by it.
func TestARepairIsShippedWhileTheBackupServes(t *testing.T) {
	t.Parallel()
	trial := tryAt(t, calm, "repair-backup", v1alpha1.StrategyAuto, func(exs *v1alpha1.ExposedService) { exs.Spec.Failover = fastRecovery() })
	trial.ships(nil, 10, 50)
	broken := trial.mark("the stable version is not ready")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "not-ready"))
	trial.decided(v1alpha1.DecisionSwitchedToBackup, broken)
	trial.answered(backup)
	at := trial.ship(newVersion)
	trial.promoted()
	t.Logf("repaired in %.1f s", time.Since(at).Seconds())
	trial.handedBack(broken)
	trial.mends("there is nothing to compare it with, because")
	trial.nothingFailed()
}

// TestARepairOfAVersionThatFailsItsCallsIsShipped on evidence: it is better.
func TestARepairOfAVersionThatFailsItsCallsIsShipped(t *testing.T) {
	t.Parallel()
	trial := alone(t, "repair-errors")
	broken := trial.mark("50 % INTERNAL of stable")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "errors", "share", "0.5", "code", "INTERNAL"))
	at := trial.promotes(newVersion)
	repaired := time.Now()
	t.Logf("repaired in %.1f s", repaired.Sub(at).Seconds())
	trial.atRest()
	trial.answered(primary)
	canary := trial.canaryHash()
	trial.onlyFailedBetween(broken, repaired)
	for call := range trial.report().Calls() {
		if call.Failed() && scene.HashOf(call.Pod, primary) == canary {
			t.Fatalf("the repair failed a call: %+v", call)
		}
	}
}

// TestARepairOfAVersionWithoutReadyPodsIsShipped after half a minute, in which the version might have come back by itself.
func TestARepairOfAVersionWithoutReadyPodsIsShipped(t *testing.T) {
	t.Parallel()
	trial := alone(t, "repair-down")
	broken := trial.mark("the stable version is not ready")
	must(t, cluster.Order(trial.ctx, trial.space, primary, "not-ready"))
	at := trial.promotes(newVersion)
	repaired := time.Now()
	t.Logf("repaired in %.1f s", repaired.Sub(at).Seconds())
	trial.mends("stable has had no ready pod since")
	trial.atRest()
	trial.answered(primary)
	trial.onlyFailedBetween(broken, repaired)
}
