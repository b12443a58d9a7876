package controllers

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
)

// decide takes the decision which backend serves, and writes it into the status before anything
// follows it: a crash after that is harmless, because the next incarnation reads the decision.
func (r *exposureReconciler) decide(ctx context.Context, s *scope) error {
	if !r.followsAny(s.exs) {
		return nil
	}
	key := types.NamespacedName{Namespace: s.exs.Namespace, Name: s.exs.Name}
	now := r.clock.Now()
	counted := r.calls.Take(key)
	status := *s.exs.Status.DeepCopy()
	failover.Resume(&status, r.memory.of(key))

	status.Traffic = rollout.Gather(status.Traffic)
	seen := observe(s, counted, now)
	out := failover.Decide(&s.exs.Spec, status, seen, now)
	shipping, compared := r.decideRollout(ctx, s, status, &out, now)
	signals := r.calls.Condition(s.exs, out.Active)
	changed := out.Changed || decisionDiffers(s.exs, out, shipping, signals)
	if rest := r.news.rest(key, changed && len(out.Decisions) == 0 && len(counted) == 0 && !shipping.Changed, now); rest > 0 {
		s.runAgain(rest)
	} else if changed {
		if err := r.writeDecision(ctx, s.exs, out, shipping, signals, now); err != nil {
			// The calls were taken in by a decision that nobody will see.
			r.calls.GiveBack(key, counted)
			r.compared.GiveBack(key, compared)
			return err
		}
		r.reportDecisions(s, out)
	}
	out.Apply(&s.exs.Status)
	s.exs.Status.Rollout = shipping.Rollout.DeepCopy()
	s.rollout.intents = shipping.Intents
	r.memory.keep(key, out.State)
	if r.calls.Decided(s.exs, seen) {
		s.runAgain(time.Millisecond)
	}
	if !out.Next.IsZero() {
		s.runAgain(max(out.Next.Sub(now), time.Millisecond))
	}
	s.decided = len(out.Decisions) > 0
	return nil
}

// observe puts what was read into the decider's words. Endpoints come from the cache, which the API
// server keeps current: a count of them is not too old until there is a newer one.
func observe(s *scope, counted calls.Counts, now time.Time) failover.Observation {
	out := failover.Observation{Backends: map[string]failover.BackendObservation{}}
	for _, b := range gateway.Count(s.exs, s.facts) {
		var seen failover.BackendObservation
		counted.Observe(b.Name, &seen)
		if b.Ready == nil || b.Total == nil {
			seen.Endpoints.Counting = failover.Uncountable
		} else {
			seen.Endpoints = failover.Endpoints{Counting: failover.Counted, Ready: *b.Ready, Total: *b.Total, Time: now}
		}
		out.Backends[b.Name] = seen
	}
	return out
}

// reportDecisions logs, counts and records each decision.
func (r *exposureReconciler) reportDecisions(s *scope, out failover.Outcome) {
	for _, d := range out.Decisions {
		s.log.Info("decided", "reason", d.Reason, "from", d.From, "to", d.To, "why", d.Message)
		r.metrics.countDecision(d.Reason)
		kind := corev1.EventTypeNormal
		switch d.Reason {
		case v1alpha1.DecisionNetChanged:
			// Nobody has to know while a backend flaps that does not serve: the history has it.
			continue
		case v1alpha1.DecisionSwitchedToBackup, v1alpha1.DecisionNoBackendUp, v1alpha1.DecisionSwitchHeld,
			v1alpha1.DecisionRolloutFailed, v1alpha1.DecisionCanaryLost, v1alpha1.DecisionWorkloadDeleted:
			kind = corev1.EventTypeWarning
		}
		r.events.write(s.exs, occurrence{kind: kind, reason: string(d.Reason), action: actionDecide, note: d.Message})
	}
}

// newsDelay is how long news that nothing follows waits to be written: the endpoints of a backend go
// one after the other, and the write that says so of the first must not stand in the way of the
// decision that the last one leads to. Calls that were counted are never news only.
const newsDelay = 100 * time.Millisecond

// news remembers since when there is something to write that is no decision.
type news struct {
	sync.Mutex
	since map[types.NamespacedName]time.Time
}

// rest is how long the news of an ExposedService has to wait; 0: it is time, or there is none.
func (n *news) rest(key types.NamespacedName, is bool, now time.Time) time.Duration {
	n.Lock()
	defer n.Unlock()
	since, waits := n.since[key]
	if !is || waits && now.Sub(since) >= newsDelay {
		delete(n.since, key)
		return 0
	}
	if !waits || now.Before(since) {
		if n.since == nil {
			n.since = map[types.NamespacedName]time.Time{}
		}
		n.since[key], since = now, now
	}
	return newsDelay - now.Sub(since)
}

// memory keeps what the decider remembers and no decision hangs on: the evidence from calls. It
// grows with every look, and writing it each time would write all the time. A restart loses it,
// which delays a decision by as much as it took to gather it.
type memory struct {
	sync.Mutex
	states map[types.NamespacedName]v1alpha1.DeciderState
}

func (m *memory) of(key types.NamespacedName) *v1alpha1.DeciderState {
	m.Lock()
	defer m.Unlock()
	if state, ok := m.states[key]; ok {
		return &state
	}
	return nil
}

func (m *memory) keep(key types.NamespacedName, state v1alpha1.DeciderState) {
	m.Lock()
	defer m.Unlock()
	if m.states == nil {
		m.states = map[types.NamespacedName]v1alpha1.DeciderState{}
	}
	m.states[key] = state
}

func (m *memory) forget(key types.NamespacedName) {
	m.Lock()
	defer m.Unlock()
	delete(m.states, key)
}
