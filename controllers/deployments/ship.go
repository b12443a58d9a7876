package deployments

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// ship makes the ReplicaSets what they are to be. Whether something is to be done is known from memory; what is done follows from a reading
// that is made for it.
func (f *following) ship(ctx context.Context) {
	d := f.state.deployment
	if d == nil || f.state.rival != nil || recreates(f.exs, d) || f.intents.Workload == rollout.WorkloadAsIs && !f.intents.Canary.Present {
		return
	}
	seen := f.Inspector.last(inspection{client.ObjectKeyFromObject(f.exs), inspectVersions}).versions
	if seen == nil {
		return
	}
	if seen.made() {
		// Nothing tells of a ReplicaSet that is not the Deployment's.
		f.out.RunAgain(VersionsPeriod)
	}
	if due, err := f.due(seen); err != nil || len(due) == 0 {
		f.out.Fail(err)
		return
	}
	fresh, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	v, err := readVersions(fresh, f.Reader, refs.Workload(f.exs), client.ObjectKeyFromObject(f.exs))
	if err != nil || v == nil || v.deployment.UID != d.UID {
		f.fail("the ReplicaSets cannot be read", err)
		return
	}
	due, err := f.due(v)
	if err != nil {
		f.out.Fail(err)
		return
	}
	for _, c := range due {
		if err := f.change(ctx, v, c); err != nil {
			f.refusedChange(c, err)
			return
		}
	}
	// What comes of it is seen when it is read again.
	f.out.RunAgain(VersionsPeriod)
}

// due are the changes that a reading leads to.
func (f *following) due(v *versions) ([]change, error) {
	s, err := f.shipping(v)
	if err != nil {
		return nil, err
	}
	return s.changes(), nil
}

// shipping is what is wanted, beside a reading.
func (f *following) shipping(v *versions) (*shipping, error) {
	s := &shipping{
		versions: v, stable: f.exs.Status.Rollout.Stable, config: f.intents.Config, canary: f.intents.Canary,
		held:   f.holds(v.deployment),
		ends:   f.intents.Workload == rollout.WorkloadLeftHeld,
		served: f.served(),
	}
	var err error
	if s.template, err = workload.Revision(&v.deployment.Spec.Template, f.state.config.hash); err != nil {
		return nil, fmt.Errorf("Deployment %s: %w", v.deployment.Name, err)
	}
	if s.revisionOf, err = v.revisions(f.state.config); err != nil {
		return nil, err
	}
	return s, nil
}

// holds: nobody rolls out what the Deployment has, so that the sizes of its ReplicaSets are Headgate's.
func (f *following) holds(d *appsv1.Deployment) bool {
	switch f.intents.Workload {
	case rollout.WorkloadHeld, rollout.WorkloadLeftHeld:
		return true
	case rollout.WorkloadAtRest:
		return d.Spec.Paused
	}
	return false
}

// served says whether the live Service of the stable side selects by the stable version's hash.
func (f *following) served() bool {
	hash := f.intents.Canary.StableHash
	if hash == "" || f.exs.Status.Traffic == nil || f.inventory == nil {
		return false
	}
	own := f.inventory.Service(gateway.SlotServiceName(f.exs, f.exs.Status.Traffic.Slot))
	return own != nil && own.Spec.Selector[workload.LabelTemplateHash] == hash
}

// change makes one change.
func (f *following) change(ctx context.Context, v *versions, c change) error {
	switch c.kind {
	case changeCreate:
		return f.createCanary(ctx, v)
	case changeStandIn:
		return f.create(ctx, workload.StandIn(v.deployment, f.intents.Canary.Hash, f.exs.Name))
	case changeRestore:
		return f.restore(ctx, v)
	case changeRenew:
		if err := f.keepCopy(ctx, c.set); err != nil {
			return err
		}
		return f.deleteSet(ctx, c.set)
	case changeTake:
		var size map[string]any
		if c.size != nil {
			size = map[string]any{"replicas": *c.size}
		}
		return f.patchSet(ctx, c.set, map[string]any{
			"ownerReferences": []metav1.OwnerReference{ownedBy(f.exs)},
			"annotations":     map[string]any{workload.AnnotationCanaryOf: f.exs.Name},
		}, size)
	case changeHand:
		// The Deployment takes what its selector matches and nobody owns.
		return f.patchSet(ctx, c.set, map[string]any{"ownerReferences": nil}, nil)
	case changeMark:
		return f.patchSet(ctx, c.set, map[string]any{}, mark(f.exs.Name))
	case changeUnmark:
		return f.patchSet(ctx, c.set, map[string]any{}, mark(nil))
	case changePromote:
		return f.patchSet(ctx, c.set, map[string]any{
			"annotations": map[string]any{workload.AnnotationCanaryOf: nil, workload.AnnotationStandInOf: nil},
		}, mark(nil))
	case changeScale:
		return f.scale(ctx, v.deployment, c)
	case changeDelete:
		return f.deleteSet(ctx, c.set)
	}
	return nil
}

// createCanary makes the canary. What it is to have it gets when the Deployment's controller has seen it.
func (f *following) createCanary(ctx context.Context, v *versions) error {
	s, err := f.shipping(v)
	if err != nil {
		return err
	}
	if stable := s.stableSet(); stable != nil && historyLimit(v.deployment) <= smallHistory {
		if err := f.keepCopy(ctx, stable.ReplicaSet); err != nil {
			return err
		}
	}
	var owner *metav1.OwnerReference
	if f.intents.Canary.Apart {
		owner = ptr.To(ownedBy(f.exs))
	}
	return f.create(ctx, workload.Canary(v.deployment, f.intents.Canary.Hash, f.exs.Name, owner))
}

func (f *Follower) create(ctx context.Context, set *appsv1.ReplicaSet) error {
	if err := f.Client.Create(ctx, set, client.FieldOwner(FieldManager), client.DisableReadYourWritesConsistency); err != nil {
		return fmt.Errorf("create ReplicaSet %s/%s: %w", set.Namespace, set.Name, err)
	}
	logf.FromContext(ctx).Info("made a ReplicaSet", "replicaset", set.Name)
	return nil
}

// mark is the spec by which a ReplicaSet gets or loses the mark on its pod template. Pods that it has do not change.
func mark(value any) map[string]any {
	return map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{workload.AnnotationCanaryOf: value}}}}
}

// ownedBy is the ExposedService as the owner of a ReplicaSet.
func ownedBy(exs *v1alpha1.ExposedService) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindExposedService, Name: exs.Name, UID: exs.UID, Controller: ptr.To(true),
	}
}

// scale gives a ReplicaSet another size, and the notes that belong to it.
func (f *Follower) scale(ctx context.Context, d *appsv1.Deployment, c change) error {
	notes := map[string]any{}
	for key, value := range workload.Notes(d) {
		notes[key] = value
	}
	if err := f.patchSet(ctx, c.set, map[string]any{"annotations": notes}, map[string]any{"replicas": *c.size}); err != nil {
		return err
	}
	logf.FromContext(ctx).Info("scaled a ReplicaSet", "replicaset", c.set.Name, "from", wants(c.set), "to", *c.size)
	return nil
}

// patchSet changes a ReplicaSet, if nobody has since it was read.
func (f *Follower) patchSet(ctx context.Context, set *appsv1.ReplicaSet, metadata, spec map[string]any) error {
	metadata["resourceVersion"], metadata["uid"] = set.ResourceVersion, set.UID
	fields := map[string]any{"metadata": metadata}
	if spec != nil {
		fields["spec"] = spec
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("write a change of ReplicaSet %s as JSON: %w", set.Name, err)
	}
	answer := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: set.Namespace, Name: set.Name}}
	err = f.Client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, body), client.FieldOwner(FieldManager),
		// Nothing reads them from the cache, which otherwise would have to watch all of them.
		client.DisableReadYourWritesConsistency)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("change ReplicaSet %s/%s: %w", set.Namespace, set.Name, err)
	}
	return nil
}

func (f *Follower) deleteSet(ctx context.Context, set *appsv1.ReplicaSet) error {
	err := f.Client.Delete(ctx, set.DeepCopy(), client.Preconditions{UID: &set.UID, ResourceVersion: &set.ResourceVersion},
		client.PropagationPolicy(metav1.DeletePropagationBackground), client.DisableReadYourWritesConsistency)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete ReplicaSet %s/%s: %w", set.Namespace, set.Name, err)
	}
	logf.FromContext(ctx).Info("deleted a ReplicaSet that is no longer to run", "replicaset", set.Name)
	return nil
}

// refusedChange notes why a change was not made.
func (f *following) refusedChange(c change, err error) {
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		f.out.Forbidden(gateway.PartRollout, fmt.Sprintf("spec.rollout: the ReplicaSets of Deployment %s cannot be changed (%s)",
			refs.Workload(f.exs).Name, c.kind), err)
		return
	}
	f.out.Fail(err)
}
