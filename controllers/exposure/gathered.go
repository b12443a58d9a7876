package exposure

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
)

// gatherings keep the evidence of rollouts between two writes of the status.
type gatherings struct {
	mu sync.Mutex
	of map[types.NamespacedName]gathering
}

// gathering is what has been gathered on top of what was written, at a time.
type gathering struct {
	written, gathered *v1alpha1.RolloutEvidence
	at                time.Time
}

// on is what was gathered on top of the status that was read. Who reads another than was written last gets nothing: it is out of date, or
// somebody else has written it, and a write will tell.
func (g *gatherings) on(key types.NamespacedName, read *v1alpha1.RolloutStatus) rollout.Gathered {
	g.mu.Lock()
	defer g.mu.Unlock()
	have, known := g.of[key]
	if !known || read == nil || !equality.Semantic.DeepEqual(have.written, read.Evidence) {
		return rollout.Gathered{}
	}
	return rollout.Gathered{Evidence: have.gathered, Written: have.at}
}

// wrote notes that a status was written with all that was gathered.
func (g *gatherings) wrote(key types.NamespacedName, status *v1alpha1.RolloutStatus, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if status == nil || status.Evidence == nil {
		delete(g.of, key)
		return
	}
	if g.of == nil {
		g.of = map[types.NamespacedName]gathering{}
	}
	evidence := status.Evidence.DeepCopy()
	g.of[key] = gathering{written: evidence, gathered: evidence, at: at}
}

// gather keeps what a look has added that was not written.
func (g *gatherings) gather(key types.NamespacedName, status *v1alpha1.RolloutStatus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	have := g.of[key]
	have.gathered = status.Evidence.DeepCopy()
	g.of[key] = have
}

func (g *gatherings) forget(key types.NamespacedName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.of, key)
}
