package shop

import (
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Runs counts runs of an operator's reconciler.
type Runs struct {
	mu sync.Mutex
	// counts are those that have begun, and goingOn those that have not ended.
	counts, goingOn map[types.NamespacedName]int
}

// Begin is called when a run begins, and what it returns when that run ends.
func (r *Runs) Begin(name types.NamespacedName) (ended func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts, r.goingOn = map[types.NamespacedName]int{}, map[types.NamespacedName]int{}
	}
	r.counts[name]++
	r.goingOn[name]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.goingOn[name]--
	}
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
	return sum(r.counts)
}

// GoingOn are those that have not ended.
func (r *Runs) GoingOn() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return sum(r.goingOn)
}

// GoingOnIn are those for a namespace that have not ended.
func (r *Runs) GoingOnIn(namespace string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for name, goingOn := range r.goingOn {
		if name.Namespace == namespace {
			n += goingOn
		}
	}
	return n
}

func sum(counts map[types.NamespacedName]int) int {
	n := 0
	for _, count := range counts {
		n += count
	}
	return n
}
