package calls

import (
	"slices"
	"sync"
)

// Bounds on how many looks are under way at the same time: one that waits for an answer costs a little memory. Those of one server, and
// of one namespace, never take all places, and those of one namespace never all that a server has.
const (
	looksAtOnce        = 512
	looksInNamespace   = 128
	looksAtServer      = 16
	looksOfOneAtServer = 8
)

// turns gives looks their turn: to each namespace in turn, within it first come first served. Who waits for a server that is slow lets
// others of the namespace go first.
type turns struct {
	mu sync.Mutex
	// order are the namespaces in which somebody waits; the first is next.
	order   []string
	waiting map[string][]turn
	// running counts the looks that are under way: all, by namespace, by server, and by both.
	running     int
	inNamespace map[string]int
	atServer    map[string]int
	ofOne       map[turnKey]int
	idle        *sync.Cond
}

// turn is a look that waits for its turn.
type turn struct {
	namespace string
	// target is the server that is asked; empty: it is shared with nobody, or by those only who share all looks at it.
	target string
	run    func()
}

// turnKey is a namespace and a server that it asks.
type turnKey struct{ namespace, target string }

func newTurns() *turns {
	t := &turns{
		waiting: map[string][]turn{}, inNamespace: map[string]int{}, atServer: map[string]int{}, ofOne: map[turnKey]int{},
	}
	t.idle = sync.NewCond(&t.mu)
	return t
}

// take has a look run when it is its turn. It waits for nothing.
func (t *turns) take(next turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting[next.namespace]) == 0 {
		t.order = append(t.order, next.namespace)
	}
	t.waiting[next.namespace] = append(t.waiting[next.namespace], next)
	t.dispatch()
}

// wait waits until no look is under way and nobody waits for a turn.
func (t *turns) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.running > 0 {
		t.idle.Wait()
	}
}

// dispatch starts all looks that may. It goes round the namespaces until none of them has one.
func (t *turns) dispatch() {
	for passed := 0; passed < len(t.order) && t.running < looksAtOnce; {
		namespace := t.order[0]
		next, found := t.next(namespace)
		t.order = t.order[1:]
		if len(t.waiting[namespace]) > 0 {
			t.order = append(t.order, namespace)
		} else {
			delete(t.waiting, namespace)
		}
		if !found {
			passed++
			continue
		}
		passed = 0
		t.start(next)
	}
}

// next takes the first look of a namespace that may run.
func (t *turns) next(namespace string) (turn, bool) {
	if t.inNamespace[namespace] >= looksInNamespace {
		return turn{}, false
	}
	queue := t.waiting[namespace]
	for i, candidate := range queue {
		if t.isFull(candidate) {
			continue
		}
		if i == 0 {
			t.waiting[namespace] = queue[1:]
		} else {
			t.waiting[namespace] = slices.Delete(queue, i, i+1)
		}
		return candidate, true
	}
	return turn{}, false
}

// isFull: its server has no place for it.
func (t *turns) isFull(of turn) bool {
	return of.target != "" &&
		(t.atServer[of.target] >= looksAtServer || t.ofOne[turnKey{of.namespace, of.target}] >= looksOfOneAtServer)
}

func (t *turns) start(next turn) {
	t.running++
	t.inNamespace[next.namespace]++
	t.atServer[next.target]++
	t.ofOne[turnKey{next.namespace, next.target}]++
	go func() {
		next.run()
		t.end(next)
	}()
}

func (t *turns) end(of turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	release(t.inNamespace, of.namespace)
	release(t.atServer, of.target)
	release(t.ofOne, turnKey{of.namespace, of.target})
	t.dispatch()
	if t.running == 0 {
		t.idle.Broadcast()
	}
}

func release[K comparable](places map[K]int, of K) {
	if places[of]--; places[of] == 0 {
		delete(places, of)
	}
}
