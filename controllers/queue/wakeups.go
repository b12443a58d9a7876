package queue

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// WakeUps are a source of requests for a controller, from one in the same process. Nobody waits for the other:
// requests go straight into the queue, where equal ones are one. Before the controller has started there is no queue,
// and no need for requests, because it begins with everything.
type WakeUps struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Start implements source.Func.
func (w *WakeUps) Start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
	return nil
}

// Wake asks for a run for each of the names.
func (w *WakeUps) Wake(names ...types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		return
	}
	for _, name := range names {
		w.queue.Add(reconcile.Request{NamespacedName: name})
	}
}

// StartWith is a source of one request, which is worked on when all sources of the controller have been read.
func StartWith(request reconcile.Request) source.Func {
	return func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(request)
		return nil
	}
}
