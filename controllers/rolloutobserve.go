package controllers

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// observeRollout puts what was read into the decider's words, and reads past the cache what is only
// needed while it matters: ReplicaSets and pods.
func (r *exposureReconciler) observeRollout(ctx context.Context, s *scope, calls rollout.Calls) rollout.Observation {
	annotations := s.exs.Annotations
	out := rollout.Observation{
		DataPlane: r.servedShare(s), Calls: calls, Answers: r.webhooks.answers(s.exs),
		Approve: annotations[v1alpha1.AnnotationApprove], Retry: annotations[v1alpha1.AnnotationRetry],
		Swapped: annotations[v1alpha1.AnnotationSwapped],
	}
	if workloadOf(s.exs).Name == "" {
		out.Canary = observeOwnCanary(s)
		return out
	}
	out.Workload = r.observeWorkload(ctx, s)
	out.Canary = r.observeCanary(ctx, s)
	return out
}

// observeWorkload looks at the user's Deployment.
func (r *exposureReconciler) observeWorkload(ctx context.Context, s *scope) rollout.Workload {
	d := s.rollout.deployment
	switch {
	case s.rollout.off:
		return rollout.Workload{Why: whyOff}
	case s.rollout.rival != nil:
		return rollout.Workload{Why: "it is managed by " + s.rollout.rival.name}
	case d == nil:
		return rollout.Workload{Known: true}
	}
	config := s.rollout.config
	if config.why != "" {
		return rollout.Workload{Why: config.why}
	}
	revision, err := workload.Revision(&d.Spec.Template, config.hash)
	if err != nil {
		return rollout.Workload{Why: err.Error()}
	}
	held, pausedBy := pausers(d)
	out := rollout.Workload{
		Known: true, Found: true, Settled: isSettled(d), Held: held, PausedBy: pausedBy, Revision: revision,
		Others: max(0, d.Status.Replicas-d.Status.UpdatedReplicas), Begun: d.Status.UpdatedReplicas, Replicas: ptr.Deref(d.Spec.Replicas, 1),
		Ready: d.Status.ReadyReplicas, Available: d.Status.AvailableReplicas,
	}
	if config.of(&d.Spec.Template) != config.hash {
		// The template is the revision's, but its pods were started with another configuration.
		out.Others = d.Status.Replicas
	}
	switch {
	case out.Others == 0 && d.Status.Replicas > 0:
		out.Running = revision
	case d.Spec.Paused && s.exs.Status.Rollout != nil && s.exs.Status.Rollout.Stable == "":
		if out.Running, err = r.runningRevision(ctx, d, config); err != nil {
			return rollout.Workload{Why: err.Error()}
		}
	}
	return out
}

// whyOff is why nothing is known of any Deployment.
const whyOff = "Headgate runs without rollouts of Deployments"

// isSettled: the Deployment's controller has seen its newest generation.
func isSettled(d *appsv1.Deployment) bool { return d.Status.ObservedGeneration >= d.Generation }

// runningRevision is that of the one ReplicaSet that has pods; empty: several have, or none.
func (r *exposureReconciler) runningRevision(ctx context.Context, d *appsv1.Deployment, config trackedConfig) (string, error) {
	sets, err := r.replicaSets(ctx, d)
	if err != nil {
		return "", err
	}
	running := ""
	for i := range sets {
		set := &sets[i]
		if set.Status.Replicas == 0 {
			continue
		}
		if running != "" {
			return "", nil
		}
		if running, err = workload.Revision(&set.Spec.Template, config.of(&set.Spec.Template)); err != nil {
			return "", fmt.Errorf("ReplicaSet %s: %w", set.Name, err)
		}
	}
	return running, nil
}

// observeCanary looks at the canary Deployment. While its controller has not seen its newest
// generation, nothing is known: the numbers are those of what it was before.
func (r *exposureReconciler) observeCanary(ctx context.Context, s *scope) rollout.Canary {
	c := s.rollout.canary
	switch {
	case s.rollout.off:
		return rollout.Canary{Why: whyOff}
	case c == nil || ownershipOf(c, s.exs) != ours:
		return rollout.Canary{Known: true}
	case !isSettled(c):
		return rollout.Canary{Why: "its controller has not seen its newest generation"}
	}
	out := rollout.Canary{
		Known: true, Found: true, Revision: c.Annotations[annotationRevision], Ready: min(c.Status.ReadyReplicas, c.Status.UpdatedReplicas),
	}
	if out.Ready < ptr.Deref(c.Spec.Replicas, 1) || countsLatencies(s.exs) {
		seen, err := r.lookAtPods(ctx, s.exs, c)
		if err != nil {
			s.fail(err)
			return out
		}
		out.Trouble, out.ReadySince = seen.trouble, seen.readySince
	}
	return out
}

// countsLatencies: how long pods have been ready matters to latencies only.
func countsLatencies(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.Rollout != nil && exs.Spec.Rollout.Analysis != nil && exs.Spec.Rollout.Analysis.Latency != nil
}

// observeOwnCanary looks at the endpoints of the user's own canary Service.
func observeOwnCanary(s *scope) rollout.Canary {
	facts, read := s.facts.Backends[v1alpha1.CanaryName]
	if !read {
		return rollout.Canary{Why: "its Service has not been read yet"}
	}
	return rollout.Canary{Known: true, Found: facts.Service != nil, Ready: gateway.ReadyCanary(s.exs, s.facts)}
}

// servedShare says which weight of the canary the data planes serve: that of the status, once all of
// them do.
func (r *exposureReconciler) servedShare(s *scope) rollout.DataPlane {
	status := s.exs.Status
	if status.Rollout == nil || status.Traffic == nil {
		return rollout.DataPlane{Why: "nothing is decided yet"}
	}
	if r.followsGateway(s.exs) && !gateway.WeightsArrived(s.exs, s.facts) {
		return rollout.DataPlane{Why: "the Gateway's controller has not accepted the route with it yet"}
	}
	if s.exs.Spec.XDS != nil {
		if why := xdsBehind(s.exs); why != "" {
			return rollout.DataPlane{Why: why}
		}
	}
	return rollout.DataPlane{Known: true, Weight: status.Rollout.Weight}
}
