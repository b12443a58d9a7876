package index

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/gateway"
)

// Waiters remembers which ExposedServices wait for a name that somebody else's object has. Such
// an object leads to them neither by label nor by owner, and the wait must end when it goes. It is
// memory only: after a restart every ExposedService is looked at, which fills it again.
type Waiters struct {
	mu      sync.Mutex
	waiters map[gateway.Ref]map[types.NamespacedName]struct{}
	waiting map[types.NamespacedName][]gateway.Ref
}

// NewWaiters knows nobody who waits.
func NewWaiters() *Waiters {
	return &Waiters{
		waiters: map[gateway.Ref]map[types.NamespacedName]struct{}{},
		waiting: map[types.NamespacedName][]gateway.Ref{},
	}
}

// Set replaces what an ExposedService waits for.
func (t *Waiters) Set(exs types.NamespacedName, refs []gateway.Ref) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ref := range t.waiting[exs] {
		delete(t.waiters[ref], exs)
		if len(t.waiters[ref]) == 0 {
			delete(t.waiters, ref)
		}
	}
	delete(t.waiting, exs)
	if len(refs) == 0 {
		return
	}
	t.waiting[exs] = refs
	for _, ref := range refs {
		if t.waiters[ref] == nil {
			t.waiters[ref] = map[types.NamespacedName]struct{}{}
		}
		t.waiters[ref][exs] = struct{}{}
	}
}

// Forget ends the wait of an ExposedService.
func (t *Waiters) Forget(exs types.NamespacedName) { t.Set(exs, nil) }

// For returns who waits for a name.
func (t *Waiters) For(ref gateway.Ref) []types.NamespacedName {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]types.NamespacedName, 0, len(t.waiters[ref]))
	for exs := range t.waiters[ref] {
		out = append(out, exs)
	}
	return out
}
