package exposure

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
)

// reportDelay is how long a report that nothing follows waits to be written: the endpoints of a backend go
// one after the other, and the write that says so of the first must not stand in the way of the
// decision that the last one leads to. Calls that were counted never wait.
const reportDelay = 100 * time.Millisecond

// awaitLimit is how long a new ExposedService waits for what is looked up for the first time, such as the probes of
// its pods, before it is exposed without.
const awaitLimit = 10 * time.Second

// delays remember since when something waits for an ExposedService, and let it wait for so long at most.
type delays struct {
	most  time.Duration
	mu    sync.Mutex
	since map[types.NamespacedName]time.Time
}

// rest is how long it has to wait; 0: it is time, or there is nothing that waits.
func (h *delays) rest(key types.NamespacedName, is bool, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	since, waits := h.since[key]
	if !is || waits && now.Sub(since) >= h.most {
		delete(h.since, key)
		return 0
	}
	if !waits || now.Before(since) {
		if h.since == nil {
			h.since = map[types.NamespacedName]time.Time{}
		}
		h.since[key], since = now, now
	}
	return h.most - now.Sub(since)
}

func (h *delays) forget(key types.NamespacedName) { h.rest(key, false, time.Time{}) }

// deciderStates keep what the decider remembers and no decision hangs on: the evidence from calls. It
// grows with every look, and writing it each time would write all the time. A restart loses it,
// which delays a decision by as much as it took to gather it.
type deciderStates struct {
	mu     sync.Mutex
	states map[types.NamespacedName]v1alpha1.DeciderState
}

func (d *deciderStates) of(key types.NamespacedName) *v1alpha1.DeciderState {
	d.mu.Lock()
	defer d.mu.Unlock()
	if state, ok := d.states[key]; ok {
		return &state
	}
	return nil
}

func (d *deciderStates) keep(key types.NamespacedName, state v1alpha1.DeciderState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.states == nil {
		d.states = map[types.NamespacedName]v1alpha1.DeciderState{}
	}
	d.states[key] = state
}

func (d *deciderStates) forget(key types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.states, key)
}

// oldEvent is the age at which an event has led to what it can lead to. On a replica that waits for its
// leadership, events are noted that nobody acts on.
const oldEvent = time.Minute

// eventTimes note when the first event came since an ExposedService was last looked at, so that the
// time from an event to the route that follows it can be measured.
type eventTimes struct {
	mu    sync.Mutex
	times map[types.NamespacedName]time.Time
}

func (e *eventTimes) note(names []types.NamespacedName, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.times == nil {
		e.times = map[types.NamespacedName]time.Time{}
	}
	for _, name := range names {
		if first, noted := e.times[name]; !noted || now.Sub(first) > oldEvent {
			e.times[name] = now
		}
	}
}

// take returns when the first event came, and forgets it; zero: none did, or long ago.
func (e *eventTimes) take(name types.NamespacedName, now time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := e.times[name]
	delete(e.times, name)
	if now.Sub(first) > oldEvent {
		return time.Time{}
	}
	return first
}

func (e *eventTimes) forget(name types.NamespacedName) { e.take(name, time.Time{}) }

// Noted takes in that events came which a decision may follow.
func (r *Reconciler) Noted(names []types.NamespacedName) { r.events.note(names, r.Clock.Now()) }
