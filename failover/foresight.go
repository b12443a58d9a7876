package failover

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Foresight tells who counts calls at which count somebody has to decide. It takes each count in exactly as Decide would, from where
// the last decision left off. Who decides is asked at the very count that makes a difference, and is handed all counts since then.
type Foresight struct {
	spec      *v1alpha1.ExposedServiceSpec
	status    v1alpha1.ExposedServiceStatus
	endpoints map[string]Endpoints
}

// Foresee goes on from a decision: from the status that it led to, and the endpoints that it saw. Nobody may change them afterwards.
func Foresee(spec *v1alpha1.ExposedServiceSpec, status v1alpha1.ExposedServiceStatus, seen Observation) *Foresight {
	f := &Foresight{spec: spec, status: status, endpoints: map[string]Endpoints{}}
	for name, backend := range seen.Backends {
		f.endpoints[name] = backend.Endpoints
	}
	return f
}

// Hear takes in the calls of one look, by backend, and says whether Decide would come to anything new by them. If so it takes in
// nothing: somebody has to decide, and the next Foresight begins there.
func (f *Foresight) Hear(calls map[string]Calls, now time.Time) bool {
	if !f.matters(calls) {
		return false
	}
	seen := Observation{Backends: map[string]BackendObservation{}}
	for name, endpoints := range f.endpoints {
		seen.Backends[name] = BackendObservation{Endpoints: endpoints, Calls: calls[name]}
	}
	out := Decide(f.spec, f.status, seen, now)
	if out.Changed || recoveryDiffers(stateOf(&f.status), &out.State) {
		return true
	}
	f.status.Failover = &v1alpha1.FailoverStatus{State: &out.State}
	return false
}

// matters: no calls at all are no evidence. Only a trial waits for a count with nothing in it, and a backend from which calls are
// kept back.
func (f *Foresight) matters(calls map[string]Calls) bool {
	state := stateOf(&f.status)
	if state.Ramp != nil && state.Ramp.Trial {
		return true
	}
	if slices.ContainsFunc(state.Backends, func(m v1alpha1.BackendMemory) bool { return m.KeptBack != nil }) {
		return true
	}
	for _, c := range calls {
		if c.Calls > 0 {
			return true
		}
	}
	return false
}

// recoveryDiffers: calls that fail again put off when a backend is up again, which is not worth a write and changes when to look.
func recoveryDiffers(before, after *v1alpha1.DeciderState) bool {
	since := map[string]*metav1.MicroTime{}
	for i := range before.Backends {
		since[before.Backends[i].Name] = before.Backends[i].HealthySince
	}
	for i := range after.Backends {
		if !since[after.Backends[i].Name].Equal(after.Backends[i].HealthySince) {
			return true
		}
	}
	return false
}
