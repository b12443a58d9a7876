package kube

import (
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

func TestOwnership(t *testing.T) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter", UID: "1"}}
	labels := map[string]string{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelOwnerName: "greeter", v1alpha1.LabelOwnerNamespace: "shop",
	}
	owner := func(kind, name string, uid types.UID) []metav1.OwnerReference {
		return []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: kind, Name: name, UID: uid, Controller: ptr.To(true),
		}}
	}
	service := func(labels map[string]string, owners []metav1.OwnerReference) client.Object {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter-primary-gw", Labels: labels, OwnerReferences: owners}}
	}
	slice := func(manager string, owners []metav1.OwnerReference) client.Object {
		own := map[string]string{discoveryv1.LabelManagedBy: manager}
		for key, value := range labels {
			own[key] = value
		}
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "x", Labels: own, OwnerReferences: owners}}
	}
	patch := func(name string, labels, annotations map[string]string) client.Object {
		return &egv1a1.EnvoyPatchPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "infra", Name: name, Labels: labels, Annotations: annotations}}
	}
	intent := map[string]string{v1alpha1.AnnotationIntent: "abc"}
	patchName := gateway.PatchRef(exs, "infra").Name

	for name, c := range map[string]struct {
		object client.Object
		want   Ownership
	}{
		"owned":                              {service(labels, owner("ExposedService", "greeter", "1")), Ours},
		"owned, labels taken away":           {service(nil, owner("ExposedService", "greeter", "1")), Ours},
		"labelled and owned by nobody":       {service(labels, nil), Adoptable},
		"neither labelled nor owned":         {service(nil, nil), Foreign},
		"of a deleted namesake":              {service(labels, owner("ExposedService", "greeter", "2")), Leftover},
		"of another ExposedService":          {service(labels, owner("ExposedService", "other", "1")), Foreign},
		"of another kind":                    {service(labels, owner("Deployment", "greeter", "1")), Foreign},
		"our slice":                          {slice(gateway.SliceManager, owner("ExposedService", "greeter", "1")), Ours},
		"the cluster's slice":                {slice("endpointslice-controller.k8s.io", owner("Service", "greeter-primary-gw", "1")), Foreign},
		"the cluster's slice without owner":  {slice("endpointslice-controller.k8s.io", nil), Foreign},
		"patch elsewhere":                    {patch(patchName, labels, intent), Ours},
		"patch elsewhere under another name": {patch("copy", labels, intent), Foreign},
		"patch elsewhere without intent":     {patch(patchName, labels, nil), Foreign},
		"patch elsewhere without labels":     {patch(patchName, nil, intent), Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			if got := OwnershipOf(c.object, exs); got != c.want {
				t.Errorf("ownership is %d, want %d", got, c.want)
			}
		})
	}
}
