package deployments

import (
	"slices"
	"testing"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func newQueue(t *testing.T) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	return queue
}

// woken empties the queue and returns whom it held.
func woken(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) []string {
	var out []string
	for queue.Len() > 0 {
		item, _ := queue.Get()
		queue.Done(item)
		out = append(out, item.Name)
	}
	slices.Sort(out)
	return out
}
