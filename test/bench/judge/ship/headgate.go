package ship

import (
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/test/bench/judge/service"
)

// Headgate ships a version by spec.rollout.
func Headgate(spec v1alpha1.Rollout) Controller {
	spec.WorkloadRef = &v1alpha1.WorkloadReference{Name: "greeter"}
	return func(s service.Service, run uint64, most time.Duration) Result {
		w := newWorld(s, spec, run)
		for w.now.Sub(w.start) < most && !w.result.Promoted && !w.result.RolledBack {
			w.second()
			w.note()
		}
		return w.result
	}
}

// newWorld is one in which stable runs and the new version is asked for.
func newWorld(s service.Service, spec v1alpha1.Rollout, run uint64) *world {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := &world{
		run: s.Start(run), start: start, now: start, counted: start,
		spec: &v1alpha1.ExposedServiceSpec{Backends: []v1alpha1.Backend{{Name: "primary"}}, Rollout: &spec},
	}
	w.status.Active = "primary"
	w.status.Traffic = &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: "primary", Weight: 1_000_000}}}
	w.status.Rollout = &v1alpha1.RolloutStatus{Target: "Deployment/greeter", Phase: v1alpha1.RolloutIdle, Stable: "v1"}
	return w
}

// note takes down how far the rollout is.
func (w *world) note() {
	r, out := w.status.Rollout, &w.result
	out.Took, out.Calls, out.Failed = w.now.Sub(w.start), w.run.Calls, w.run.Failed
	if r.Suspicions > 0 && out.Suspected == 0 {
		out.Suspected, out.SuspectedCalls, out.SuspectedFailed = out.Took, out.Calls, out.Failed
	}
	out.Message = r.Message
	switch {
	case r.Failed != nil:
		out.RolledBack, out.Message = true, r.Failed.Message
	case r.Phase == v1alpha1.RolloutPromoting:
		out.Promoted = true
	}
}

// world is what the followers act on: pods are ready a second after they are made, and weights are served at once.
type world struct {
	run        *service.Run
	start, now time.Time
	spec       *v1alpha1.ExposedServiceSpec
	status     v1alpha1.ExposedServiceStatus
	pods       int32
	since      time.Time
	served     int32
	counted    time.Time
	intents    rollout.Intents
	result     Result
}

// The Deployment, with the defaults of Kubernetes for rolling updates: a quarter more, a quarter less.
const replicas, surge, unavailable = 10, 3, 2

// stablePods are those of the version before.
func (w *world) stablePods() int32 {
	if w.pods == 0 {
		return replicas
	}
	return replicas + surge - w.pods
}

func (w *world) second() {
	w.served = w.intents.Weight
	canary, stable, _, ok := w.run.Second(float64(w.served)/1e6, int(w.pods))
	w.now = w.now.Add(time.Second)
	if want := w.intents.Canary.Replicas; want != w.pods && w.intents.Canary.Present {
		if want > w.pods {
			w.since = w.now
		}
		w.pods = want
	}
	calls := rollout.Calls{}
	if ok {
		calls = rollout.Calls{Known: true, Source: "simulation", Start: w.counted, End: w.now, Canary: canary, Stable: stable}
		w.counted = w.now
	}
	for range 4 {
		out := rollout.Decide(w.spec, w.status, rollout.Observation{
			Workload: rollout.Workload{
				Known: true, Found: true, Settled: true, Held: true, Revision: "v2", Running: "v1", Others: replicas,
				Replicas: replicas, Surge: surge, Unavailable: unavailable, Ready: replicas, Available: replicas,
				Stable: rollout.ReplicaSet{Hash: "v1", Wants: w.stablePods(), Ready: w.stablePods(), Available: w.stablePods()}, Next: "v2",
			},
			Canary:    rollout.Canary{Known: true, Found: w.pods > 0, Revision: "v2", Wants: w.pods, Ready: w.pods, Available: w.pods, ReadySince: w.since},
			DataPlane: rollout.DataPlane{Known: true, Weight: w.served},
			Calls:     calls,
		}, w.now)
		out.Apply(&w.status)
		w.intents = out.Intents
		calls = rollout.Calls{}
		if len(out.Decisions) == 0 {
			return
		}
	}
}
