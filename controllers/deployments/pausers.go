package deployments

import (
	"encoding/json"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// pausers says who pauses a Deployment from the cache: Headgate, and somebody else, by the name of the field
// manager.
func pausers(d *appsv1.Deployment) (ours bool, other string) {
	if !d.Spec.Paused {
		return false, ""
	}
	for _, entry := range d.ManagedFields {
		if entry.Manager == FieldManager {
			ours = true
		} else {
			other = entry.Manager
		}
	}
	if !ours && other == "" {
		other = "somebody" // Whoever does not say who they are.
	}
	return ours, other
}
