package shop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// looksOfQuiet is how often at least a number has to be seen unchanged: on a busy machine looks are rare, and so is what is looked at.
const looksOfQuiet = 15

// Quiet returns what says, asked again and again, whether all is at rest; nil: it is. At rest is what has got to know all that there
// is, and has then left a number the same for a while.
func Quiet(while time.Duration, number func() (int, error), caughtUp func() error) func() error {
	knows, last, looks, since := false, -1, 0, time.Now()
	return func() error {
		now, err := number()
		if err != nil {
			return err
		}
		if now != last {
			knows, last = false, now
			return errors.New("it still works")
		}
		if !knows {
			// It is asked for only between runs: it costs the API server a list of each kind.
			if err := caughtUp(); err != nil {
				return err
			}
			knows, looks, since = true, 0, time.Now()
		}
		if looks++; looks < looksOfQuiet || time.Since(since) < while {
			return errors.New("it still works")
		}
		// What it has done last may have had consequences that it has not heard of.
		if err := caughtUp(); err != nil {
			knows = false
			return err
		}
		return nil
	}
}

// CaughtUp is nil when a cache has the objects of a namespace that the API server has, in the same versions. The lists are of the
// kinds that are compared.
func CaughtUp(ctx context.Context, server, cache client.Reader, namespace string, lists ...func() client.ObjectList) error {
	for _, list := range lists {
		live, err := versions(ctx, server, list(), namespace)
		if err != nil {
			return err
		}
		seen, err := versions(ctx, cache, list(), namespace)
		if err != nil {
			return err
		}
		for name, version := range live {
			if seen[name] != version {
				return fmt.Errorf("%T %s is cached in version %q, and is in version %q", list(), name, seen[name], version)
			}
		}
		if len(seen) > len(live) {
			return fmt.Errorf("%d of %T are cached, and %d are there", len(seen), list(), len(live))
		}
	}
	return nil
}

func versions(ctx context.Context, reader client.Reader, list client.ObjectList, namespace string) (map[types.NamespacedName]string, error) {
	if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list %T: %w", list, err)
	}
	out := map[types.NamespacedName]string{}
	err := meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("%T is no object", item)
		}
		out[client.ObjectKeyFromObject(object)] = object.GetResourceVersion()
		return nil
	})
	return out, err
}
