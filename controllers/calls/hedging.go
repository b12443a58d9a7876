package calls

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/hedging"
	"github.com/headgate/headgate/signals"
)

// HedgedSource is where the calls of an ExposedService are looked at to see how long they take; nil: nobody asks. Only where calls may run
// twice, and nobody has said after which time, does that decide anything.
func HedgedSource(exs *v1alpha1.ExposedService) *Source {
	if !hedging.ByLatency(exs.Spec.Traffic) {
		return nil
	}
	return &Source{Field: "spec.traffic.retry", Kind: standardSource(exs)}
}

// Latencies estimate how long the calls of ExposedServices take, beside the reconciler.
type Latencies struct {
	*Counter

	now func() time.Time
	mu  sync.Mutex
	// estimates are those of the ExposedServices that are looked at, and what was decided last.
	estimates map[types.NamespacedName]*latencies
}

type latencies struct {
	estimate hedging.Estimate
	decided  *v1alpha1.HedgingStatus
}

// NewLatencies makes the estimates of those ExposedServices that ask for them.
func NewLatencies(config Config) *Latencies {
	out := &Latencies{now: config.Clock.Now, estimates: map[types.NamespacedName]*latencies{}}
	config.Asked, config.work = HedgedSource, out.hear
	out.Counter = NewCounter(config)
	return out
}

// hear takes in a look, and says whether another delay is to be decided by it.
func (l *Latencies) hear(key types.NamespacedName, work signals.Work) (news bool) {
	if !work.Known {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.estimates[key]
	if of == nil {
		of = &latencies{}
		l.estimates[key] = of
	}
	of.estimate.Add(hedging.Look{Started: work.Started, InFlight: work.InFlight, Start: work.Start, End: work.End})
	return hedging.Decide(of.decided, &of.estimate, l.now()) != of.decided
}

// Decide is what is to be decided now about an ExposedService, whose status has what was decided before.
func (l *Latencies) Decide(key types.NamespacedName, before *v1alpha1.HedgingStatus) *v1alpha1.HedgingStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.estimates[key]
	if of == nil {
		return before
	}
	of.decided = hedging.Decide(before, &of.estimate, l.now())
	return of.decided
}

// Forget ends the looks at an ExposedService.
func (l *Latencies) Forget(key types.NamespacedName) {
	l.Counter.Forget(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.estimates, key)
}
