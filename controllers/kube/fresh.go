package kube

import (
	"context"
	"errors"
	"fmt"
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
	// broken: after a restart of the API server they come back one after the other, within a minute.
	CatchUpTime = 2 * time.Second
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

	mu sync.Mutex
	// behind are the kinds that are read past the cache, and until when.
	behind map[schema.GroupVersionKind]time.Time
	// stale are the objects that are read past the cache, and until when.
	stale map[staleObject]time.Time
}

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
	return &freshReads{Client: cached, live: live, clock: clock.RealClock{}, behind: map[schema.GroupVersionKind]time.Time{}, stale: map[staleObject]time.Time{}}, nil
}

// Get implements client.Reader.
func (f *freshReads) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if f.isStale(object, key) {
		return f.live.Get(ctx, key, object, options...)
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

// wait reads, and says whether the cache was up to date within the time that it has for that.
func (f *freshReads) wait(ctx context.Context, object runtime.Object, read func(context.Context) error) (bool, error) {
	kind, err := f.GroupVersionKindFor(object)
	if err != nil {
		return true, fmt.Errorf("read a %T: %w", object, err)
	}
	if f.isBehind(kind) {
		return false, nil
	}
	limited, cancel := context.WithTimeout(ctx, CatchUpTime)
	defer cancel()
	err = read(limited)
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
