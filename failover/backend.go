package failover

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// backend is one backend of the spec in one look.
type backend struct {
	name string
	// memory is what is remembered of it: before the look at first, after it in the end.
	memory v1alpha1.BackendMemory
	// before is its status before the look.
	before v1alpha1.BackendStatus
	// challenged: another backend is tried in its place.
	challenged bool

	// seen: this look tells about its endpoints; otherwise unknown says why not.
	seen    bool
	unknown string
	// countable, ready and total are what is known of its endpoints, from this look or the last that told.
	countable    bool
	ready, total int32
	// why is why it has no endpoints, or what is wrong although they cannot be counted, as far as this look tells.
	why string
	// fault is what this look found wrong with it.
	fault *fault
	// staleAt is when what was seen will be too old; zero: never.
	staleAt time.Time
}

func (b *backend) up() bool   { return b.memory.Standing == v1alpha1.BackendHealthy }
func (b *backend) down() bool { return b.memory.Standing == v1alpha1.BackendDown }

// unmet: nothing has ever been known of it.
func (b *backend) unmet() bool { return !b.up() && !b.down() }

// dead: it is known to have no ready endpoint.
func (b *backend) dead() bool { return b.countable && b.ready == 0 }

// alive: it is known to have one. A backend whose endpoints cannot be counted is never known to have none.
func (b *backend) alive() bool { return !b.unmet() && !b.dead() }

// endpoints is how many ready endpoints it has, for comparison: one that cannot be counted has at least one.
func (b *backend) endpoints() int32 {
	if b.alive() && !b.countable {
		return 1
	}
	return b.ready
}

// recallBackend is a backend as it was left by the last look. Times ahead of now are from a clock that has been put back
// since, and count as now.
func recallBackend(name string, previous *v1alpha1.ExposedServiceStatus, state *v1alpha1.DeciderState, now time.Time) backend {
	b := backend{
		name:   name,
		memory: v1alpha1.BackendMemory{Name: name, Standing: v1alpha1.BackendUnknown},
		before: v1alpha1.BackendStatus{Name: name},
	}
	for _, status := range previous.Backends {
		if status.Name == name {
			b.before = status
		}
	}
	for i := range state.Backends {
		if state.Backends[i].Name == name {
			b.memory = *state.Backends[i].DeepCopy()
		}
	}
	for _, t := range []**metav1.MicroTime{
		&b.memory.HealthySince, &b.memory.UnknownSince, &b.memory.CountedFrom, &b.memory.CountedUntil,
	} {
		if *t != nil {
			*t = micro(earlier((*t).Time, now))
		}
	}
	if kept := b.memory.KeptBack; kept != nil {
		kept.Since = *micro(earlier(kept.Since.Time, now))
	}
	if failing := b.memory.Failing; failing != nil {
		failing.Until = *micro(earlier(failing.Until.Time, now))
	}
	if !b.unmet() && b.before.Ready != nil {
		b.countable, b.ready = true, *b.before.Ready
		if b.before.Total != nil {
			b.total = *b.before.Total
		}
	}
	return b
}
