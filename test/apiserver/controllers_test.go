package apiserver

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Without this the tests that play the controllers themselves would depend on whether another one has started them.
func TestControllersKeepToTheirNamespaces(t *testing.T) {
	kube := Client(t)
	ours, theirs := Namespace(t, kube), Namespace(t, kube)
	Controllers(t, kube, theirs)
	fill := func(namespace string) {
		t.Helper()
		owner := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "gone", UID: types.UID("gone")}
		for _, object := range []client.Object{
			&corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace},
				Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
			},
			&discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{Name: "web-byhand", Namespace: namespace, Labels: map[string]string{
					discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
				}},
				AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}},
			},
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", Namespace: namespace, OwnerReferences: []metav1.OwnerReference{owner}}},
		} {
			if err := kube.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
		}
		if err := kube.Apply(t.Context(), applied(namespace, "app:1"), client.FieldOwner("test")); err != nil {
			t.Fatal(err)
		}
	}
	// left is what there is of hand-made EndpointSlices and owned objects, and how many ReplicaSets there are.
	left := func(namespace string) string {
		t.Helper()
		var slices discoveryv1.EndpointSliceList
		var owned corev1.ConfigMapList
		var sets appsv1.ReplicaSetList
		for _, list := range []client.ObjectList{&slices, &owned, &sets} {
			if err := kube.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
				t.Fatal(err)
			}
		}
		endpoints := 0
		for _, slice := range slices.Items {
			endpoints += len(slice.Endpoints)
		}
		return fmt.Sprintf("%d endpoints, %d owned, %d ReplicaSets", endpoints, len(owned.Items), len(sets.Items))
	}
	fill(ours)
	fill(theirs)
	eventually(t, "they work in theirs", func() error {
		if is := left(theirs); is != "0 endpoints, 0 owned, 1 ReplicaSets" {
			return fmt.Errorf("there are %s", is)
		}
		return nil
	})
	if is, want := left(ours), "1 endpoints, 1 owned, 0 ReplicaSets"; is != want {
		t.Errorf("in ours there are %s, not %s", is, want)
	}
}
