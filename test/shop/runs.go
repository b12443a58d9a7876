package shop

import (
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Runs counts runs of an operator's reconciler.
type Runs struct {
	mu     sync.Mutex
	counts map[types.NamespacedName]int
}

// Count is called after each run.
func (r *Runs) Count(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[types.NamespacedName]int{}
	}
	r.counts[name]++
}

// Of are those for one ExposedService.
func (r *Runs) Of(name types.NamespacedName) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[name]
}

// In are those for a namespace.
func (r *Runs) In(namespace string) map[types.NamespacedName]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := maps.Clone(r.counts)
	maps.DeleteFunc(out, func(name types.NamespacedName, _ int) bool { return name.Namespace != namespace })
	return out
}

// Sum are all that there were.
func (r *Runs) Sum() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := 0
	for _, n := range r.counts {
		sum += n
	}
	return sum
}
