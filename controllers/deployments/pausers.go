package deployments

import (
	"encoding/json"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// fieldPaused is all that is kept of the fields that somebody owns.
const fieldPaused = `{"f:spec":{"f:paused":{}}}`

// KeepPausers strips from a Deployment that goes into the cache what is known of the owners of its fields,
// but for those of spec.paused. A cache may do so again with what it has: that must change nothing.
func KeepPausers(object any) (any, error) {
	d, ok := object.(*appsv1.Deployment)
	if !ok {
		return object, nil
	}
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range d.ManagedFields {
		if ownsPaused(entry.FieldsV1) {
			kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager, Operation: entry.Operation, FieldsV1: metav1.NewFieldsV1(fieldPaused)})
		}
	}
	d.ManagedFields = kept
	return d, nil
}

func ownsPaused(fields *metav1.FieldsV1) bool {
	if fields == nil || !strings.Contains(fields.GetRawString(), `"f:paused"`) {
		return false
	}
	var owned struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if json.Unmarshal(fields.GetRawBytes(), &owned) != nil {
		return false
	}
	_, paused := owned.Spec["f:paused"]
	return paused
}

// pausers says who pauses a Deployment from the cache: Headgate or the admission policy, and somebody else, by the name of the field
// manager. What the policy sets belongs to nobody.
func pausers(d *appsv1.Deployment) (ours bool, other string) {
	if !d.Spec.Paused {
		return false, ""
	}
	for _, entry := range d.ManagedFields {
		if entry.Manager == FieldManager || entry.Manager == leftManager {
			ours = true
		} else {
			other = entry.Manager
		}
	}
	if ours || other != "" {
		return ours, other
	}
	if d.Labels[v1alpha1.LabelRollout] != "" {
		return true, ""
	}
	return false, "somebody" // Whoever does not say who they are.
}

// isLeft: a rollout has left the Deployment from the cache held, and nobody holds it any more.
func isLeft(d *appsv1.Deployment) bool {
	by := func(manager string) bool {
		return slices.ContainsFunc(d.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == manager })
	}
	return by(leftManager) && !by(FieldManager)
}

// holds: Headgate itself has paused a Deployment from the cache.
func holds(d *appsv1.Deployment) bool {
	return d.Spec.Paused && slices.ContainsFunc(d.ManagedFields, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == FieldManager })
}
