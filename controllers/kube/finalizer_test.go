package kube

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/headgate/headgate/api/v1alpha1"
)

// What a refused patch would have changed is not taken for changed: whoever asks next would make something that only the
// finalizer removes.
func TestARefusedFinalizerIsNotThere(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	writer := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(exs).Build(), interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return refused
		},
	})
	for range 2 {
		if err := HoldFinalizer(t.Context(), writer, exs); !errors.Is(err, refused) {
			t.Errorf("hold: %v", err)
		}
	}
	exs.Finalizers = []string{v1alpha1.Finalizer}
	for range 2 {
		if err := ReleaseFinalizer(t.Context(), writer, exs); !errors.Is(err, refused) {
			t.Errorf("release: %v", err)
		}
	}
}

// A cache that has not seen that the finalizer went is not asked: with the finalizer of before, an object in another namespace would
// be made without one.
func TestAfterAChangeOfTheFinalizerTheCacheIsNotBelieved(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "greeter", Finalizers: []string{v1alpha1.Finalizer},
	}}
	live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(exs).Build()
	before := exs.DeepCopy()
	cached := interceptor.NewClient(live, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
			before.DeepCopyInto(object.(*v1alpha1.ExposedService))
			return nil
		},
	})
	reads := newFreshReads(cached, live, time.Second)
	key := client.ObjectKeyFromObject(exs)
	if err := live.Get(t.Context(), key, exs); err != nil {
		t.Fatal(err)
	}
	if err := ReleaseFinalizer(t.Context(), reads, exs); err != nil {
		t.Fatal(err)
	}
	read := &v1alpha1.ExposedService{}
	if err := reads.Get(t.Context(), key, read); err != nil || slices.Contains(read.Finalizers, v1alpha1.Finalizer) {
		t.Errorf("the finalizers are %v, %v", read.Finalizers, err)
	}
}
