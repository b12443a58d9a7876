package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/hedging"
	"github.com/headgate/headgate/test/grpcapp/load"
	"github.com/headgate/headgate/test/scene"
)

const (
	// slowTime is how long backends are slow.
	slowTime = 10 * time.Second
	// overloadTime is how long they get more calls than they can carry.
	overloadTime = 15 * time.Second
	// recoveryTime is how soon all is well after that.
	recoveryTime = 5 * time.Second
	// workersPerPod is how many calls a pod of limited capacity works on at once, workTime how long each takes, and queueOfPod how many
	// more wait.
	workersPerPod = 5
	workTime      = 50 * time.Millisecond
	queueOfPod    = 20
	// lateBy is how late calls are sent on a machine that is busy.
	lateBy = 100 * time.Millisecond
	// primaryCapacity is what both primaries carry, in calls per second.
	primaryCapacity = 2 * workersPerPod * float64(time.Second/workTime)
)

// untilHedged waits until calls have been looked at for long enough to say when a silent one gets a second attempt beside it.
func untilHedged(ctx context.Context, exs *v1alpha1.ExposedService) error {
	return scene.Until(ctx, "a delay of second attempts", func(ctx context.Context) error {
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(exs), exs); err != nil {
			return err
		}
		if hedging.Delay(exs.Status.Hedging) == hedging.Never {
			return fmt.Errorf("status.hedging is %+v", exs.Status.Hedging)
		}
		return nil
	})
}

func (t *trial) untilHedged() {
	t.Helper()
	must(t.T, untilHedged(t.ctx, t.exs))
}

// attempts is how often pods have been called.
func (t *trial) attempts() int {
	t.Helper()
	total := 0
	for _, app := range []string{primary, backup} {
		n, err := cluster.Attempts(t.ctx, t.space, app)
		must(t.T, err)
		total += n
	}
	return total
}

// TestSlowBackendsAreNotCalledMore: a dependency of all backends is slow for ten seconds. Whoever waits long enough has an answer, and the
// backends have hardly more calls than are made.
func TestSlowBackendsAreNotCalledMore(t *testing.T) {
	t.Parallel()
	trial := tryWith(t, calm, "slow", v1alpha1.StrategyPriorities, func(exs *v1alpha1.ExposedService) { withErrors(exs.Spec.Failover) }, patient)
	trial.untilHedged()
	_, seen := trial.live.Recent(0)
	before := trial.attempts()
	trial.mark("everything takes 400 ms")
	for _, app := range []string{backup, primary} {
		must(t, cluster.Order(trial.ctx, trial.space, app, "latency", "distribution", "constant", "value", "400ms"))
	}
	time.Sleep(slowTime) // how long it lasts is what is tested
	trial.mark("everything is fast again")
	for _, app := range []string{backup, primary} {
		must(t, cluster.Order(trial.ctx, trial.space, app, "reset"))
	}
	trial.answered(primary)
	attempts := trial.attempts() - before
	recent, _ := trial.live.Recent(seen)
	amplification := float64(attempts) / float64(recent.Calls)
	t.Logf("%d attempts at the backends for %d calls: %.2f each", attempts, recent.Calls, amplification)
	// What was under way at the beginning is in it, and on a busy machine 400 ms become more.
	if amplification > 1.3 {
		t.Errorf("%.2f attempts per call", amplification)
	}
	mustHaveSwitchedNothing(trial)
	trial.nothingFailed()
	// A call that is given up and made again has its answer too, but late.
	if report := trial.report(); report.MaxSendLag <= lateBy && report.Latency.Max > 2*time.Second {
		t.Errorf("a call took %s", report.Latency.Max)
	}
}

// patient callers wait for answers as long as it takes, but not for each other when backends are slow.
func patient(config *load.Config) { config.Timeout, config.MaxInFlight = time.Minute, 0 }

func mustHaveSwitchedNothing(trial *trial) {
	trial.Helper()
	must(trial.T, cluster.UntilActive(trial.ctx, trial.exs, primary))
	if switches := scene.Decided(trial.exs, v1alpha1.DecisionSwitchedToBackup); switches > 0 {
		trial.Errorf("%d switches: %v", switches, scene.History(trial.exs))
	}
}

// TestAnOverloadIsCarriedAsFarAsItCanBe: half as many calls again come as the primaries can carry, and the backup could not carry them either.
func TestAnOverloadIsCarriedAsFarAsItCanBe(t *testing.T) {
	t.Parallel()
	trial := tryWith(t, calm/2, "overload", v1alpha1.StrategyPriorities, func(exs *v1alpha1.ExposedService) { withErrors(exs.Spec.Failover) }, patient)
	for _, app := range []string{backup, primary} {
		must(t, cluster.Order(trial.ctx, trial.space, app, "latency", "distribution", "constant", "value", workTime.String()))
		must(t, cluster.Order(trial.ctx, trial.space, app, "capacity", "limit", fmt.Sprint(workersPerPod), "queue", fmt.Sprint(queueOfPod), "code", "UNAVAILABLE"))
	}
	trial.answered(primary)
	config, err := scene.Load(trial.exs, 1.5*primaryCapacity-float64(trial.rate))
	must(t, err)
	config.Duration, config.Timeout, config.MaxInFlight = overloadTime, 2*time.Second, 0
	_, seen := trial.live.Recent(0)
	before := trial.attempts()
	trial.mark("150 % begins")
	more, err := load.Start(trial.ctx, config)
	must(t, err)
	report := more.Wait()
	ended := trial.mark("150 % ends")
	recent, _ := trial.live.Recent(seen)
	calls := report.Total + recent.Calls
	answered := calls - report.Failed - recent.Failed
	attempts := trial.attempts() - before
	t.Logf("%.0f of %.0f calls/s were answered, %.2f attempts per call", float64(answered)/overloadTime.Seconds(), float64(calls)/overloadTime.Seconds(),
		float64(attempts)/float64(calls))
	// The capacity is that of a machine with time to spare, and so is who is taken for overloaded: on a busy one pods answer later than
	// they do by themselves, now more and now less.
	busy := report.MaxSendLag > lateBy
	if goodput := float64(answered) / overloadTime.Seconds(); goodput < 0.8*primaryCapacity && !busy || goodput < 0.4*primaryCapacity {
		t.Errorf("%.0f calls/s were answered, of %.0f that the primaries carry", goodput, primaryCapacity)
	}
	if amplification := float64(attempts) / float64(calls); amplification > 1.2 {
		t.Errorf("%.2f attempts per call", amplification)
	}
	must(t, scene.Until(trial.ctx, "five seconds without a failure", func(context.Context) error {
		recent, all := trial.live.Recent(seen)
		if recent.Failed > 0 {
			seen = all
		}
		if recent.Failed > 0 || recent.Calls < 5*trial.rate {
			return fmt.Errorf("%d of the last %d calls failed", recent.Failed, recent.Calls)
		}
		return nil
	}))
	if busy {
		t.Logf("calls were sent up to %s late: the machine is busy", report.MaxSendLag)
		return
	}
	mustHaveSwitchedNothing(trial)
	for call := range trial.report().Calls() {
		if call.Failed() && call.Due.After(ended.Add(recoveryTime)) {
			t.Errorf("a call due %s after the end failed with %s", call.Due.Sub(ended), call.Code)
			break
		}
	}
}
