package deployments

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/controllers/stripped"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;patch;delete

// whyOff is why nothing is known of any Deployment.
const whyOff = "Headgate runs without rollouts of Deployments"

// State is what is known of the Deployment of a rollout.
type State struct {
	// deployment is the user's; nil: it does not exist, or the canary is a Service of the user's own.
	deployment *appsv1.Deployment
	// off: Headgate has no rights to Deployments.
	off bool
	// rival is who else manages the Deployment; nil: nobody.
	rival *rival
	// config is that of the revision, with trackConfig.
	config trackedConfig
	// guard says whether the API server holds changed pod templates.
	guard guard
}

// Read reads the Deployment from the cache, and who else rolls it out.
func (f *Follower) Read(ctx context.Context, exs *v1alpha1.ExposedService) (State, error) {
	var out State
	name := refs.Workload(exs)
	if name.Name == "" {
		return out, nil
	}
	if out.off = !f.Kinds.Has(kube.KindDeployment); out.off {
		return out, nil
	}
	var err error
	if out.deployment, err = f.get(ctx, name); err != nil {
		return out, err
	}
	if out.rival, err = f.rivalFor(ctx, exs, out.deployment, name); err != nil {
		return out, err
	}
	out.config = f.readConfig(exs, out) //nolint:contextcheck // watches outlive the run
	if d := out.deployment; d != nil && out.rival == nil && exs.Spec.Rollout != nil && workload.Rolls(d) {
		out.guard = f.guarded(exs, d, slipped(exs, d))
	}
	return out, nil
}

// slipped: a pod template has come that nobody held, although the Deployment has the mark by which the policy knows it.
func slipped(exs *v1alpha1.ExposedService, d *appsv1.Deployment) bool {
	status := exs.Status.Rollout
	if status == nil || status.Stable == "" || status.Phase != v1alpha1.RolloutIdle || d.Spec.Paused || d.Labels[v1alpha1.LabelRollout] != exs.Name {
		return false
	}
	revision, err := workload.Revision(&d.Spec.Template, "")
	return err == nil && revision != rollout.TemplateOf(status.Stable)
}

// get reads a Deployment with its pod template, which the cache keeps packed; nil: it does not exist.
func (f *Follower) get(ctx context.Context, name types.NamespacedName) (*appsv1.Deployment, error) {
	out, err := kube.Get[appsv1.Deployment](ctx, f.Client, name)
	if err != nil {
		return nil, err
	}
	return out, stripped.Unpack(out)
}

// sayIgnored says what of spec.rollout is not acted on, and what stands against the rest.
func (f *following) sayIgnored() {
	spec := f.exs.Spec.Rollout
	if spec == nil || spec.WorkloadRef == nil {
		return
	}
	switch rival := f.state.rival; {
	case f.state.off:
		f.problem(v1alpha1.ReasonRolloutNotSupported, whyOff+
			": turn them on (--rollouts, in the chart rollouts.enabled), or set canary, a Service of your own")
	case rival != nil:
		f.problem(v1alpha1.ReasonWorkloadConflict, "Deployment "+refs.Workload(f.exs).Name+
			" is managed by "+rival.name+", and left alone: "+rival.remedy)
	case f.state.deployment != nil && recreates(f.exs, f.state.deployment):
		f.problem(v1alpha1.ReasonWorkloadNotSupported, "Deployment "+f.state.deployment.Name+" has spec.strategy.type: Recreate, with which "+
			"two versions never run beside each other: set it to RollingUpdate (maxSurge: 0 if there is no room for more pods), or remove rollout")
	case f.state.deployment == nil:
		f.problem(v1alpha1.ReasonWorkloadNotFound, "Deployment "+f.exs.Namespace+"/"+spec.WorkloadRef.Name+
			" does not exist: create it, or correct the name")
	}
}

// sayUnread says what Headgate has no right to read. The rollout goes on without.
func (f *following) sayUnread() {
	if err := f.Inspector.failure(client.ObjectKeyFromObject(f.exs)); apierrors.IsForbidden(err) {
		f.problem(v1alpha1.ReasonRolloutNotSupported, err.Error()+": give Headgate the right, as its ClusterRole does")
	}
}

// problem notes what stands against the rollout, and against nothing else.
func (f *following) problem(reason v1alpha1.Reason, message string) {
	about := v1alpha1.ConditionResolvedRefs
	if reason == v1alpha1.ReasonRolloutNotSupported {
		about = v1alpha1.ConditionProgressing
	}
	f.out.Problems = append(f.out.Problems, gateway.Problem{Reason: reason, Message: "spec.rollout.workloadRef: " + message, For: about})
}
