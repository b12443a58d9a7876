package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// removeForeign takes those of one's conditions out of a status that were not said and are there all the same: they are
// another field manager's, such as that of a restore from a backup. Not to say them does not remove them.
func (w *Writer) removeForeign(ctx context.Context, live *v1alpha1.ExposedService, manager string, ours []string, said []metav1.Condition) error {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	// With the resource version the server refuses if the list is another one by now.
	patch := []operation{{Op: "replace", Path: "/metadata/resourceVersion", Value: live.ResourceVersion}}
	for i, condition := range slices.Backward(live.Status.Conditions) {
		isSaid := slices.ContainsFunc(said, func(c metav1.Condition) bool { return c.Type == condition.Type })
		if !isSaid && slices.Contains(ours, condition.Type) {
			patch = append(patch, operation{Op: "remove", Path: fmt.Sprintf("/status/conditions/%d", i)})
		}
	}
	if len(patch) == 1 {
		return nil
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("write a patch of the conditions of ExposedService %s as JSON: %w", client.ObjectKeyFromObject(live), err)
	}
	if err := w.client.Status().Patch(ctx, live, client.RawPatch(types.JSONPatchType, body), client.FieldOwner(manager)); err != nil {
		return fmt.Errorf("remove conditions of ExposedService %s that others have set: %w", client.ObjectKeyFromObject(live), err)
	}
	return nil
}
