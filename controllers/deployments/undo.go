package deployments

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/rollout/workload"
)

// +kubebuilder:rbac:groups=apps,resources=replicasets,verbs=list
// +kubebuilder:rbac:groups=apps,resources=replicasets/scale,verbs=patch

// undo takes a part of what Kubernetes has begun to roll out of a held Deployment back, if that was decided. The
// rest follows when the Deployment's status tells of the pods.
func (f *following) undo(ctx context.Context) error {
	d := f.state.deployment
	if !f.intents.Undo || d == nil || !d.Spec.Paused || !isSettled(d) || f.state.rival != nil {
		return nil
	}
	unwanted, err := workload.Revision(&d.Spec.Template, "")
	if err != nil {
		return fmt.Errorf("Deployment %s: %w", d.Name, err)
	}
	// It is read as it is now: sizes are changed by it. The decision is written by now, and the next run is as good.
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	listed, err := replicaSets(ctx, f.Reader, subjectOf(d))
	if err != nil {
		return err
	}
	sets := make([]workload.ReplicaSet, len(listed))
	byName := make(map[string]*appsv1.ReplicaSet, len(listed))
	stable := rollout.TemplateOf(f.exs.Status.Rollout.Stable)
	for i := range listed {
		set := &listed[i]
		revision, err := workload.Revision(&set.Spec.Template, "")
		if err != nil {
			return fmt.Errorf("ReplicaSet %s: %w", set.Name, err)
		}
		byName[set.Name] = set
		sets[i] = workload.ReplicaSet{
			Name: set.Name, Created: set.CreationTimestamp.Time, Unwanted: revision == unwanted && revision != stable,
			Stable: revision == stable, Replicas: *set.Spec.Replicas, Ready: set.Status.ReadyReplicas,
		}
	}
	for _, size := range workload.Undo(d, sets) {
		if err := f.scale(ctx, f.exs, byName[size.Name], size.Replicas); err != nil {
			return err
		}
	}
	return nil
}

// scale gives a ReplicaSet another size, if it has not been changed since it was read.
func (f *Follower) scale(ctx context.Context, exs *v1alpha1.ExposedService, set *appsv1.ReplicaSet, replicas int32) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": set.ResourceVersion}, "spec": map[string]any{"replicas": replicas},
	})
	if err != nil {
		return fmt.Errorf("write the scale of ReplicaSet %s as JSON: %w", set.Name, err)
	}
	err = f.Client.SubResource("scale").Patch(ctx, set, client.RawPatch(types.MergePatchType, body), client.WithSubResourceBody(&autoscalingv1.Scale{}),
		// Nothing reads them from the cache, which otherwise would have to watch all of them.
		client.DisableReadYourWritesConsistency)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("scale ReplicaSet %s/%s to %d: %w", set.Namespace, set.Name, replicas, err)
	}
	f.Events.Write(exs, kube.Event{
		Type: corev1.EventTypeNormal, Reason: kube.ReasonScaled, Action: kube.ActionApply,
		Note: fmt.Sprintf("ReplicaSet %s goes from %d to %d pods: what Kubernetes has begun to roll out of %s is undone",
			set.Name, *set.Spec.Replicas, replicas, refs.Workload(exs).Name),
	})
	return nil
}
