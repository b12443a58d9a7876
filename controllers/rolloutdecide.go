package controllers

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/rollout"
)

// podsPeriod is how often pods that are not ready yet are asked for their trouble: they are not watched.
const podsPeriod = 2 * time.Second

// decideRollout takes the decision about the rollout, after the one which backend serves. Both are one
// decision to everybody else: out gets the weights, the history and the decisions of both. It returns
// the calls that were taken in.
func (r *exposureReconciler) decideRollout(
	ctx context.Context, s *scope, status v1alpha1.ExposedServiceStatus, out *failover.Outcome, now time.Time,
) (rollout.Outcome, calls.Counts) {
	if !rollsOut(s.exs) {
		return rollout.Outcome{}, nil
	}
	key := client.ObjectKeyFromObject(s.exs)
	out.Apply(&status)
	taken := r.compared.Take(key)
	compared := r.compared.Compared(key, s.exs.Spec.Backends[0].Name, taken)
	shipping := rollout.Decide(&s.exs.Spec, status, r.observeRollout(ctx, s, compared), now)

	out.Traffic, out.History = *shipping.Traffic, shipping.History
	out.Decisions = append(out.Decisions, shipping.Decisions...)
	out.Changed = out.Changed || shipping.Changed
	if !shipping.Next.IsZero() {
		s.runAgain(max(shipping.Next.Sub(now), time.Millisecond))
	}
	if shipping.Intents.Canary.Replicas > 0 {
		s.runAgain(podsPeriod)
	}
	return shipping, taken
}
