package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// CatchUpTime is how long a read waits for the cache to see what was written before. It takes milliseconds, unless a watch is
	// broken: after a restart of the API server they come back one after the other, within a minute. All reads of a run
	// together have that time, and then leastWait each.
	CatchUpTime = 2 * time.Second
	leastWait   = 50 * time.Millisecond
	// behindFor is how long a kind whose cache was behind is read past it, before the cache is waited for again.
	behindFor = 30 * time.Second
)

// freshReads reads from the cache, once that has seen what was written before; and past the cache, when that takes too long. No
// failover may wait for a watch.
//
// The client of controller-runtime alone waits as long as it may. It can wait for ever: it counts the events of a kind, so that an
// object which was written and deleted while the watch was broken keeps it waiting for a version that no event brings (0.25.2,
// pkg/client/internal/consistencyhandler), and every list of the kind with it.
type freshReads struct {
	client.Client
	// live reads past the cache.
	live  client.Reader
	clock clock.PassiveClock
	// patience is CatchUpTime.
	patience time.Duration

	mu sync.Mutex
	// behind are the kinds that are read past the cache, and until when. A list of a kind is of the same cache.
	behind map[schema.GroupVersionKind]time.Time
	// stale are the objects that are read past the cache, and until when.
	stale map[staleObject]time.Time
}

// SeesOwnWrites says whether reads wait for what was written before. With several namespaces each has a watch of its own, and
// the version that one of them has come to says nothing of the others.
func SeesOwnWrites(namespaces []string) bool { return len(namespaces) <= 1 }

// NewFreshReads makes the client of a manager.
func NewFreshReads(config *rest.Config, options client.Options) (client.Client, error) {
	cached, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("make the client that reads from the cache: %w", err)
	}
	options.Cache = nil
	live, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("make the client that reads past the cache: %w", err)
	}
	return newFreshReads(cached, live, CatchUpTime), nil
}

func newFreshReads(cached client.Client, live client.Reader, patience time.Duration) *freshReads {
	return &freshReads{
		Client: cached, live: live, clock: clock.RealClock{}, patience: patience,
		behind: map[schema.GroupVersionKind]time.Time{}, stale: map[staleObject]time.Time{},
	}
}

// Get implements client.Reader.
func (f *freshReads) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if f.isStale(object, key) {
		// In a namespace that ends the right to read may be gone, while the watch goes on.
		if err := f.live.Get(ctx, key, object, options...); !apierrors.IsForbidden(err) {
			return err
		}
	}
	waited, err := f.wait(ctx, object, func(ctx context.Context) error { return f.Client.Get(ctx, key, object, options...) })
	if waited {
		return err
	}
	return f.live.Get(ctx, key, object, options...)
}

// List implements client.Reader. What only an index of the cache can find is found there, and each object read past it.
func (f *freshReads) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	waited, err := f.wait(ctx, list, func(ctx context.Context) error { return f.Client.List(ctx, list, options...) })
	if waited {
		return err
	}
	asked := (&client.ListOptions{}).ApplyOptions(options)
	if asked.FieldSelector == nil || asked.FieldSelector.Empty() {
		return f.live.List(ctx, list, options...)
	}
	if err := f.Client.List(ctx, list, append(options, client.DisableReadYourWritesConsistency)...); err != nil {
		return err
	}
	var fresh []runtime.Object
	if err := meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.DeepCopyObject().(client.Object)
		if !ok {
			return fmt.Errorf("%T has no metadata", item)
		}
		err := f.live.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		fresh = append(fresh, object)
		return err
	}); err != nil {
		return fmt.Errorf("read what a cache that is behind has of %T: %w", list, err)
	}
	return meta.SetList(list, fresh)
}

// waiting is how long the reads of a run have taken.
type waiting struct{ spent time.Duration }

type waitingKey struct{}

// WaitOnce has all reads with the context share the time that they wait for caches which are behind: those of many kinds
// may be. The reads come one after the other.
func WaitOnce(ctx context.Context) context.Context {
	return context.WithValue(ctx, waitingKey{}, &waiting{})
}

func waitOf(ctx context.Context) *waiting {
	if shared, ok := ctx.Value(waitingKey{}).(*waiting); ok {
		return shared
	}
	return &waiting{}
}

// wait reads, and says whether the cache was up to date within the time that it has for that.
func (f *freshReads) wait(ctx context.Context, object runtime.Object, read func(context.Context) error) (bool, error) {
	kind, err := f.GroupVersionKindFor(object)
	if err != nil {
		return true, fmt.Errorf("read a %T: %w", object, err)
	}
	kind.Kind = strings.TrimSuffix(kind.Kind, "List")
	if f.isBehind(kind) {
		return false, nil
	}
	wait := waitOf(ctx)
	limited, cancel := context.WithTimeout(ctx, max(f.patience-wait.spent, leastWait))
	defer cancel()
	start := f.clock.Now()
	err = read(limited)
	wait.spent += f.clock.Since(start)
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return true, err
	}
	logf.FromContext(ctx).Info("the cache does not see what was written: it is read past it", "kind", kind.Kind, "for", behindFor.String())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behind[kind] = f.clock.Now().Add(behindFor)
	return false, nil
}

func (f *freshReads) isBehind(kind schema.GroupVersionKind) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock.Now().Before(f.behind[kind])
}

func (f *freshReads) noteStale(object client.Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.clock.Now()
	for have, until := range f.stale {
		if !now.Before(until) {
			delete(f.stale, have)
		}
	}
	f.stale[staleObject{fmt.Sprintf("%T", object), client.ObjectKeyFromObject(object)}] = now.Add(staleFor)
}

func (f *freshReads) isStale(object client.Object, key client.ObjectKey) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.stale) == 0 {
		return false
	}
	return f.clock.Now().Before(f.stale[staleObject{fmt.Sprintf("%T", object), key}])
}
