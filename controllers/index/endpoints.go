package index

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// endpointPriority is that of requests for which endpoints have changed: they come before everything else, because
// calls may fail meanwhile.
const endpointPriority = 100

// endpointHandler leads from EndpointSlices to those that they matter to, before everybody else who waits.
type endpointHandler struct {
	names func(context.Context, client.Object) []types.NamespacedName
	// noted, if set, is told of events that a decision may follow.
	noted func([]types.NamespacedName)
}

var _ handler.EventHandler = endpointHandler{}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Create implements handler.EventHandler.
func (h endpointHandler) Create(ctx context.Context, e event.CreateEvent, q queue) {
	if e.IsInInitialList {
		// Nothing has changed: everything is looked at for the first time.
		h.add(ctx, q, handler.LowPriority, e.Object)
		return
	}
	h.add(ctx, q, endpointPriority, e.Object)
}

// Update implements handler.EventHandler.
func (h endpointHandler) Update(ctx context.Context, e event.UpdateEvent, q queue) {
	if e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() {
		h.add(ctx, q, handler.LowPriority, e.ObjectNew)
		return
	}
	h.add(ctx, q, endpointPriority, e.ObjectOld, e.ObjectNew)
}

// Delete implements handler.EventHandler.
func (h endpointHandler) Delete(ctx context.Context, e event.DeleteEvent, q queue) {
	h.add(ctx, q, endpointPriority, e.Object)
}

// Generic implements handler.EventHandler.
func (h endpointHandler) Generic(ctx context.Context, e event.GenericEvent, q queue) {
	h.add(ctx, q, endpointPriority, e.Object)
}

func (h endpointHandler) add(ctx context.Context, q queue, priority int, objects ...client.Object) {
	var names []types.NamespacedName
	for _, object := range objects {
		names = append(names, h.names(ctx, object)...)
	}
	if h.noted != nil && priority == endpointPriority {
		h.noted(names)
	}
	wanted := requests(names)
	if p, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		p.AddWithOpts(priorityqueue.AddOpts{Priority: ptr.To(priority)}, wanted...)
		return
	}
	for _, request := range wanted {
		q.Add(request)
	}
}
