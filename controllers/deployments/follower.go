package deployments

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// FieldManager is the field manager of what Headgate owns of a Deployment of the user's.
const FieldManager = "headgate-workload"

// Follower makes Deployments follow what was decided about rollouts.
type Follower struct {
	kube.Objects

	// Inspector reads what is not watched of the Deployments.
	Inspector *Inspector
	// Config watches what rollouts track.
	Config *ConfigTracker
	// Webhooks asks those of rollouts.
	Webhooks *Webhooks

	refusals refusals
}

// Forget drops what is kept in memory of an ExposedService.
func (f *Follower) Forget(key types.NamespacedName) {
	f.Webhooks.forget(key)
	f.Config.forget(key)
	f.Inspector.forget(key)
	f.refusals.forget(key)
}

// Follow makes true what was decided about the Deployments, and has the webhooks asked. The decision is in the
// status by now. front is the Service of the backend that is rolled out; nil: it is not there.
func (f *Follower) Follow(
	ctx context.Context, exs *v1alpha1.ExposedService, state State, intents rollout.Intents, inventory *kube.Inventory, front *corev1.Service,
) kube.Step {
	var out kube.Step
	run := &following{Follower: f, exs: exs, state: state, intents: intents, inventory: inventory, out: &out}
	run.sayIgnored()
	run.sayUnread()
	run.holdWorkload(ctx)
	run.fail("what has begun to roll out cannot be undone", run.undo(ctx))
	run.canary(ctx, front)
	f.Webhooks.follow(exs, intents)
	if f.refusals.note(client.ObjectKeyFromObject(exs), refusedIn(out)) {
		// The next decision says so.
		out.RunAgain(time.Millisecond)
	}
	return out
}

// following is one run of Follow.
type following struct {
	*Follower

	exs       *v1alpha1.ExposedService
	state     State
	intents   rollout.Intents
	inventory *kube.Inventory
	out       *kube.Step
}

// fail notes an error after which the run goes on. What the API server forbids is told to people, and tried again
// seldom.
func (f *following) fail(what string, err error) {
	if apierrors.IsForbidden(err) {
		f.out.Forbidden(gateway.PartRollout, "spec.rollout: "+what, err)
		return
	}
	f.out.Fail(err)
}

// holdWorkload holds the user's Deployment, releases it, or gives it up.
func (f *following) holdWorkload(ctx context.Context) {
	d, want := f.state.deployment, f.intents.Workload
	if d == nil || f.state.rival != nil {
		return
	}
	switch want {
	case rollout.WorkloadHeld, rollout.WorkloadReleased:
		paused, has := want == rollout.WorkloadHeld, d.Spec.Template.Annotations[workload.AnnotationConfig]
		config := f.intents.Config
		if paused {
			config = has // What its pods were started with changes when they are replaced.
		}
		if d.Spec.Paused == paused && has == config {
			return
		}
		// From here on it takes Headgate to let it go.
		if err := kube.HoldFinalizer(ctx, f.Client, f.exs); err != nil {
			f.out.Fail(err)
			return
		}
		if err := f.applyWorkload(ctx, workload.Hold(d, paused, config)); err != nil {
			f.fail("the Deployment cannot be held or released", err)
			return
		}
		logf.FromContext(ctx).Info("changed spec.paused", "deployment", d.Name, "paused", paused)
	case rollout.WorkloadGivenUp:
		f.fail("the Deployment cannot be given up", f.GiveUp(ctx, f.exs))
	}
}

// GiveUp gives up what Headgate owns of the Deployment that it rolls out, if it still does. It reads past the
// cache, which does not say who owns what.
func (f *Follower) GiveUp(ctx context.Context, exs *v1alpha1.ExposedService) error {
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
	if err != nil || d == nil {
		return err
	}
	if !slices.ContainsFunc(d.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == FieldManager }) {
		return nil
	}
	return f.applyWorkload(ctx, workload.GiveUp(d))
}

// applyWorkload applies what Headgate owns of the Deployment, and nothing else. With its UID the API
// server refuses to make one that was deleted meanwhile.
func (f *Follower) applyWorkload(ctx context.Context, want *unstructured.Unstructured) error {
	body, err := json.Marshal(want.Object)
	if err != nil {
		return fmt.Errorf("write Deployment %s as JSON: %w", want.GetName(), err)
	}
	answer := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: want.GetNamespace(), Name: want.GetName()}}
	err = f.Client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(FieldManager), client.ForceOwnership)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("apply spec.paused of Deployment %s/%s: %w", want.GetNamespace(), want.GetName(), err)
	}
	return nil
}
