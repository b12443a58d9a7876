package queue

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// So many items are worked on at once, each once, and when the context ends those under way are waited for.
func TestItemsAreServedByABoundedNumberOfWorkers(t *testing.T) {
	const atOnce, items = 3, 20
	q := New[int](time.Millisecond, time.Second, clock.RealClock{})
	for i := range items {
		q.Add(i)
		q.Add(i)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var now, most, done atomic.Int32
	began, release := make(chan struct{}, items), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, q, atOnce, func(context.Context, int) {
			most.Store(max(most.Load(), now.Add(1)))
			began <- struct{}{}
			<-release
			now.Add(-1)
			done.Add(1)
		})
	}()
	for range atOnce {
		<-began
	}
	for range items - atOnce {
		release <- struct{}{}
		<-began
	}
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("it has ended before its workers (%v)", err)
	default:
	}
	close(release)
	if err := <-ended; err != nil || done.Load() != items || most.Load() > atOnce {
		t.Errorf("%d of %d are done, %d at once (%v)", done.Load(), items, most.Load(), err)
	}
	if Next(t.Context(), q, func(context.Context, int) {}) {
		t.Error("there is another one")
	}
}
