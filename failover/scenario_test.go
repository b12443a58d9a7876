package failover

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Scenario 1.
func TestAllPrimariesDeletedServesFromBackupHoldsAndHandsBack(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	s.run(5 * time.Second)
	s.ready("primary", 1, 2)
	s.run(50 * time.Millisecond)
	s.ready("primary", 0, 0)
	s.run(20 * time.Second)
	s.ready("primary", 0, 2)
	s.run(3 * time.Second)
	s.ready("primary", 1, 2)
	s.run(300 * time.Millisecond)
	s.ready("primary", 2, 2)
	s.run(5 * time.Minute)
	s.golden("all-primaries-deleted")

	if got := s.status.Active; got != "primary" {
		t.Errorf("%s serves in the end", got)
	}
	if !s.last.Next.IsZero() {
		t.Errorf("settled, but the next look is at %s", s.last.Next)
	}
}

// Scenario 2.
func TestUnreadyPrimariesAreLeftInTheLookThatSeesIt(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	s.run(time.Minute)
	s.ready("primary", 0, 2)
	if got := s.shares(); got != "backup 1000000" {
		t.Errorf("weights: %s", got)
	}
}

// Scenario 3.
func TestOneOfTwoPrimariesLostIsNoSwitch(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	for range 10 {
		s.run(10 * time.Second)
		s.ready("primary", 1, 2)
		s.run(10 * time.Second)
		s.ready("primary", 2, 2)
	}
	if got := s.reasons(); got != "Initial" {
		t.Errorf("decisions: %s", got)
	}
}

// Scenario 4.
func TestFailingPrimaryIsLeftByEvidenceWithinSeconds(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.maxErrors("5")
	s.look()
	s.run(time.Minute)
	s.fail("primary", 0.3)
	failed := s.now
	d := s.until(v1alpha1.DecisionSwitchedToBackup, 10*time.Second)
	if took := d.Time.Sub(failed); took > 5*time.Second {
		t.Errorf("it took %s at 100 calls a second", took)
	}
	s.run(2 * time.Minute) // It is still failing when it is tried again, and the hold doubles.
	s.fail("primary", 0)
	s.run(15 * time.Minute)
	s.golden("primary-fails-its-calls")
	if s.status.Active != "primary" {
		t.Errorf("%s serves in the end", s.status.Active)
	}
}

func TestTwentyPercentOfErrorsSwitchWithinSeconds(t *testing.T) {
	for _, rate := range []float64{20, 100, 1000} {
		s := newScene(t, "primary", "backup")
		s.maxErrors("5")
		s.rate = rate
		s.look()
		s.run(10 * time.Minute)
		s.fail("primary", 0.2)
		failed := s.now
		d := s.until(v1alpha1.DecisionSwitchedToBackup, time.Minute)
		took, most := d.Time.Sub(failed), 10*time.Second
		if rate < 100 {
			most = 30 * time.Second
		}
		t.Logf("%v calls a second: %s", rate, took)
		if took > most {
			t.Errorf("%v calls a second: it took %s", rate, took)
		}
	}
}

func TestAnOutageOfErrorsIsNotWrittenAgainAndAgain(t *testing.T) {
	s := newScene(t, "only")
	s.maxErrors("5")
	s.look()
	s.fail("only", 0.5)
	s.run(10 * time.Second)
	if got := s.health("only"); got.Health != v1alpha1.BackendDown {
		t.Fatalf("health: %+v", got)
	}
	for range 600 {
		s.run(time.Second)
		if s.last.Changed {
			t.Fatalf("%s: something has to be written: %+v", s.at(), s.status)
		}
	}
}

func TestErrorsOnBothSidesAreNoSwitch(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.maxErrors("5")
	s.actors["backup"].extra = 100 // Retries go to it, so that its errors are known.
	s.look()
	s.run(time.Minute)
	s.fail("backup", 0.3)
	s.run(30 * time.Second)
	s.fail("primary", 0.3)
	s.run(20 * time.Minute)
	if got := s.switches(); got != 0 {
		t.Errorf("%d switches: %s", got, s.reasons())
	}
	if c := s.condition(v1alpha1.ConditionBackendsHealthy); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonNoBackendUp {
		t.Errorf("condition: %+v", c)
	}
}

// A source that counts seldom is waited for: a trial whose calls nobody has counted has shown nothing.
func TestATrialWaitsUntilItsCallsAreCounted(t *testing.T) {
	for _, scrape := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 6 * time.Second} {
		bothFail(t, scrape)
	}
}

// bothFail is an hour in which both backends fail their calls, which are counted every so often: nothing moves.
func bothFail(t *testing.T, scrape time.Duration) *scene {
	t.Helper()
	s := newScene(t, "primary", "backup")
	s.maxErrors("5")
	s.scrape = scrape
	s.look()
	s.run(time.Minute)
	s.fail("primary", 0.3)
	s.fail("backup", 0.3)
	s.run(time.Hour)
	if strings.Contains(s.reasons(), string(v1alpha1.DecisionSwitchedToBackup)) {
		t.Errorf("counted every %s, it moved: %s", scrape, s.reasons())
	}
	return s
}

// It does not wait for ever: the other one is known to fail.
func TestATrialEndsThoughNobodyCounts(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.maxErrors("5")
	s.look()
	s.run(time.Minute)
	s.fail("primary", 0.3)
	s.until(v1alpha1.DecisionTryingBackup, time.Minute)
	s.blind = true
	s.until(v1alpha1.DecisionSwitchedToBackup, 31*time.Second)
}

func TestErrorsThatTheBackupTurnsOutToHaveTooSwitchNothing(t *testing.T) {
	s := bothFail(t, time.Second)
	if got := s.switches(); got > 6 {
		t.Errorf("%d trials in an hour: %s", got, s.reasons())
	}
	s.fail("primary", 0)
	s.fail("backup", 0)
	s.run(30 * time.Minute)
	s.golden("both-fail-their-calls")
	if s.status.Active != "primary" {
		t.Errorf("%s serves in the end", s.status.Active)
	}
}

func TestOneErrorInTenCallsAtNightIsNoSwitch(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.maxErrors("5")
	s.rate, s.scrape = 10.0/3600, 10*time.Second
	s.look()
	s.run(time.Hour)
	s.fail("primary", 0.1)
	s.run(time.Hour)
	if got := s.reasons(); got != "Initial" {
		t.Errorf("decisions: %s", got)
	}
}

// Scenario 5.
func TestFlappingPrimaryIsLeftOnceAndHeld(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	s.run(10 * time.Second)
	for range 12 {
		s.ready("primary", 0, 2)
		s.run(5 * time.Second)
		s.ready("primary", 2, 2)
		s.run(5 * time.Second)
	}
	if got := s.switches(); got != 1 {
		t.Errorf("%d switches: %s", got, s.reasons())
	}
	if got := s.status.History; got[1].Reason != v1alpha1.DecisionSwitchedToBackup || len(got) != 4 {
		t.Errorf("the flapping pushed the switch out of the history: %v", got)
	}
	s.run(5 * time.Minute)
	s.golden("primary-flaps")
	if s.status.Active != "primary" {
		t.Errorf("%s serves in the end", s.status.Active)
	}
}

func TestSlowFlappingIsBoundedByMaxSwitchesAndDoubledHolds(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	for s.now.Before(midnight.Add(3 * time.Hour)) {
		s.ready("primary", 0, 2)
		s.run(time.Minute)
		s.ready("primary", 2, 2)
		s.until(v1alpha1.DecisionHandedBack, 2*time.Hour)
		s.run(time.Second)
	}
	// Every hand-back is followed by an outage: the worst that a backend can do. Leaving it is never held, coming back is.
	var back []time.Time
	for _, d := range s.all {
		if d.Reason == v1alpha1.DecisionHandedBack {
			back = append(back, d.Time.Time)
		}
	}
	for i := 3; i < len(back); i++ {
		if back[i].Sub(back[i-3]) < time.Hour {
			t.Errorf("handed back four times from %s to %s, and left as often", back[i-3], back[i])
		}
	}
	if len(back) > 10 {
		t.Errorf("handed back %d times in three hours", len(back))
	}
	if !strings.Contains(s.reasons(), "SwitchHeld") {
		t.Errorf("no switch was held: %s", s.reasons())
	}
}

// Scenario 6.
func TestBothDownStaysSaysSoAndRecovers(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	s.run(time.Second)
	s.ready("primary", 0, 2)
	s.run(time.Second)
	s.ready("backup", 0, 2)
	if got := s.shares(); got != "backup 1000000" {
		t.Errorf("weights with both down: %s", got)
	}
	if c := s.condition(v1alpha1.ConditionBackendsHealthy); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonNoBackendUp {
		t.Errorf("condition with both down: %+v", c)
	}
	s.run(30 * time.Second)
	s.ready("primary", 1, 2)
	if got := s.shares(); got != "primary 1000000" {
		t.Errorf("weights when one endpoint is back: %s", got)
	}
	s.run(5 * time.Second)
	s.ready("backup", 2, 2)
	s.ready("primary", 2, 2)
	s.run(10 * time.Minute)
	s.golden("both-down")
	if c := s.condition(v1alpha1.ConditionBackendsHealthy); c.Status != metav1.ConditionTrue {
		t.Errorf("condition in the end: %+v", c)
	}
}

// Scenario 7.
func TestScaledToZeroAndDeletedServiceAreTheSame(t *testing.T) {
	timelines := map[string]string{}
	for name, total := range map[string]int32{"scaled to zero": 0, "Service deleted": 0, "pods there but unready": 2} {
		s := newScene(t, "primary", "backup")
		s.look()
		s.ready("primary", 0, total)
		s.run(time.Minute)
		s.ready("primary", 2, 2)
		s.run(5 * time.Minute)
		timelines[name] = s.reasons()
	}
	for name, got := range timelines {
		if got != "Initial > SwitchedToBackup > NetChanged > HandingBack > HandingBack > HandedBack" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Scenario 8. A leader that dies between two writes leaves the status of any earlier look; its successor looks with that.
func TestSuccessorWithTheLastWrittenStatusDecidesTheSame(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	s.ready("primary", 0, 2)
	s.run(10 * time.Second)
	s.ready("primary", 2, 2)
	for s.now.Before(midnight.Add(3 * time.Minute)) {
		written := s.status
		s.run(time.Second)
		// The successor did not get to see what its predecessor did not write.
		successor := Decide(&s.spec, written, s.observe(), s.now)
		if successor.Active != s.status.Active || successor.Traffic.Revision != s.status.Traffic.Revision {
			t.Errorf("%s: the successor has %s at revision %d, the predecessor had %s at %d", s.at(),
				successor.Active, successor.Traffic.Revision, s.status.Active, s.status.Traffic.Revision)
		}
	}
	if got := s.reasons(); got != "Initial > SwitchedToBackup > NetChanged > HandingBack > HandingBack > HandedBack" {
		t.Errorf("decisions: %s", got)
	}
}

// Scenario 9: nothing of the data plane is among the inputs, so that the decision cannot wait for it; see
// TestUnreadyPrimariesAreLeftInTheLookThatSeesIt. What is left is that the decision stands until it can be applied.
func TestDecisionStandsUntilSomethingElseHappens(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.look()
	s.ready("primary", 0, 2)
	s.run(settleTime)
	decided := s.status.Traffic
	s.run(time.Hour)
	if got := s.status.Traffic; got.Revision != decided.Revision || !got.Time.Equal(&decided.Time) {
		t.Errorf("revision %d of %s has become %d of %s", decided.Revision, decided.Time, got.Revision, got.Time)
	}
}

// Scenario 10.
func TestSourcesThatAreDownChangeNothing(t *testing.T) {
	t.Run("the API server is away during a failover", func(t *testing.T) {
		s := newScene(t, "primary", "backup")
		s.look()
		s.ready("primary", 0, 2)
		s.run(5 * time.Second)
		s.ready("primary", 2, 2)
		s.run(30 * time.Second) // Half of its hold.
		n := len(s.all)
		for _, a := range s.actors {
			a.unknown = "the API server does not answer"
		}
		s.look()
		s.run(10 * time.Minute)
		if len(s.all) != n {
			t.Errorf("decisions while nothing was known: %s", s.reasons())
		}
		if got := s.health("primary"); got.Health != v1alpha1.BackendUnknown || *got.Ready != 2 {
			t.Errorf("health: %+v", got)
		}
		for _, a := range s.actors {
			a.unknown = ""
		}
		s.look()
		known := s.now
		if d := s.until(v1alpha1.DecisionHandingBack, time.Minute); d.Time.Sub(known) != 30*time.Second {
			t.Errorf("the hold went on for %s, not for the half that was left", d.Time.Sub(known))
		}
	})
	t.Run("the source of calls is away for a minute", func(t *testing.T) {
		s := newScene(t, "primary", "backup")
		s.maxErrors("5")
		s.look()
		s.run(time.Minute)
		s.blind = true
		s.fail("primary", 0.3)
		s.run(time.Minute)
		if got := s.reasons(); got != "Initial" {
			t.Errorf("decisions while blind: %s", got)
		}
		s.blind = false
		s.until(v1alpha1.DecisionSwitchedToBackup, 5*time.Second)
	})
}
