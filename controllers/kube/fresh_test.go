package kube

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// behindCache is a cache that never catches up; waited are how long it was waited for.
func behindCache(t *testing.T, patience time.Duration) (reads *freshReads, waited *[]time.Duration) {
	t.Helper()
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	live := fake.NewClientBuilder().WithScheme(scheme).Build()
	waited = &[]time.Duration{}
	wait := func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		*waited = append(*waited, time.Until(deadline))
		<-ctx.Done()
		return ctx.Err()
	}
	cached := interceptor.NewClient(live, interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return wait(ctx)
		},
		List: func(ctx context.Context, _ client.WithWatch, _ client.ObjectList, _ ...client.ListOption) error {
			return wait(ctx)
		},
	})
	return newFreshReads(cached, live, patience), waited
}

// A kind whose cache was found behind by a list is not waited for again by a get, or the other way round.
func TestAKindIsWaitedForOnce(t *testing.T) {
	reads, waited := behindCache(t, 10*time.Millisecond)
	if err := reads.List(t.Context(), &corev1.ServiceList{}); err != nil {
		t.Fatal(err)
	}
	if err := reads.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "greeter"}, &corev1.Service{}); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if n := len(*waited); n != 1 {
		t.Errorf("waited %d times", n)
	}
}

// However many kinds are behind, a run waits for their caches no longer than for one.
func TestTheReadsOfARunShareTheirWaiting(t *testing.T) {
	const patience = 300 * time.Millisecond
	reads, waited := behindCache(t, patience)
	ctx := WaitOnce(t.Context())
	for _, list := range []client.ObjectList{KindService.NewList(), KindEndpointSlice.NewList(), KindRoute.NewList()} {
		if err := reads.List(ctx, list); err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range *waited {
		if i > 0 && d > leastWait {
			t.Errorf("read %d may wait for %s", i, d)
		}
	}
	if err := reads.List(WaitOnce(t.Context()), KindBackend.NewList()); err != nil {
		t.Fatal(err)
	}
	if last := (*waited)[len(*waited)-1]; last <= leastWait {
		t.Errorf("the next run waits for %s", last)
	}
}

func TestAReadThatItsCallerGivesUpIsNotRepeatedPastTheCache(t *testing.T) {
	reads, _ := behindCache(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := reads.List(ctx, &corev1.ServiceList{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOwnWritesAreSeenInOneNamespaceOrInAll(t *testing.T) {
	for n, want := range map[int]bool{0: true, 1: true, 2: false} {
		if got := SeesOwnWrites(make([]string, n)); got != want {
			t.Errorf("%d namespaces: %t", n, got)
		}
	}
}

// What may not be read past the cache any more is read from it: a namespace that ends may take the RoleBinding first.
func TestAStaleObjectThatMayNotBeReadIsReadFromTheCache(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	cached := fake.NewClientBuilder().WithScheme(scheme).WithObjects(service).Build()
	lives := 0
	live := interceptor.NewClient(cached, interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			lives++
			return apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "greeter", nil)
		},
	})
	reads := newFreshReads(cached, live, time.Second)
	NoteConflict(reads, service, apierrors.NewConflict(schema.GroupResource{Resource: "services"}, "greeter", nil))
	if err := reads.Get(t.Context(), client.ObjectKeyFromObject(service), &corev1.Service{}); err != nil || lives != 1 {
		t.Errorf("after %d live reads: %v", lives, err)
	}
}
