package main

import (
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/test/bench/judge/service"
)

// The Deployment, with the defaults of Kubernetes for rolling updates: a quarter more, a quarter less. Its pods take so long to start.
const (
	replicas, surge, unavailable = 10, 3, 2
	starts                       = 5 * time.Second
)

// The service has so many calls a second, and of those to either version so many fail.
const (
	callsPerSecond = 100
	failing        = 0.01
)

// run is one of the usual ones: half of the first twenty-four take as long, none is much shorter.
const run = 12

// rest is how long nothing happens before the new pod template comes, and after the end.
const rest = 15 * time.Second

const oldVersion, newVersion = "v1", "v2"

// pods are those of one version.
type pods struct{ ready, starting int }

// moment is what there is in one second.
type moment struct {
	// at is the time since the new pod template came.
	at time.Duration
	// old and young are the pods of the old and of the new version.
	old, young pods
	// weight is the share of the calls that the new version has, 0 to 1.
	weight float64
	// evidence is how much there is of that for the next share, 0 to 1; below zero: nothing is asked for.
	evidence float64
	held     bool
	phase    v1alpha1.RolloutPhase
	step     int
}

var errUnfinished = errors.New("the new version is not promoted within an hour")

// play ships a version as good as the old one by rollout.Decide, as the product calls it, and returns each second of it.
func play() ([]moment, error) {
	w := newWorld()
	var out []moment
	var changed, ended time.Time
	for begun := w.now; w.now.Sub(begun) < time.Hour; {
		w.second()
		if changed.IsZero() && w.stable() == oldVersion {
			changed = w.now.Add(rest)
		}
		if w.now.Equal(changed) {
			// The admission policy holds it in the same write.
			w.template, w.held = newVersion, true
		}
		if !changed.IsZero() {
			out = append(out, w.moment(changed))
		}
		if ended.IsZero() && w.stable() == newVersion {
			ended = w.now
		}
		if !ended.IsZero() && w.now.Sub(ended) >= rest {
			return out, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", errUnfinished, w.status.Rollout.Message)
}

// world is what the followers act on: the Deployment with its ReplicaSets, and a data plane that serves a weight a second after it was
// decided.
type world struct {
	now      time.Time
	calls    *service.Run
	spec     *v1alpha1.ExposedServiceSpec
	status   v1alpha1.ExposedServiceStatus
	intents  rollout.Intents
	template string
	held     bool
	// old and young are when the pods of both versions began to start.
	old, young []time.Time
	served     int32
}

func newWorld() *world {
	w := &world{
		now:      time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		calls:    service.Service{Pods: replicas, Calls: service.Steady(callsPerSecond), Errors: service.Steady(failing)}.Start(run),
		template: oldVersion,
		spec: &v1alpha1.ExposedServiceSpec{Backends: []v1alpha1.Backend{{Name: "primary"}}, Rollout: &v1alpha1.Rollout{
			WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"},
			Steps:       []v1alpha1.RolloutStep{{Weight: intstr.FromInt32(10)}, {Weight: intstr.FromInt32(50)}},
		}},
	}
	w.status.Active = "primary"
	w.status.Traffic = &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: "primary", Weight: 1_000_000}}}
	w.old = resize(nil, replicas, w.now.Add(-time.Hour))
	return w
}

// stable is the version that is.
func (w *world) stable() string { return ptr.Deref(w.status.Rollout, v1alpha1.RolloutStatus{}).Stable }

func (w *world) second() {
	canary, stable, _, _ := w.calls.Second(float64(w.served)/1e6, len(w.young))
	before := w.now
	w.now = w.now.Add(time.Second)
	w.control()
	w.served = w.intents.Weight
	counted := rollout.Calls{Known: true, Source: "simulation", Start: before, End: w.now, Canary: canary, Stable: stable}
	for range 4 {
		out := w.look(counted)
		counted = rollout.Calls{}
		if len(out.Decisions) == 0 {
			return
		}
	}
}

// look lets Headgate look once, and do to the Deployment what it decides.
func (w *world) look(counted rollout.Calls) rollout.Outcome {
	out := rollout.Decide(w.spec, w.status, w.observe(counted), w.now)
	out.Apply(&w.status)
	w.intents = out.Intents
	switch w.intents.Workload {
	case rollout.WorkloadHeld:
		w.held = true
	case rollout.WorkloadAtRest, rollout.WorkloadReleased:
		w.held = false
	}
	if w.intents.Canary.Present && w.held {
		w.young = resize(w.young, int(w.intents.Canary.Replicas), w.now)
	}
	w.control() // It hears of each change within milliseconds.
	return out
}

// control does what the Deployment's controller does: held, it takes the surplus from the old ReplicaSet; released, it makes a rolling
// update of the rest.
func (w *world) control() {
	if w.template == oldVersion || w.held && len(w.young) == 0 {
		return
	}
	if w.held {
		w.old = resize(w.old, replicas+surge-len(w.young), w.now)
		return
	}
	w.old = resize(w.old, max(0, replicas-unavailable-w.ready(w.young)), w.now)
	w.young = resize(w.young, min(replicas, replicas+surge-len(w.old)), w.now)
}

// resize gives a version so many pods. The newest are the first to go.
func resize(pods []time.Time, want int, now time.Time) []time.Time {
	for len(pods) < want {
		pods = append(pods, now)
	}
	return pods[:want]
}

// ready is how many of the pods are.
func (w *world) ready(pods []time.Time) int {
	n := 0
	for _, began := range pods {
		if w.now.Sub(began) >= starts {
			n++
		}
	}
	return n
}

func (w *world) observe(counted rollout.Calls) rollout.Observation {
	sets := map[string]rollout.ReplicaSet{}
	for version, pods := range map[string][]time.Time{oldVersion: w.old, newVersion: w.young} {
		ready := int32(w.ready(pods)) //nolint:gosec // a few pods
		sets[version] = rollout.ReplicaSet{Hash: version, Wants: int32(len(pods)), Ready: ready, Available: ready}
	}
	ready := sets[oldVersion].Ready + sets[newVersion].Ready
	seen := rollout.Workload{
		Known: true, Found: true, Settled: true, Held: w.held, Guarded: true, Revision: w.template, Next: w.template,
		Replicas: replicas, Surge: surge, Unavailable: unavailable, Ready: ready, Available: ready,
		Begun: sets[w.template].Wants, Others: sets[oldVersion].Wants + sets[newVersion].Wants - sets[w.template].Wants, Stable: sets[w.stable()],
	}
	switch {
	case len(w.young) == 0:
		seen.Running = oldVersion
	case len(w.old) == 0:
		seen.Running = newVersion
	}
	canary := rollout.Canary{Known: true}
	if young := sets[newVersion]; young.Wants > 0 && w.stable() != newVersion {
		canary = rollout.Canary{Known: true, Found: true, Revision: newVersion, Wants: young.Wants, Ready: young.Ready, Available: young.Available, Endpoints: young.Wants}
		for _, began := range w.young {
			if at := began.Add(starts); !at.After(w.now) {
				canary.ReadySince = at
			}
		}
	}
	return rollout.Observation{Workload: seen, Canary: canary, DataPlane: rollout.DataPlane{Known: true, Weight: w.served}, Calls: counted}
}

// moment is what there is now.
func (w *world) moment(changed time.Time) moment {
	r := w.status.Rollout
	old, young := w.ready(w.old), w.ready(w.young)
	out := moment{
		at: w.now.Sub(changed), old: pods{old, len(w.old) - old}, young: pods{young, len(w.young) - young},
		weight: float64(w.served) / 1e6, evidence: -1, held: w.held, phase: r.Phase, step: int(r.Step),
	}
	if w.stable() == newVersion {
		out.weight = 1 // It is the only version that there is.
	}
	if e := r.Evidence; e != nil && (r.Phase == v1alpha1.RolloutStepping || r.Phase == v1alpha1.RolloutPreparing && r.Step > 0) {
		out.evidence = float64(e.Percent) / 100
	}
	return out
}
