package deployments

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// +kubebuilder:rbac:groups=apps,resources=controllerrevisions,verbs=get;create;delete

// smallHistory is a revisionHistoryLimit with which Kubernetes may delete the stable ReplicaSet while it has no pods: the Deployment's pod
// template is another one then, and what came in between counts too.
const smallHistory = 2

// copies remember for which ExposedServices there is a copy of the stable ReplicaSet, and for which there is none.
type copies struct {
	mu  sync.Mutex
	are map[types.NamespacedName]bool
}

func (c *copies) set(key types.NamespacedName, are bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.are == nil {
		c.are = map[types.NamespacedName]bool{}
	}
	c.are[key] = are
}

func (c *copies) forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.are, key)
}

// may say whether there may be one. What is not known, as after a restart, is asked of those that need one.
func (c *copies) may(key types.NamespacedName, needed bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	are, known := c.are[key]
	return are || !known && needed
}

// copyName is the name of the ControllerRevision that keeps the stable ReplicaSet.
func copyName(exs *v1alpha1.ExposedService) types.NamespacedName {
	return types.NamespacedName{Namespace: exs.Namespace, Name: exs.Name + "-stable"}
}

// keepCopy keeps a ReplicaSet, so that it can be made again after Kubernetes has deleted it.
func (f *following) keepCopy(ctx context.Context, set *appsv1.ReplicaSet) error {
	raw, err := json.Marshal(workload.Anew(set))
	if err != nil {
		return fmt.Errorf("write ReplicaSet %s as JSON: %w", set.Name, err)
	}
	name := copyName(f.exs)
	have, err := kube.Get[appsv1.ControllerRevision](ctx, f.Reader, name)
	switch {
	case err != nil:
		return err
	case have != nil && metav1.IsControlledBy(have, f.exs) && string(have.Data.Raw) == string(raw):
		return nil
	case have != nil:
		if err := f.deleteCopy(ctx, have); err != nil {
			return err
		}
	}
	f.copies.set(client.ObjectKeyFromObject(f.exs), true)
	kept := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: name.Namespace, Name: name.Name, OwnerReferences: []metav1.OwnerReference{ownedBy(f.exs)},
		},
		Data: runtime.RawExtension{Raw: raw}, Revision: 1,
	}
	if err := f.Client.Create(ctx, kept, client.FieldOwner(FieldManager), client.DisableReadYourWritesConsistency); err != nil {
		return fmt.Errorf("keep a copy of ReplicaSet %s: %w", set.Name, err)
	}
	return nil
}

// deleteCopy deletes a copy of this ExposedService's, and nothing of anybody else's.
func (f *following) deleteCopy(ctx context.Context, have *appsv1.ControllerRevision) error {
	if !metav1.IsControlledBy(have, f.exs) {
		return fmt.Errorf("ControllerRevision %s/%s is not Headgate's: delete it, or rename the ExposedService", have.Namespace, have.Name)
	}
	err := f.Client.Delete(ctx, have, client.Preconditions{UID: &have.UID}, client.DisableReadYourWritesConsistency)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete ControllerRevision %s/%s: %w", have.Namespace, have.Name, err)
	}
	return nil
}

// restore makes the stable ReplicaSet again from its copy. Without a copy nothing can be done.
func (f *following) restore(ctx context.Context, v *versions) error {
	have, err := kube.Get[appsv1.ControllerRevision](ctx, f.Reader, copyName(f.exs))
	if err != nil || have == nil || !metav1.IsControlledBy(have, f.exs) {
		return err
	}
	set := &appsv1.ReplicaSet{}
	if err := json.Unmarshal(have.Data.Raw, set); err != nil {
		return fmt.Errorf("read ControllerRevision %s/%s: %w", have.Namespace, have.Name, err)
	}
	revision, err := f.state.config.revision(set)
	if err != nil || revision != f.exs.Status.Rollout.Stable {
		return err
	}
	set.OwnerReferences = []metav1.OwnerReference{workload.OwnedBy(v.deployment)}
	if v.replicas() > 0 {
		// Kubernetes may delete one without pods at once.
		set.Spec.Replicas = ptr.To[int32](1)
		if set.Annotations == nil {
			set.Annotations = map[string]string{}
		}
		maps.Copy(set.Annotations, workload.Notes(v.deployment))
	}
	if err := f.Client.Create(ctx, set, client.FieldOwner(FieldManager), client.DisableReadYourWritesConsistency); err != nil {
		return fmt.Errorf("make ReplicaSet %s/%s again: %w", set.Namespace, set.Name, err)
	}
	return nil
}

// dropCopy deletes the copy that nobody needs any more.
func (f *following) dropCopy(ctx context.Context) error {
	key := client.ObjectKeyFromObject(f.exs)
	d := f.state.deployment
	switch f.intents.Workload {
	case rollout.WorkloadAtRest, rollout.WorkloadGivenUp:
	default:
		return nil
	}
	if d == nil || f.intents.Canary.Present || !f.copies.may(key, historyLimit(d) <= smallHistory) {
		return nil
	}
	have, err := kube.Get[appsv1.ControllerRevision](ctx, f.Reader, copyName(f.exs))
	if err != nil {
		return err
	}
	if have != nil && metav1.IsControlledBy(have, f.exs) {
		if err := f.deleteCopy(ctx, have); err != nil {
			return err
		}
	}
	f.copies.set(key, false)
	return nil
}
