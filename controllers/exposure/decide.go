package exposure

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/checks"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/controllers/report"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/hedging"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/signals"
)

// decide takes the decision which backend serves, and writes it into the status before anything
// follows it: a crash after that is harmless, because the next incarnation reads the decision.
func (r *run) decide(ctx context.Context) error {
	// Two ask the same.
	backends := sync.OnceValue(func() signals.Query { return r.Queries.Backends(ctx, r.exs, r.found.Facts) })
	r.Calls.Watch(r.exs, backends)
	r.Compared.Watch(r.exs, func() signals.Query {
		return r.Queries.Sides(ctx, r.exs, r.found.Facts, refs.Workload(r.exs).Name)
	})
	if !r.followsAny() {
		return nil
	}
	key, now := client.ObjectKeyFromObject(r.exs), r.Clock.Now()
	counted := r.Calls.Take(key)
	status := *r.exs.Status.DeepCopy()
	status.Backends = report.WithoutHosts(status.Backends)
	failover.Resume(&status, r.states.of(key))

	status.Traffic = rollout.Gather(status.Traffic)
	seen := r.observe(counted, now)
	out := failover.Decide(&r.exs.Spec, status, seen, now)
	shipping, compared := r.decideRollout(status, &out, now)
	out.Backends = report.WithHosts(r.exs, r.found.Facts, out.Backends)
	hedged := r.decideHedging(ctx, backends)
	decision := report.Decision{
		Outcome: out, Rollout: shipping, Hedging: hedged, CheckInterval: r.decideChecks(ctx), Signals: r.Calls.Condition(r.exs, out.Active),
	}
	changed := decision.Differs(r.exs)
	isReport := len(out.Decisions) == 0 && len(counted) == 0 && !shipping.Changed && hedged == r.exs.Status.Hedging
	if rest := r.reports.rest(key, changed && isReport, now); rest > 0 {
		r.exposing.RunAgain(rest)
	} else if changed {
		if err := r.Report.WriteDecision(ctx, r.exs, decision); err != nil {
			// The calls were taken in by a decision that nobody will see.
			r.Calls.GiveBack(key, counted)
			r.Compared.GiveBack(key, compared)
			return err
		}
		r.gathered.wrote(key, shipping.Rollout, now)
		r.exposing.Fail(r.Report.CorrectDecision(ctx, r.exs, decision))
		r.reportDecisions(ctx, out)
	}
	if shipping.Pending {
		r.gathered.gather(key, shipping.Rollout)
	}
	out.Apply(&r.exs.Status)
	r.exs.Status.Rollout, r.exs.Status.Hedging, r.exs.Status.CheckInterval = shipping.Rollout.DeepCopy(), hedged, decision.CheckInterval
	r.intents = shipping.Intents
	r.states.keep(key, out.State)
	if r.Calls.Decided(r.exs, seen) {
		r.exposing.RunAgain(time.Millisecond)
	}
	if !out.Next.IsZero() {
		r.exposing.RunAgain(max(out.Next.Sub(now), time.Millisecond))
	}
	r.decided = len(out.Decisions) > 0
	return nil
}

// decideHedging says after which time an attempt that is silent gets a second one beside it, by how long calls take.
func (r *run) decideHedging(ctx context.Context, backends func() signals.Query) *v1alpha1.HedgingStatus {
	key := client.ObjectKeyFromObject(r.exs)
	if calls.HedgedSource(r.exs) == nil || r.followsGateway() && r.exs.Spec.XDS == nil && !r.resolved.HedgesByLatency() {
		r.Latencies.Forget(key)
		return nil
	}
	r.Latencies.Watch(r.exs, backends)
	before := r.exs.Status.Hedging
	after := r.Latencies.Decide(key, before)
	if hedging.Delay(after) != hedging.Delay(before) {
		logf.FromContext(ctx).Info("decided", "hedgingDelay", hedging.Delay(after), "latency", after.Latency.Duration)
	}
	return after
}

// decideChecks says how often proxies check an endpoint; nil: as often as by default. Clients of Headgate's own xDS are counted as proxies,
// as most that check are.
func (r *run) decideChecks(ctx context.Context) *metav1.Duration {
	proxies := 0
	if r.followsGateway() {
		proxies = len(r.Queries.Proxies(ctx, r.exs, r.found.Facts))
	}
	if r.exs.Status.XDS != nil {
		proxies += int(r.exs.Status.XDS.Clients)
	}
	before := time.Duration(0)
	if decided := r.exs.Status.CheckInterval; decided != nil {
		before = decided.Duration
	}
	interval := checks.Interval(before, proxies)
	if interval == checks.Interval(0, 0) {
		return nil
	}
	return &metav1.Duration{Duration: interval}
}

// observe puts what was read into the decider's words. Endpoints come from the cache, which the API
// server keeps current: a count of them is not too old until there is a newer one.
func (r *run) observe(counted calls.Counts, now time.Time) failover.Observation {
	out := failover.Observation{Backends: map[string]failover.BackendObservation{}}
	for _, b := range r.resolved.Count() {
		var seen failover.BackendObservation
		counted.Observe(b.Name, &seen)
		switch {
		case b.Health == v1alpha1.BackendUnknown:
			seen.Endpoints.Why = b.Message
		case b.Ready == nil || b.Total == nil:
			seen.Endpoints = failover.Endpoints{Counting: failover.Uncountable, Why: b.Message}
		default:
			seen.Endpoints = failover.Endpoints{Counting: failover.Counted, Ready: *b.Ready, Total: *b.Total, Time: now, Why: b.Message}
		}
		out.Backends[b.Name] = seen
	}
	return out
}

// decideRollout takes the decision about the rollout, after the one which backend serves. Both are one
// decision to everybody else: out gets the weights, the history and the decisions of both. It returns
// the calls that were taken in.
func (r *run) decideRollout(
	status v1alpha1.ExposedServiceStatus, out *failover.Outcome, now time.Time,
) (rollout.Outcome, calls.Counts) {
	if !refs.RollsOut(r.exs) {
		return rollout.Outcome{}, nil
	}
	key := client.ObjectKeyFromObject(r.exs)
	out.Apply(&status)
	taken := r.Compared.Take(key)
	compared := r.Compared.Compared(key, r.exs.Spec.Backends[0].Name, taken, status.Rollout == nil || status.Rollout.Weight == 0)
	seen := r.observeRollout(compared)
	seen.Gathered = r.gathered.on(key, status.Rollout)
	shipping := rollout.Decide(&r.exs.Spec, status, seen, now)

	out.Traffic, out.History = *shipping.Traffic, shipping.History
	out.Decisions = append(out.Decisions, shipping.Decisions...)
	out.Changed = out.Changed || shipping.Changed
	if !shipping.Next.IsZero() {
		r.exposing.RunAgain(max(shipping.Next.Sub(now), time.Millisecond))
	}
	if shipping.Intents.Canary.Replicas > 0 {
		r.exposing.RunAgain(deployments.VersionsPeriod)
	}
	return shipping, taken
}

// observeRollout puts what was read into the words of the decider about rollouts.
func (r *run) observeRollout(compared rollout.Calls) rollout.Observation {
	annotations := r.exs.Annotations
	out := rollout.Observation{
		DataPlane: r.servedShare(), Calls: compared, Answers: r.Deployments.Webhooks.Answers(r.exs),
		Refused: r.Deployments.Refused(r.exs),
		Approve: annotations[v1alpha1.AnnotationApprove], Retry: annotations[v1alpha1.AnnotationRetry],
		Swapped: annotations[v1alpha1.AnnotationSwapped], Promote: annotations[v1alpha1.AnnotationPromote],
		Skip: annotations[v1alpha1.AnnotationSkip], Abort: annotations[v1alpha1.AnnotationAbort], By: speakers(r.exs),
	}
	if refs.Workload(r.exs).Name == "" {
		out.Canary = r.observeOwnCanary()
		return out
	}
	out.Workload, out.Canary = r.Deployments.Observe(r.exs, r.workloads)
	slot := r.resolved.CanarySlot()
	out.Canary.Endpoints, out.Canary.Unserved = slot.Endpoints, !slot.Served
	return out
}

// observeOwnCanary looks at the endpoints of the user's own canary Service.
func (r *run) observeOwnCanary() rollout.Canary {
	facts, read := r.found.Backends[v1alpha1.CanaryName]
	if !read {
		return rollout.Canary{Why: "its Service has not been read yet"}
	}
	if why := r.resolved.CanaryUnseen(); why != "" {
		return rollout.Canary{Why: why}
	}
	return rollout.Canary{Known: true, Found: facts.Service != nil, Ready: r.resolved.ReadyCanary()}
}

// servedShare says which weight of the canary the data planes serve: that of the status, once all of
// them do.
func (r *run) servedShare() rollout.DataPlane {
	status := r.exs.Status
	if status.Rollout == nil || status.Traffic == nil {
		return rollout.DataPlane{Why: "nothing is decided yet"}
	}
	if r.followsGateway() && !r.resolved.WeightsArrived() {
		return rollout.DataPlane{Why: "the Gateway's controller has not accepted the route with it yet"}
	}
	if r.exs.Spec.XDS != nil {
		if why := xdsfeed.Behind(r.exs); why != "" {
			return rollout.DataPlane{Why: why}
		}
	}
	return rollout.DataPlane{Known: true, Weight: status.Rollout.Weight}
}

// reportDecisions logs, counts and records each decision.
func (r *run) reportDecisions(ctx context.Context, out failover.Outcome) {
	log := logf.FromContext(ctx)
	for _, d := range out.Decisions {
		log.Info("decided", "reason", d.Reason, "from", d.From, "to", d.To, "why", d.Message)
		r.Metrics.CountDecision(d.Reason)
		kind := corev1.EventTypeNormal
		switch d.Reason {
		case v1alpha1.DecisionNetChanged:
			// Nobody has to know while a backend flaps that does not serve: the history has it.
			continue
		case v1alpha1.DecisionSwitchedToBackup, v1alpha1.DecisionKeptBack, v1alpha1.DecisionNoBackendUp, v1alpha1.DecisionSwitchHeld,
			v1alpha1.DecisionRolloutFailed, v1alpha1.DecisionCanaryLost, v1alpha1.DecisionWorkloadDeleted:
			kind = corev1.EventTypeWarning
		}
		r.Events.Write(r.exs, kube.Event{Type: kind, Reason: string(d.Reason), Action: kube.ActionDecide, Note: d.Message})
	}
}
