package deployments

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// Observe puts what was read into the decider's words. It answers from memory: pods and ReplicaSets are read by the
// Inspector, which asks for another run when more is known.
func (f *Follower) Observe(exs *v1alpha1.ExposedService, state State) (rollout.Workload, rollout.Canary) {
	return f.observeWorkload(exs, state), f.observeCanary(exs, state)
}

// observeWorkload looks at the user's Deployment.
func (f *Follower) observeWorkload(exs *v1alpha1.ExposedService, state State) rollout.Workload {
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
	sets := inspection{client.ObjectKeyFromObject(exs), inspectReplicaSets}
	if out.Others == 0 && d.Status.Replicas > 0 {
		out.Running = revision
	} else if d.Spec.Paused && exs.Status.Rollout != nil && exs.Status.Rollout.Stable == "" {
		var why string
		if out.Running, why = runningRevision(f.Inspector.look(sets, d, PodsPeriod), config); why != "" {
			return rollout.Workload{Why: why}
		}
		return out
	}
	f.Inspector.drop(sets)
	return out
}

// isSettled: the Deployment's controller has seen its newest generation.
func isSettled(d *appsv1.Deployment) bool { return d.Status.ObservedGeneration >= d.Generation }

// runningRevision is that of the one ReplicaSet that has pods; empty: several have, or none. why says why it is not
// known.
func runningRevision(sets answer, config trackedConfig) (revision, why string) {
	switch {
	case sets.err != nil:
		return "", sets.err.Error()
	case !sets.read:
		return "", "its ReplicaSets have not been read yet"
	case len(sets.running) != 1:
		return "", ""
	}
	template := &sets.running[0]
	revision, err := workload.Revision(template, config.of(template))
	if err != nil {
		return "", err.Error()
	}
	return revision, ""
}

// observeCanary looks at the canary Deployment. While its controller has not seen its newest
// generation, nothing is known: the numbers are those of what it was before.
func (f *Follower) observeCanary(exs *v1alpha1.ExposedService, state State) rollout.Canary {
	c := state.canary
	switch {
	case state.off:
		return rollout.Canary{Why: whyOff}
	case c == nil || kube.OwnershipOf(c, exs) != kube.Ours:
		return rollout.Canary{Known: true}
	case !isSettled(c):
		return rollout.Canary{Why: "its controller has not seen its newest generation"}
	}
	out := rollout.Canary{
		Known: true, Found: true, Revision: c.Annotations[annotationRevision], Ready: min(c.Status.ReadyReplicas, c.Status.UpdatedReplicas),
	}
	pods := inspection{client.ObjectKeyFromObject(exs), inspectPods}
	allReady := out.Ready >= ptr.Deref(c.Spec.Replicas, 1)
	if allReady && !countsLatencies(exs) {
		f.Inspector.drop(pods)
		return out
	}
	period := PodsPeriod
	if allReady {
		period = 0
	}
	switch seen := f.Inspector.look(pods, c, period); {
	case seen.read:
		out.ReadySince = seen.readySince
		if out.Trouble = seen.trouble; out.Trouble == nil {
			out.Trouble = lateTrouble(c)
		}
	case seen.err != nil:
		out.Trouble = lateTrouble(c)
	case out.Ready == 0 && hasCalls(exs) && seen.awaited < PodsPeriod:
		// The pods tell one that cannot run from one that was lost. They are given a moment to do so, and no more.
		return rollout.Canary{Why: "its pods have not been read yet"}
	}
	return out
}

// hasCalls: the canary has a share of the calls.
func hasCalls(exs *v1alpha1.ExposedService) bool {
	return exs.Status.Rollout != nil && exs.Status.Rollout.Weight > 0
}

// countsLatencies: how long pods have been ready matters to latencies only.
func countsLatencies(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.Rollout != nil && exs.Spec.Rollout.Analysis != nil && exs.Spec.Rollout.Analysis.Latency != nil
}
