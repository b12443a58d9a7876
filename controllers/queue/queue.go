package queue

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
)

// Queue holds items that wait to be worked on, each once.
type Queue[T comparable] = workqueue.TypedRateLimitingInterface[T]

// New makes an empty queue. An item that failed (AddRateLimited) comes again after first, then each time after twice as
// long, up to last.
func New[T comparable](first, last time.Duration, clock clock.WithTicker) Queue[T] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[T](first, last), workqueue.TypedRateLimitingQueueConfig[T]{Clock: clock})
}

// Serve has items worked on, so many at once, until the context ends. It returns when the last is done.
func Serve[T comparable](ctx context.Context, items Queue[T], atOnce int, work func(context.Context, T)) error {
	var group errgroup.Group
	for range atOnce {
		group.Go(func() error {
			for Next(ctx, items, work) {
			}
			return nil
		})
	}
	<-ctx.Done()
	items.ShutDown()
	return group.Wait()
}

// Next has the next item worked on, and says whether there may be another: not once the queue is shut down.
func Next[T comparable](ctx context.Context, items Queue[T], work func(context.Context, T)) bool {
	item, over := items.Get()
	if over {
		return false
	}
	defer items.Done(item)
	work(ctx, item)
	return true
}
