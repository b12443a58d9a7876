package exposure

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
)

// An object in another namespace that the cache has not seen yet is one that only the finalizer leads to.
func TestTheFinalizerStaysForWhatTheCacheHasNotSeen(t *testing.T) {
	t.Parallel()
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "greeter", Finalizers: []string{v1alpha1.Finalizer},
	}}
	beside := kube.KindPatchPolicy.NewObject()
	ref := gateway.PatchRef(exs, "infra")
	beside.SetNamespace(ref.Namespace)
	beside.SetName(ref.Name)
	beside.SetAnnotations(map[string]string{v1alpha1.AnnotationIntent: "{}"})
	beside.SetLabels(map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: exs.Name, v1alpha1.LabelOwnerNamespace: exs.Namespace,
	})
	scheme, err := kube.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		there []client.Object
		stays bool
	}{
		"nothing is there":     {},
		"the cache is too old": {there: []client.Object{beside}, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(c.there, exs.DeepCopy())...).Build()
			read := &v1alpha1.ExposedService{}
			if err := live.Get(t.Context(), client.ObjectKeyFromObject(exs), read); err != nil {
				t.Fatal(err)
			}
			objects := kube.Objects{Client: live, Reader: live}
			r := &run{Reconciler: New(Config{Objects: objects}), exs: read, inventory: objects.NewInventory(read)}
			r.releaseFinalizer(t.Context())
			if len(r.exposing.Errs) > 0 {
				t.Fatal(r.exposing.Errs)
			}
			if err := live.Get(t.Context(), client.ObjectKeyFromObject(exs), read); err != nil {
				t.Fatal(err)
			}
			if stays := slices.Contains(read.Finalizers, v1alpha1.Finalizer); stays != c.stays {
				t.Errorf("the finalizers are %v", read.Finalizers)
			}
		})
	}
}
