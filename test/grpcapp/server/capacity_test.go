package server

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"
)

// call takes a worker, works, and says how long it has waited and what it got.
func call(ctx context.Context, w *workers, work time.Duration) (waited time.Duration, err error) {
	began := time.Now()
	letGo, err := w.take(ctx)
	waited = time.Since(began)
	if err == nil {
		time.Sleep(work)
		letGo()
	}
	return waited, err
}

func TestCallsWaitInOrderAndTheRestIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &workers{Capacity: Capacity{Limit: 2, Queue: 3, Code: codes.ResourceExhausted}}
		waits, errs := make([]time.Duration, 6), make([]error, 6)
		var calls sync.WaitGroup
		for i := range waits {
			calls.Go(func() {
				time.Sleep(time.Duration(i) * time.Microsecond) // One comes after the other.
				waits[i], errs[i] = call(t.Context(), w, time.Second)
			})
		}
		calls.Wait()
		for i := range waits {
			waits[i] = waits[i].Round(time.Millisecond)
		}
		if want := []time.Duration{0, 0, time.Second, time.Second, 2 * time.Second, 0}; !slices.Equal(waits, want) {
			t.Errorf("the calls waited %v, want %v", waits, want)
		}
		if got := status.Code(errs[5]); got != codes.ResourceExhausted {
			t.Errorf("who found no place got %s", got)
		}
	})
}

// TestWorkersAreNeitherLostNorMade: whatever calls come and give up, as many work at once as may, and in the end all workers are free.
func TestWorkersAreNeitherLostNorMade(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 4).Draw(rt, "limit")
		w := &workers{Capacity: Capacity{Limit: limit, Queue: rapid.IntRange(Unbounded, 5).Draw(rt, "queue"), Code: codes.Unavailable}}
		times := rapid.SliceOfN(rapid.IntRange(0, 20), 3, 60).Draw(rt, "come, work, give up")
		synctest.Test(t, func(t *testing.T) {
			var calls sync.WaitGroup
			for i := 0; i+2 < len(times); i += 3 {
				calls.Go(func() {
					time.Sleep(time.Duration(times[i]) * time.Millisecond)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(times[i+2])*time.Millisecond)
					defer cancel()
					_, _ = call(ctx, w, time.Duration(times[i+1])*time.Millisecond)
					w.mu.Lock()
					defer w.mu.Unlock()
					if w.busy > limit {
						t.Errorf("%d work at once, of %d", w.busy, limit)
					}
				})
			}
			calls.Wait()
			if w.busy != 0 || len(w.waiting) != 0 {
				t.Errorf("in the end %d work and %d wait", w.busy, len(w.waiting))
			}
		})
	})
}
