package failover

import (
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Resume puts the counts of calls that were kept in memory, because no decision hung on them, back into a status that was
// read. A backend that is no longer as it was then has moved on without them, and gets none.
func Resume(status *v1alpha1.ExposedServiceStatus, kept *v1alpha1.DeciderState) {
	if kept == nil || status.Failover == nil || status.Failover.State == nil {
		return
	}
	failover := status.Failover.DeepCopy()
	state := failover.State
	for i := range state.Backends {
		for j := range kept.Backends {
			if resumes(state.Backends[i], kept.Backends[j]) {
				state.Backends[i] = *kept.Backends[j].DeepCopy()
			}
		}
	}
	status.Failover = failover
}

// resumes says whether what was kept is the same backend at a later time, with nothing but more calls.
func resumes(read, kept v1alpha1.BackendMemory) bool {
	if kept.CountedUntil == nil || read.CountedUntil != nil && kept.CountedUntil.Before(read.CountedUntil) {
		return false
	}
	return equality.Semantic.DeepEqual(withoutCounts(read), withoutCounts(kept))
}

// withoutCounts is what is remembered of a backend but what comes from its calls: the evidence, when it last was
// enough, and what it was then.
func withoutCounts(m v1alpha1.BackendMemory) v1alpha1.BackendMemory {
	forgetCalls(&m)
	m.CountedUntil, m.Failing = nil, nil
	if m.Cause == string(v1alpha1.FaultCallsFail) {
		m.HealthySince = nil
	}
	return m
}
