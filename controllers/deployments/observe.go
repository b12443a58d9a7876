package deployments

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// versionsStale is how long a reading of the versions stands while a newer one is on its way. It begins when the reading has come: from an API
// server that takes longer than that for each, nothing would ever be known otherwise.
const versionsStale = 5 * time.Second

// Observe puts what was read into the decider's words. It answers from memory: ReplicaSets and pods are read by the
// Inspector, which asks for another run when more is known. What is said of the versions is said of the Deployment of the same reading.
func (f *Follower) Observe(exs *v1alpha1.ExposedService, state State) (rollout.Workload, rollout.Canary) {
	d := state.deployment
	switch {
	case state.off:
		return rollout.Workload{Why: whyOff}, rollout.Canary{Why: whyOff}
	case state.rival != nil:
		return rollout.Workload{Why: "it is managed by " + state.rival.name}, rollout.Canary{Known: true}
	case d == nil:
		return rollout.Workload{Known: true}, rollout.Canary{Known: true}
	case recreates(exs, d):
		return rollout.Workload{Why: whyRecreate}, rollout.Canary{Known: true}
	case state.config.why != "":
		return rollout.Workload{Why: state.config.why}, rollout.Canary{Why: state.config.why}
	}
	out, err := observeDeployment(exs, d, state)
	if err != nil {
		return rollout.Workload{Why: err.Error()}, rollout.Canary{Why: err.Error()}
	}
	key := inspection{client.ObjectKeyFromObject(exs), inspectVersions}
	if !underWay(exs, out) && !f.mayBeLeft(exs, key) {
		f.Inspector.rest(key)
		return out, rollout.Canary{Known: true}
	}
	seen := f.Inspector.look(key, subjectOf(d), VersionsPeriod)
	if seen.versions == nil || f.Inspector.clock.Since(seen.came) > versionsStale || seen.versions.deployment.UID != d.UID {
		why := "its ReplicaSets and pods have not been read yet"
		if seen.err != nil {
			why = seen.err.Error()
		}
		return out, rollout.Canary{Why: why, Unread: seen.came.IsZero() && seen.err == nil}
	}
	if out, err = observeDeployment(exs, seen.versions.deployment, state); err != nil {
		return rollout.Workload{Why: err.Error()}, rollout.Canary{Why: err.Error()}
	}
	return f.withVersions(exs, out, seen.versions, state.config)
}

// mayBeLeft: a ReplicaSet that Headgate has made may be left of a rollout that has ended. After a restart that is looked for once.
func (f *Follower) mayBeLeft(exs *v1alpha1.ExposedService, key inspection) bool {
	last := f.Inspector.last(key)
	if last.came.IsZero() {
		status := exs.Status.Rollout
		return status != nil && status.Revision != "" && status.Revision != status.Stable
	}
	return last.versions != nil && last.versions.made()
}

// withVersions adds what is known of the versions.
func (f *Follower) withVersions(
	exs *v1alpha1.ExposedService, out rollout.Workload, v *versions, config trackedConfig,
) (rollout.Workload, rollout.Canary) {
	facts, err := v.facts(exs, config, out.Revision, withConfig(&v.deployment.Spec.Template, config.hash))
	if err != nil {
		return rollout.Workload{Why: err.Error()}, rollout.Canary{Why: err.Error()}
	}
	out.Running, out.Others, out.Begun, out.Stable, out.Next = facts.running, facts.others, facts.begun, facts.stable, facts.next
	out.Previous, out.Restart = facts.previous, facts.restart
	// What the Deployment says itself counts pods that have ended meanwhile.
	out.Ready, out.Available = v.ready()
	return out, facts.observed()
}

// observeDeployment is what a Deployment says itself.
func observeDeployment(exs *v1alpha1.ExposedService, d *appsv1.Deployment, state State) (rollout.Workload, error) {
	revision, err := workload.Revision(&d.Spec.Template, state.config.hash)
	if err != nil {
		return rollout.Workload{}, err
	}
	surge, unavailable := workload.Bounds(d)
	held, pausedBy := pausers(d)
	if isWithdrawn(exs, d) && isLeft(d) {
		held = false
	}
	out := rollout.Workload{
		Known: true, Found: true, Settled: isSettled(d), Held: held, PausedBy: pausedBy, Revision: revision,
		Guarded: state.guard == guardOn && d.Labels[v1alpha1.LabelRollout] == exs.Name,
		Others:  max(0, d.Status.Replicas-d.Status.UpdatedReplicas), Begun: d.Status.UpdatedReplicas, Replicas: ptr.Deref(d.Spec.Replicas, 1),
		Surge: surge, Unavailable: unavailable, Ready: d.Status.ReadyReplicas, Available: d.Status.AvailableReplicas,
		Deadline: time.Duration(ptr.Deref(d.Spec.ProgressDeadlineSeconds, 0)) * time.Second,
	}
	if state.config.of(&d.Spec.Template) != state.config.hash {
		// The template is the revision's, but its pods were started with another configuration.
		out.Others, out.Begun = d.Status.Replicas, 0
	}
	if out.Others == 0 && d.Status.Replicas > 0 {
		out.Running = revision
	}
	return out, nil
}

// isWithdrawn: the spec does not ask for a rollout of the Deployment any more.
func isWithdrawn(exs *v1alpha1.ExposedService, d *appsv1.Deployment) bool {
	return exs.Spec.Rollout == nil || exs.Spec.Rollout.WorkloadRef == nil || exs.Spec.Rollout.WorkloadRef.Name != d.Name
}

// underWay: the ReplicaSets of the Deployment matter.
func underWay(exs *v1alpha1.ExposedService, seen rollout.Workload) bool {
	status, traffic := exs.Status.Rollout, ptr.Deref(exs.Status.Traffic, v1alpha1.TrafficStatus{})
	switch {
	case status == nil:
		return false
	case traffic.StableHash != "", traffic.CanaryHash != "", status.Phase != "" && status.Phase != v1alpha1.RolloutIdle:
		return true
	}
	return seen.Others > 0 || seen.Revision != status.Stable
}

// withConfig is a pod template with the annotation that it is to have.
func withConfig(template *corev1.PodTemplateSpec, config string) *corev1.PodTemplateSpec {
	if template.Annotations[workload.AnnotationConfig] == config {
		return template
	}
	out := template.DeepCopy()
	delete(out.Annotations, workload.AnnotationConfig)
	if config != "" {
		if out.Annotations == nil {
			out.Annotations = map[string]string{}
		}
		out.Annotations[workload.AnnotationConfig] = config
	}
	return out
}

// isSettled: the Deployment's controller has seen its newest generation.
func isSettled(d *appsv1.Deployment) bool { return d.Status.ObservedGeneration >= d.Generation }

// whyRecreate is why nothing is done about a Deployment.
const whyRecreate = "its strategy is Recreate"

// recreates: two versions of the Deployment never run beside each other, so that it has no canary, and is left alone.
func recreates(exs *v1alpha1.ExposedService, d *appsv1.Deployment) bool {
	return exs.Spec.Rollout != nil && !workload.Rolls(d)
}
