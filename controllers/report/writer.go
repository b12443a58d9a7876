package report

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

// Writer writes the status of ExposedServices, and events about it.
type Writer struct {
	client client.Client
	events kube.Events
	clock  clock.PassiveClock
	said   *said
}

// NewWriter has said nothing yet.
func NewWriter(client client.Client, events kube.Events, clock clock.PassiveClock) *Writer {
	return &Writer{client: client, events: events, clock: clock, said: newSaid()}
}

// Forget drops what is kept in memory of an ExposedService.
func (w *Writer) Forget(key types.NamespacedName) { w.said.forget(key) }

// apply writes a half of the status. It says first that it does, because the news of it may come before the answer.
func (w *Writer) apply(
	ctx context.Context, exs *v1alpha1.ExposedService, manager string, half v1alpha1.ExposedServiceStatus,
) (*v1alpha1.ExposedService, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.KindExposedService,
		// With the resource version the server refuses what was made from an old status: somebody else may lead by now.
		"metadata": map[string]any{"name": exs.Name, "namespace": exs.Namespace, "uid": exs.UID, "resourceVersion": exs.ResourceVersion},
		"status":   half,
	})
	if err != nil {
		return nil, fmt.Errorf("write the status as JSON: %w", err)
	}
	w.said.note(exs, manager, half)
	answer := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: exs.Name, Namespace: exs.Namespace}}
	return answer, w.client.Status().Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(manager), client.ForceOwnership)
}
