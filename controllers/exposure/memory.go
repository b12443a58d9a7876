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

// times keep a time for each ExposedService that has one.
type times struct {
	mu sync.Mutex
	of map[types.NamespacedName]time.Time
}

// at is the time that an ExposedService has; zero: none.
func (t *times) at(key types.NamespacedName) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of[key]
}

// set gives an ExposedService a time; the zero time takes it away.
func (t *times) set(key types.NamespacedName, at time.Time) {
	t.change(key, func(time.Time) time.Time { return at })
}

// change gives an ExposedService another time than it has, and returns that.
func (t *times) change(key types.NamespacedName, next func(time.Time) time.Time) (before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before = t.of[key]
	switch at := next(before); {
	case at.IsZero():
		delete(t.of, key)
	case t.of == nil:
		t.of = map[types.NamespacedName]time.Time{key: at}
	default:
		t.of[key] = at
	}
	return before
}

// delays remember since when something waits for an ExposedService, and let it wait for so long at most.
type delays struct {
	most  time.Duration
	since times
}

// rest is how long it has to wait; 0: it is time, or there is nothing that waits.
func (d *delays) rest(key types.NamespacedName, waits bool, now time.Time) (rest time.Duration) {
	d.since.change(key, func(since time.Time) time.Time {
		if !waits || !since.IsZero() && now.Sub(since) >= d.most {
			return time.Time{}
		}
		if since.IsZero() || now.Before(since) {
			since = now
		}
		rest = d.most - now.Sub(since)
		return since
	})
	return rest
}

func (d *delays) forget(key types.NamespacedName) { d.since.set(key, time.Time{}) }

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

// Noted takes in that events came which a decision may follow. The first since an ExposedService was last looked at
// counts: the time from it to the route that follows it is measured.
func (r *Reconciler) Noted(names []types.NamespacedName) {
	now := r.Clock.Now()
	for _, name := range names {
		r.events.change(name, func(first time.Time) time.Time {
			if first.IsZero() || now.Sub(first) > oldEvent {
				return now
			}
			return first
		})
	}
}

// takeNoted returns when the first event came, and forgets it; zero: none did, or long ago.
func (r *Reconciler) takeNoted(name types.NamespacedName) time.Time {
	first := r.events.change(name, func(time.Time) time.Time { return time.Time{} })
	if r.Clock.Now().Sub(first) > oldEvent {
		return time.Time{}
	}
	return first
}
