package deployments

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// Observe puts what was read into the decider's words, and reads past the cache what is only needed while it
// matters: ReplicaSets and pods.
func (f *Follower) Observe(ctx context.Context, exs *v1alpha1.ExposedService, state State) (rollout.Workload, rollout.Canary, error) {
	canary, err := f.observeCanary(ctx, exs, state)
	return f.observeWorkload(ctx, exs, state), canary, err
}

// observeWorkload looks at the user's Deployment.
func (f *Follower) observeWorkload(ctx context.Context, exs *v1alpha1.ExposedService, state State) rollout.Workload {
	d := state.deployment
	switch {
	case state.off:
		return rollout.Workload{Why: whyOff}
	case state.rival != nil:
		return rollout.Workload{Why: "it is managed by " + state.rival.name}
	case d == nil:
		return rollout.Workload{Known: true}
	}
	config := state.config
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
	case d.Spec.Paused && exs.Status.Rollout != nil && exs.Status.Rollout.Stable == "":
		if out.Running, err = f.runningRevision(ctx, d, config); err != nil {
			return rollout.Workload{Why: err.Error()}
		}
	}
	return out
}

// isSettled: the Deployment's controller has seen its newest generation.
func isSettled(d *appsv1.Deployment) bool { return d.Status.ObservedGeneration >= d.Generation }

// runningRevision is that of the one ReplicaSet that has pods; empty: several have, or none.
func (f *Follower) runningRevision(ctx context.Context, d *appsv1.Deployment, config trackedConfig) (string, error) {
	sets, err := f.replicaSets(ctx, d)
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
func (f *Follower) observeCanary(ctx context.Context, exs *v1alpha1.ExposedService, state State) (rollout.Canary, error) {
	c := state.canary
	switch {
	case state.off:
		return rollout.Canary{Why: whyOff}, nil
	case c == nil || kube.OwnershipOf(c, exs) != kube.Ours:
		return rollout.Canary{Known: true}, nil
	case !isSettled(c):
		return rollout.Canary{Why: "its controller has not seen its newest generation"}, nil
	}
	out := rollout.Canary{
		Known: true, Found: true, Revision: c.Annotations[annotationRevision], Ready: min(c.Status.ReadyReplicas, c.Status.UpdatedReplicas),
	}
	if out.Ready < ptr.Deref(c.Spec.Replicas, 1) || countsLatencies(exs) {
		seen, err := f.lookAtPods(ctx, exs, c)
		if err != nil {
			return out, err
		}
		out.Trouble, out.ReadySince = seen.trouble, seen.readySince
	}
	return out, nil
}

// countsLatencies: how long pods have been ready matters to latencies only.
func countsLatencies(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.Rollout != nil && exs.Spec.Rollout.Analysis != nil && exs.Spec.Rollout.Analysis.Latency != nil
}
