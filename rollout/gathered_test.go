package rollout

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// memory is what a process keeps between two writes of the status.
type memory struct {
	gathered Gathered
	writes   int
}

// take takes in what a look came to, and says whether it is to be written.
func (m *memory) take(out Outcome, now time.Time) bool {
	evidence := rolloutOf(v1alpha1.ExposedServiceStatus{Rollout: out.Rollout}).Evidence.DeepCopy()
	switch {
	case out.Changed:
		m.gathered, m.writes = Gathered{evidence, now}, m.writes+1
	case out.Pending:
		m.gathered.Evidence = evidence
	}
	return out.Changed
}

// newQuickScene counts calls each second.
func newQuickScene(t *testing.T, memory *memory) *scene {
	s := newScene(t)
	s.memory, s.scrape = memory, time.Second
	return s
}

// TestARolloutThatKeepsItsEvidenceDecidesTheSame: what is not written makes no difference, but for the moment of a look.
func TestARolloutThatKeepsItsEvidenceDecidesTheSame(t *testing.T) {
	const length = 20 * time.Minute
	for name, fails := range map[string]float64{"a good version": 0, "a bad version": 0.05} {
		play := func(memory *memory) *scene {
			s := newQuickScene(t, memory)
			s.fail("v2", fails)
			s.ship("v2")
			s.run(length)
			return s
		}
		m := &memory{}
		want, got := play(nil), play(m)
		if got.reasons() != want.reasons() || len(want.all) < 6 {
			t.Fatalf("%s: it decided %s, and when everything was written %s", name, got.reasons(), want.reasons())
		}
		for i := range want.all {
			if apart := got.all[i].Time.Sub(want.all[i].Time.Time).Abs(); apart > 2*time.Second {
				t.Errorf("%s: %s comes %s apart", name, want.all[i].Reason, apart)
			}
		}
		if most := len(got.all)*4 + int(length/writeEvery); m.writes > most {
			t.Errorf("%s: %d writes for %d decisions", name, m.writes, len(got.all))
		}
	}
}

// TestARestartLosesLittleAndCountsNothingTwice: of what was counted, what was not written is gone, and the rest is there once.
func TestARestartLosesLittleAndCountsNothingTwice(t *testing.T) {
	for seconds := range 2 * int(writeEvery/time.Second) {
		m := &memory{}
		s := newQuickScene(t, m)
		s.ship("v2")
		s.until(stepping, time.Minute)
		s.run(time.Duration(20+seconds) * time.Second)

		written, gathered := *s.status.Rollout.Evidence, *m.gathered.Evidence
		if lost := gathered.CountedUntil.Sub(written.CountedUntil.Time); lost < 0 || lost > writeEvery {
			t.Errorf("after %d s a restart loses %s", seconds, lost)
		}
		*m = memory{}
		s.counted = s.now // The new process counts from now on.
		s.run(time.Second)
		if !s.last.Changed {
			t.Errorf("after %d s the first count after a restart is not written", seconds)
		}
		before, after := written.Canary.Calls+written.Stable.Calls, s.status.Rollout.Evidence
		if calls := after.Canary.Calls + after.Stable.Calls; calls != before+int64(s.rate) {
			t.Errorf("after %d s %d calls are on record, then %d", seconds, before, calls)
		}
	}
}

// The last counts are written, also if none come after them.
func TestTheLastCountsAreWritten(t *testing.T) {
	m := &memory{}
	s := newQuickScene(t, m)
	s.ship("v2")
	s.until(stepping, time.Minute)
	for !s.last.Pending {
		s.run(time.Second)
	}
	s.scrape = time.Hour
	began := s.now
	for s.last.Pending { // It looks when it is asked to.
		s.pass(s.last.Next)
		s.look()
	}
	if got, want := s.status.Rollout.Evidence.CountedUntil, m.gathered.Evidence.CountedUntil; !got.Equal(want) || s.now.Sub(began) > writeEvery {
		t.Errorf("until %s is written after %s, until %s was counted", got, s.now.Sub(began), want)
	}
}

// An operator that takes over and has not read the canary's pods yet has nothing to say of them: it would be written, and taken back a
// moment later.
func TestWhoTakesOverWritesNothingOfWhatItHasNotRead(t *testing.T) {
	s := newScene(t)
	s.spec.Rollout.Steps = steps("10", "50")
	s.replicas, s.pods["v1"], s.pace = 10, 10, 5*time.Second
	s.ship("v2")
	phases := map[v1alpha1.RolloutPhase]int{}
	for range 900 {
		s.run(time.Second)
		seen := s.observe(s.status)
		seen.Canary = Canary{Why: "it has not been read yet", Unread: true}
		seen.Calls = Calls{}
		before := s.status.Rollout
		out := Decide(&s.spec, s.status, seen, s.now)
		if len(out.Decisions) > 0 {
			continue
		}
		phases[before.Phase]++
		if out.Rollout.Message != before.Message || out.Rollout.Progress != before.Progress {
			t.Fatalf("in phase %s it says %q (%s) instead of %q (%s)", before.Phase, out.Rollout.Message, out.Rollout.Progress, before.Message, before.Progress)
		}
	}
	for _, phase := range []v1alpha1.RolloutPhase{preparing, stepping, promoting, idle} {
		if phases[phase] == 0 {
			t.Errorf("it was never in phase %s: %v", phase, phases)
		}
	}
}

func TestWhatWaitsToBeWritten(t *testing.T) {
	old, fresh := &v1alpha1.RolloutEvidence{State: "old"}, &v1alpha1.RolloutEvidence{State: "new"}
	written := v1alpha1.RolloutStatus{Phase: promoting, Message: "greeter rolls out v2: 3 of 10 pods available", Progress: "1/2 10 %, 63 % proved", Evidence: old}
	for name, test := range map[string]struct {
		change func(l *look)
		pends  bool
	}{
		"new evidence":                {func(*look) {}, true},
		"and other numbers":           {func(l *look) { l.status.Message = "greeter rolls out v2: 4 of 10 pods available" }, true},
		"and other words":             {func(l *look) { l.status.Message = "greeter rolls out v2: no pod available" }, false},
		"and more is proved":          {func(l *look) { l.status.Progress = "1/2 10 %, 64 % proved" }, true},
		"and it is passed":            {func(l *look) { l.status.Progress = "1/2 10 %, passed" }, false},
		"and another weight":          {func(l *look) { l.status.Weight = 1 }, false},
		"and the weight is live":      {func(l *look) { l.status.LiveSince = micro(l.now) }, false},
		"and other pods":              {func(l *look) { l.status.Replicas = 1 }, false},
		"no new evidence":             {func(l *look) { l.status.Evidence = old }, false},
		"no evidence any more":        {func(l *look) { l.status.Evidence = nil }, false},
		"nothing is known of before":  {func(l *look) { l.seen.Gathered = Gathered{} }, false},
		"a moment before it is time":  {func(l *look) { l.now = l.now.Add(writeEvery - time.Microsecond) }, true},
		"it is time":                  {func(l *look) { l.now = l.now.Add(writeEvery) }, false},
		"the clock has been put back": {func(l *look) { l.now = l.now.Add(-time.Microsecond) }, false},
		"in the same microsecond":     {func(l *look) { l.seen.Gathered.Written = l.now.Add(500) }, true},
	} {
		l := &look{now: midnight, status: written, seen: Observation{Gathered: Gathered{fresh, midnight}}}
		l.status.Evidence = fresh
		test.change(l)
		if got := l.pends(ptr.To(written)); got != test.pends {
			t.Errorf("%s: waits: %t", name, got)
		}
	}
}
