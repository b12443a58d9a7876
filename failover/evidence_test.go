package failover

import (
	"strings"
	"testing"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// memoryAfter feeds looks at calls to a test for at most 5 % errors, from midnight on.
func memoryAfter(m v1alpha1.BackendMemory, looks ...Calls) (v1alpha1.BackendMemory, *fault) {
	b := &backend{memory: m}
	var last *fault
	for _, calls := range looks {
		last = takeCalls(b, calls, &judge.Absolute{Bound: 0.05, Alpha: 0.01, Horizon: time.Hour}, midnight.Add(time.Hour))
	}
	return b.memory, last
}

// counted are calls in the given second after midnight.
func counted(second int, calls, errors uint64) Calls {
	start := midnight.Add(time.Duration(second) * time.Second)
	return Calls{Known: true, Calls: calls, Errors: errors, Start: start, End: start.Add(time.Second), Source: "Envoy"}
}

func TestCallsAreTakenInOnceAndOnlyWhenTheyTellSomething(t *testing.T) {
	taken, _ := memoryAfter(v1alpha1.BackendMemory{}, counted(0, 100, 30))
	if taken.Evidence == "" || taken.Calls != 100 || taken.Errors != 30 {
		t.Fatalf("calls were not taken in: %+v", taken)
	}
	unknown, lie, zero, backwards, old := counted(1, 100, 50), counted(1, 100, 101), counted(1, 100, 50), counted(1, 100, 50), counted(1, 100, 50)
	unknown.Known = false
	zero.Start = time.Time{}
	backwards.Start, backwards.End = backwards.End, backwards.Start
	old.StaleAfter = time.Minute
	half := counted(0, 50, 25)
	half.Start = half.Start.Add(time.Second / 2)
	for name, calls := range map[string]Calls{
		"unknown":                          unknown,
		"more errors than calls":           lie,
		"since ever":                       zero,
		"an interval that ends before":     backwards,
		"too old":                          old,
		"the same once more":               counted(0, 100, 30),
		"an interval that was partly seen": half,
	} {
		t.Run(name, func(t *testing.T) {
			if after, f := memoryAfter(taken, calls); after != taken || f != nil {
				t.Errorf("%+v became %+v, %+v", taken, after, f)
			}
		})
	}
}

func TestAlarmNamesItsNumbersAndStartsOver(t *testing.T) {
	m, f := memoryAfter(v1alpha1.BackendMemory{}, counted(0, 1000, 0), counted(1, 100, 30), counted(2, 100, 30))
	if f == nil || f.reason != v1alpha1.FaultCallsFail {
		t.Fatalf("no alarm: %+v", m)
	}
	want := "60 of 200 calls failed (30.0 %) from 00:00:01Z to 00:00:03Z, more than errors.maxPercent allows"
	if !strings.HasPrefix(f.detail, want) || !strings.HasSuffix(f.detail, "counted by Envoy)") {
		t.Errorf("detail: %s\nwant:   %s", f.detail, want)
	}
	if m.Evidence != "" || m.Calls != 0 || m.Errors != 0 || m.CountedFrom != nil || m.CountedUntil == nil {
		t.Errorf("the test has not started over: %+v", m)
	}
}

func TestErrorsOfAnUnreadyBackendAreNoEvidence(t *testing.T) {
	down := v1alpha1.BackendMemory{Standing: v1alpha1.BackendDown, Cause: string(v1alpha1.FaultNoReadyEndpoint)}
	if m, f := memoryAfter(down, counted(0, 1000, 1000), counted(1, 1000, 1000)); f != nil || m.Evidence != "" {
		t.Errorf("while it is unready: %+v, %+v", m, f)
	}
	down.HealthySince = micro(midnight.Add(1500 * time.Millisecond))
	if m, f := memoryAfter(down, counted(0, 1000, 1000), counted(1, 1000, 1000)); f != nil || m.Evidence != "" {
		t.Errorf("partly from before it was ready: %+v, %+v", m, f)
	}
	if _, f := memoryAfter(down, counted(2, 1000, 1000), counted(3, 1000, 1000)); f == nil {
		t.Error("no alarm after it was ready")
	}
}

func TestEvidenceThatCannotBeReadIsNone(t *testing.T) {
	fresh, _ := memoryAfter(v1alpha1.BackendMemory{}, counted(0, 100, 10))
	after, _ := memoryAfter(v1alpha1.BackendMemory{Evidence: "of another version", Calls: 5}, counted(0, 100, 10))
	if after.Evidence != fresh.Evidence || after.Calls != fresh.Calls {
		t.Errorf("%+v, want %+v", after, fresh)
	}
}

func TestEvidenceIsForgottenWithItsBound(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.maxErrors("5")
	s.fail("primary", 0.1)
	s.look()
	s.run(time.Second)
	if s.status.Failover.State.Backends[0].Evidence == "" {
		t.Fatal("there is no evidence to forget")
	}
	s.spec.Failover.Errors = nil
	s.look()
	if got := s.status.Failover.State.Backends[0]; got != (v1alpha1.BackendMemory{Name: "primary", Standing: v1alpha1.BackendHealthy}) {
		t.Errorf("remembered: %+v", got)
	}
}

func TestCountsAloneAreNoChangeAndCanBeResumed(t *testing.T) {
	s := newScene(t, "primary", "backup")
	s.maxErrors("5")
	s.fail("primary", 0.06)
	s.look()
	written := s.status
	s.run(time.Second)
	if s.last.Changed {
		t.Error("calls that decide nothing have to be written")
	}
	kept := s.last.State

	resumed := *written.DeepCopy()
	Resume(&resumed, &kept)
	if got, want := resumed.Failover.State.Backends[0].Evidence, kept.Backends[0].Evidence; got != want || want == "" {
		t.Errorf("resumed %q, want %q", got, want)
	}
	if written.Failover.State.Backends[0].Evidence == kept.Backends[0].Evidence {
		t.Error("what was read has been changed")
	}

	s.ready("primary", 0, 2)
	movedOn := *s.status.DeepCopy()
	Resume(&movedOn, &kept)
	if got := movedOn.Failover.State.Backends[0].Evidence; got != "" {
		t.Errorf("a backend that has gone down since has got back %q", got)
	}

	Resume(&resumed, nil)
	Resume(&v1alpha1.ExposedServiceStatus{}, &kept)
}
