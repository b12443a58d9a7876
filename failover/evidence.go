package failover

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// takeCalls feeds the calls to the test on the error rate, and says what the test says when it says enough. It then starts
// over: the fault is remembered by the time that the backend takes to recover from it, and the test asks again.
func takeCalls(b *backend, calls Calls, test *judge.Absolute, now time.Time) *fault {
	m := &b.memory
	if test == nil {
		forgetCalls(m)
		m.CountedUntil, m.Failing = nil, nil
		return nil
	}
	if !calls.tell(now) || taken(m, calls) {
		return nil
	}
	m.CountedUntil = micro(earlier(calls.End, now))
	if b.dead() || explained(m, calls) {
		forgetCalls(m)
		return nil
	}

	state, err := judge.ParseAbsoluteState(m.Evidence)
	if err != nil {
		// Another version's evidence is none: the test starts over.
		forgetCalls(m)
	}
	state = test.Update(state, calls.Calls, calls.Errors, calls.End.Sub(calls.Start))
	if m.CountedFrom == nil {
		m.CountedFrom = micro(earlier(calls.Start, now))
	}
	m.Evidence = state.String()
	m.Calls += int64(calls.Calls)   //nolint:gosec // nobody makes 2^63 calls
	m.Errors += int64(calls.Errors) //nolint:gosec // see above
	evidence, threshold := test.Evidence(state)

	switch {
	case test.Exceeded(state):
		f := &fault{
			reason: v1alpha1.FaultCallsFail,
			detail: fmt.Sprintf("%d of %d calls failed (%s) from %s to %s, more than errors.maxPercent allows (evidence %.1f of %.1f, %s)",
				m.Errors, m.Calls, percent(m.Errors, m.Calls), clock(m.CountedFrom.Time), clock(calls.End),
				evidence, threshold, source(calls)),
		}
		if !b.challenged { // In its trial it gets fewer calls than those that are to be compared with.
			m.Failing = evidenceOf(m)
		}
		forgetCalls(m)
		return f
	case evidence <= 0:
		// The counts are those of the present evidence. While there is none they would only grow.
		m.Calls, m.Errors, m.CountedFrom = 0, 0, nil
		if !b.challenged {
			m.Failing = nil
		}
	}
	return nil
}

// evidenceOf are the calls of the present evidence.
func evidenceOf(m *v1alpha1.BackendMemory) *v1alpha1.CountedCalls {
	return &v1alpha1.CountedCalls{
		Calls: m.Calls, Errors: m.Errors,
		Duration: metav1.Duration{Duration: m.CountedUntil.Sub(m.CountedFrom.Time)}, Until: *m.CountedUntil,
	}
}

// taken says whether some of the calls were taken in before.
func taken(m *v1alpha1.BackendMemory, calls Calls) bool {
	return m.CountedUntil != nil && calls.Start.Truncate(time.Microsecond).Before(m.CountedUntil.Time)
}

// explained says whether some of the calls were made while the backend was known to be unready, which is why they failed.
func explained(m *v1alpha1.BackendMemory, calls Calls) bool {
	if m.Standing != v1alpha1.BackendDown || m.Cause == string(v1alpha1.FaultCallsFail) {
		return false
	}
	return m.HealthySince == nil || calls.Start.Before(m.HealthySince.Time)
}

// forgetCalls starts the test over.
func forgetCalls(m *v1alpha1.BackendMemory) {
	m.Evidence, m.Calls, m.Errors, m.CountedFrom = "", 0, 0, nil
}

func source(calls Calls) string {
	if calls.Source == "" {
		return "of an unnamed source"
	}
	return "counted by " + calls.Source
}

func percent(part, whole int64) string {
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}
