package deployments

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
)

// FieldManager is the field manager of what Headgate owns of a Deployment of the user's, and of all that it changes of its ReplicaSets.
const FieldManager = "headgate-workload"

// leftManager is the field manager of the pause of a Deployment that was left held. Nobody gives it up but people, or a later rollout.
const leftManager = "headgate-left"

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
	copies   copies
}

// Forget drops what is kept in memory of an ExposedService.
func (f *Follower) Forget(key types.NamespacedName) {
	f.Webhooks.forget(key)
	f.Config.forget(key)
	f.Inspector.forget(key)
	f.refusals.forget(key)
	f.copies.forget(key)
}

// Follow makes true what was decided about the Deployment, and has the webhooks asked. The decision is in the
// status by now. front is the Service of the backend that is rolled out; nil: it is not there.
func (f *Follower) Follow(
	ctx context.Context, exs *v1alpha1.ExposedService, state State, intents rollout.Intents, inventory *kube.Inventory, front *corev1.Service,
) kube.Step {
	var out kube.Step
	run := &following{Follower: f, exs: exs, state: state, intents: intents, inventory: inventory, out: &out}
	run.sayIgnored()
	run.sayUnread()
	run.sayUnguarded()
	run.holdWorkload(ctx)
	run.ship(ctx)
	run.protect(ctx, front)
	run.fail("a copy of a ReplicaSet cannot be deleted", run.dropCopy(ctx))
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
