package deployments

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// holding is what is to become of a Deployment's fields.
type holding struct {
	deployment *appsv1.Deployment
	intent     rollout.WorkloadIntent
	mark       string
	guard      guard
	// config is the annotation that the pod template is to have while it is held.
	config string
	// releasable: the pod template is one that may be rolled out.
	releasable bool
}

// owned is what Headgate is to own of the Deployment; nil: nothing is to be written.
func (h holding) owned() *workload.Owned {
	d := h.deployment
	has := d.Spec.Template.Annotations[workload.AnnotationConfig]
	out := &workload.Owned{Mark: h.mark, Config: has}
	marked := d.Labels[v1alpha1.LabelRollout] == h.mark
	switch {
	case h.intent == rollout.WorkloadHeld, h.intent == rollout.WorkloadReleased && !h.releasable:
		if out.Paused, out.Config = ptr.To(true), h.config; h.intent != rollout.WorkloadHeld {
			out.Config = has
		}
		if marked && holds(d) && has == out.Config {
			return nil
		}
	case h.intent == rollout.WorkloadAtRest && h.guard == guardOff:
		if out.Paused = ptr.To(true); marked && holds(d) {
			return nil
		}
	case h.intent == rollout.WorkloadReleased, h.intent == rollout.WorkloadAtRest && h.guard == guardOn && h.releasable:
		if marked && !d.Spec.Paused {
			return nil
		}
		// A pod template that came meanwhile is not released.
		out.Paused, out.Version = ptr.To(false), d.ResourceVersion
	case h.intent == rollout.WorkloadAtRest:
		// Too little is known to change more than the mark.
		if out.Paused, out.Version = ptr.To(d.Spec.Paused), d.ResourceVersion; marked {
			return nil
		}
	default:
		return nil
	}
	return out
}

// holdWorkload holds the user's Deployment, releases it, or gives it up.
func (f *following) holdWorkload(ctx context.Context) {
	d, want := f.state.deployment, f.intents.Workload
	if d == nil || f.state.rival != nil {
		return
	}
	if recreates(f.exs, d) {
		if d.Labels[v1alpha1.LabelRollout] == "" && !holds(d) {
			return
		}
		f.fail("the Deployment cannot be given up", f.giveUp(ctx, f.exs, false))
		return
	}
	switch want {
	case rollout.WorkloadGivenUp:
		if (!d.Spec.Paused || f.cleared()) && f.handedOver() {
			f.fail("the Deployment cannot be given up", f.giveUp(ctx, f.exs, false))
		}
		return
	case rollout.WorkloadLeftHeld:
		if f.cleared() {
			f.fail("the Deployment cannot be left held", f.giveUp(ctx, f.exs, true))
		}
		return
	}
	h := holding{
		deployment: d, intent: want, mark: f.exs.Name, guard: f.state.guard, config: f.config(), releasable: f.releasable(),
	}
	owned := h.owned()
	if owned == nil || !ptr.Deref(owned.Paused, false) && d.Spec.Paused && !f.handedOver() {
		return
	}
	// From here on it takes Headgate to let it go.
	if err := kube.HoldFinalizer(ctx, f.Client, f.exs); err != nil {
		f.out.Fail(err)
		return
	}
	if err := f.applyWorkload(ctx, workload.Own(d, *owned)); err != nil {
		f.fail("the Deployment cannot be held or released", err)
		return
	}
	logf.FromContext(ctx).Info("changed the Deployment", "deployment", d.Name, "paused", ptr.Deref(owned.Paused, false))
}

// releasable says whether the pod template is the one that was decided to be rolled out, or stable.
func (f *following) releasable() bool {
	status := f.exs.Status.Rollout
	revision, err := workload.Revision(&f.state.deployment.Spec.Template, f.state.config.hash)
	if err != nil || status == nil {
		return false
	}
	return status.Stable == "" || revision == status.Stable || f.intents.Workload == rollout.WorkloadReleased && revision == f.intents.Revision
}

// config is the annotation that the pod template is to have. That of the stable revision gets what its ReplicaSet has: otherwise Kubernetes
// would take it for another version, and replace all pods by ones with the same configuration.
func (f *following) config() string {
	status, template := f.exs.Status.Rollout, &f.state.deployment.Spec.Template
	revision, err := workload.Revision(template, f.state.config.hash)
	if err != nil || status == nil || revision != status.Stable {
		return f.intents.Config
	}
	seen := f.Inspector.last(inspection{client.ObjectKeyFromObject(f.exs), inspectVersions}).versions
	if seen == nil {
		return template.Annotations[workload.AnnotationConfig]
	}
	revisions, err := seen.revisions(f.state.config)
	if err != nil {
		return f.intents.Config
	}
	stable := seen.pick(revisions, status.Stable, f.intents.Canary.StableHash)
	if stable == nil {
		return f.intents.Config
	}
	return stable.Spec.Template.Annotations[workload.AnnotationConfig]
}

// cleared: nothing is left without pods that Headgate has made. Nobody would delete it later, and Kubernetes could give it pods.
func (f *following) cleared() bool {
	key := inspection{client.ObjectKeyFromObject(f.exs), inspectVersions}
	seen := f.Inspector.last(key)
	if seen.versions != nil && f.Inspector.clock.Since(seen.came) <= versionsStale && !seen.versions.remains() {
		return true
	}
	f.Inspector.look(key, subjectOf(f.state.deployment), VersionsPeriod)
	f.out.RunAgain(VersionsPeriod)
	return false
}

// handedOver: the canary is the Deployment's, and Kubernetes has taken it for the new one. Released before that, it would make another
// ReplicaSet of the same pod template.
func (f *following) handedOver() bool {
	key := inspection{client.ObjectKeyFromObject(f.exs), inspectVersions}
	seen := f.Inspector.last(key).versions
	if seen == nil && !f.intents.Canary.Present {
		return true
	}
	if seen != nil {
		canary := seen.byHash(f.intents.Canary.Hash)
		if (canary == nil || !canary.apart) && seen.taken() {
			return true
		}
	}
	f.Inspector.look(key, subjectOf(f.state.deployment), VersionsPeriod)
	f.out.RunAgain(VersionsPeriod)
	return false
}

// GiveUp gives up what Headgate owns for an ExposedService that is deleted, and says whether that is done. A pod template that was not
// proved stays held, unless the spec says otherwise; its pods are taken back first.
func (f *Follower) GiveUp(ctx context.Context, exs *v1alpha1.ExposedService) (bool, error) {
	if err := f.unprotect(ctx, f.Reader, exs, ""); err != nil {
		return false, err
	}
	if f.Kinds.IsOff(kube.KindDeployment) {
		return true, f.giveUp(ctx, exs, false)
	}
	status := exs.Status.Rollout
	v, err := readVersions(ctx, f.Reader, refs.Workload(exs), client.ObjectKeyFromObject(exs))
	if err != nil || v == nil || status == nil {
		return err == nil, err
	}
	revision, err := workload.Revision(&v.deployment.Spec.Template, rollout.ConfigOf(status.Stable))
	if err != nil {
		return false, fmt.Errorf("Deployment %s: %w", v.deployment.Name, err)
	}
	keep := status.Stable != "" && revision != status.Stable && status.OnRemoval != v1alpha1.RemovalRelease && v.deployment.Spec.Paused
	if keep {
		if done, err := f.takeBack(ctx, exs, v); err != nil || !done {
			return false, err
		}
	}
	for _, c := range v.unmarks() {
		if err := (&following{Follower: f, exs: exs}).change(ctx, v, c); err != nil {
			return false, err
		}
	}
	if !keep && v.deployment.Spec.Paused && !v.taken() {
		return false, nil
	}
	return true, f.giveUp(ctx, exs, keep)
}

// takeBack takes the pods of a version that was not proved back, and says whether that is done.
func (f *Follower) takeBack(ctx context.Context, exs *v1alpha1.ExposedService, v *versions) (bool, error) {
	config := rollout.ConfigOf(exs.Status.Rollout.Stable)
	run := &following{
		Follower: f, exs: exs, out: &kube.Step{}, state: State{deployment: v.deployment, config: trackedConfig{hash: config, stable: config}},
		intents: rollout.Intents{Workload: rollout.WorkloadLeftHeld, Canary: rollout.CanaryIntent{
			StableHash: ptr.Deref(exs.Status.Traffic, v1alpha1.TrafficStatus{}).StableHash,
		}},
	}
	s, err := run.shipping(v)
	if err != nil {
		return false, err
	}
	due := s.changes()
	for _, c := range due {
		if err := run.change(ctx, v, c); err != nil {
			return false, err
		}
	}
	return len(due) == 0 && !v.made(), nil
}

// giveUp gives up what Headgate owns of the Deployment that it rolls out, if it still does; what is kept stays paused. It reads past the
// cache, which does not say who owns what. The mark goes first: a change of the pod template would be held by it.
func (f *Follower) giveUp(ctx context.Context, exs *v1alpha1.ExposedService, keep bool) error {
	if f.Kinds.IsOff(kube.KindDeployment) {
		name := refs.Workload(exs)
		logf.FromContext(ctx).Info("a Deployment is not given up: "+whyOff, "deployment", name)
		f.Events.Write(exs, kube.Event{
			Type: corev1.EventTypeWarning, Reason: kube.ReasonNotGivenUp, Action: kube.ActionRemove,
			Note: "Deployment " + name.String() + " may stay paused, because " + whyOff + ": set its spec.paused to false",
		})
		return nil
	}
	d, err := kube.Get[appsv1.Deployment](ctx, f.Reader, refs.Workload(exs))
	if err != nil || d == nil || !ownsFields(d) {
		return err
	}
	for _, next := range givingUp(d, keep) {
		if err := f.applyAs(ctx, next.manager, workload.Own(d, next.owned)); err != nil {
			return err
		}
	}
	if keep {
		f.sayLeftHeld(exs, d)
	}
	return nil
}

// applied is what is applied by a field manager.
type applied struct {
	manager string
	owned   workload.Owned
}

// givingUp are the applies by which a Deployment is given up. It is as the API server has it.
func givingUp(d *appsv1.Deployment, keep bool) []applied {
	var out []applied
	config := d.Spec.Template.Annotations[workload.AnnotationConfig]
	switch {
	case keep:
		out = append(out, applied{leftManager, workload.Owned{Paused: ptr.To(true)}})
	case d.Spec.Paused && pausedByPolicy(d):
		// Nobody would take it back.
		out = append(out, applied{FieldManager, workload.Owned{Paused: ptr.To(false), Config: config}})
	}
	if config != "" {
		out = append(out, applied{FieldManager, workload.Owned{Config: config}})
	}
	return append(out, applied{FieldManager, workload.Owned{}})
}

func ownsFields(d *appsv1.Deployment) bool {
	return slices.ContainsFunc(d.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == FieldManager })
}

// pausedByPolicy: nobody owns the pause, and the policy knows the Deployment. It is as the API server has it.
func pausedByPolicy(d *appsv1.Deployment) bool {
	return d.Labels[v1alpha1.LabelRollout] != "" && !slices.ContainsFunc(d.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return ownsPaused(m.FieldsV1) })
}

func (f *Follower) sayLeftHeld(exs *v1alpha1.ExposedService, d *appsv1.Deployment) {
	f.Events.Write(exs, kube.Event{
		Type: corev1.EventTypeWarning, Reason: kube.ReasonLeftHeld, Action: kube.ActionRemove, Note: fmt.Sprintf(
			"Deployment %s stays paused on the version that it runs, because the pod template that it has was not proved: release it "+
				"with `kubectl -n %s rollout resume deployment %s`, or put the template back first", d.Name, d.Namespace, d.Name),
	})
}

// applyWorkload applies what Headgate owns of the Deployment, and nothing else. With its UID the API
// server refuses to make one that was deleted meanwhile.
func (f *Follower) applyWorkload(ctx context.Context, want *unstructured.Unstructured) error {
	return f.applyAs(ctx, FieldManager, want)
}

func (f *Follower) applyAs(ctx context.Context, manager string, want *unstructured.Unstructured) error {
	body, err := json.Marshal(want.Object)
	if err != nil {
		return fmt.Errorf("write Deployment %s as JSON: %w", want.GetName(), err)
	}
	answer := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: want.GetNamespace(), Name: want.GetName()}}
	err = f.Client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(manager), client.ForceOwnership)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("apply spec.paused of Deployment %s/%s: %w", want.GetNamespace(), want.GetName(), err)
	}
	return nil
}
