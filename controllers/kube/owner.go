package kube

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// Ownership says whose an object is, seen from one ExposedService.
type Ownership int

const (
	// Foreign: somebody else's, never to be touched.
	Foreign Ownership = iota
	// Ours: made for this ExposedService.
	Ours
	// Adoptable: it carries our labels and nobody controls it, as after a restore from a backup. It
	// may be applied to, but not removed.
	Adoptable
	// Leftover: made for a deleted ExposedService of the same name; the garbage collector is about to
	// remove it.
	Leftover
)

// OwnershipOf decides by owner reference within a namespace. Across namespaces, where there can be
// none, labels, the annotation of the intent and the deterministic name must all agree.
//
// Labels alone prove nothing: the cluster copies the labels of a Service to the EndpointSlices that
// it makes for it, and people copy whole objects.
func OwnershipOf(object client.Object, exs *v1alpha1.ExposedService) Ownership {
	if slice, ok := object.(*discoveryv1.EndpointSlice); ok && slice.Labels[discoveryv1.LabelManagedBy] != gateway.SliceManager {
		return Foreign
	}
	controller := metav1.GetControllerOf(object)
	labelled := OwnerFromLabels(object) == client.ObjectKeyFromObject(exs)
	if object.GetNamespace() != exs.Namespace {
		if controller == nil && labelled && object.GetAnnotations()[v1alpha1.AnnotationIntent] != "" &&
			object.GetName() == gateway.PatchRef(exs, object.GetNamespace()).Name {
			return Ours
		}
		return Foreign
	}
	switch {
	case controller == nil && labelled:
		return Adoptable
	case controller == nil || !IsExposedService(controller) || controller.Name != exs.Name:
		return Foreign
	case controller.UID == exs.UID:
		return Ours
	}
	return Leftover
}

// IsExposedService says whether an owner is one.
func IsExposedService(reference *metav1.OwnerReference) bool {
	return reference.Kind == v1alpha1.KindExposedService && GroupOf(reference.APIVersion) == v1alpha1.GroupVersion.Group
}

// GroupOf is the group in an apiVersion; empty: the core group.
func GroupOf(apiVersion string) string {
	for i := range len(apiVersion) {
		if apiVersion[i] == '/' {
			return apiVersion[:i]
		}
	}
	return ""
}

// OwnerFromLabels is the ExposedService that the labels name; the zero value: none.
func OwnerFromLabels(object metav1.Object) types.NamespacedName {
	return ownerFromLabels(object.GetLabels())
}

func ownerFromLabels(labels map[string]string) types.NamespacedName {
	if labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy || labels[v1alpha1.LabelOwnerName] == "" {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: labels[v1alpha1.LabelOwnerNamespace], Name: labels[v1alpha1.LabelOwnerName]}
}

// OwnersOf are the ExposedServices that an object belongs to by its labels or its owner reference:
// two answers when somebody has changed one of them.
func OwnersOf(object client.Object) []types.NamespacedName {
	var out []types.NamespacedName
	if owner := OwnerFromLabels(object); owner.Name != "" {
		out = append(out, owner)
	}
	if controller := metav1.GetControllerOf(object); controller != nil && IsExposedService(controller) {
		owner := types.NamespacedName{Namespace: object.GetNamespace(), Name: controller.Name}
		if len(out) == 0 || out[0] != owner {
			out = append(out, owner)
		}
	}
	return out
}

// ownerReference makes the garbage collector remove an object together with its ExposedService.
func ownerReference(exs *v1alpha1.ExposedService) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindExposedService, Name: exs.Name, UID: exs.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}
}
