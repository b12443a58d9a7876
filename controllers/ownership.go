package controllers

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// ownership says whose an object is, seen from one ExposedService.
type ownership int

const (
	// foreign: somebody else's, never to be touched.
	foreign ownership = iota
	// ours: made for this ExposedService.
	ours
	// adoptable: it carries our labels and nobody controls it, as after a restore from a backup. It
	// may be applied to, but not removed.
	adoptable
	// leftover: made for a deleted ExposedService of the same name; the garbage collector is about to
	// remove it.
	leftover
)

// ownershipOf decides by owner reference within a namespace. Across namespaces, where there can be
// none, labels, the annotation of the intent and the deterministic name must all agree.
//
// Labels alone prove nothing: the cluster copies the labels of a Service to the EndpointSlices that
// it makes for it, and people copy whole objects.
func ownershipOf(object client.Object, exs *v1alpha1.ExposedService) ownership {
	if slice, ok := object.(*discoveryv1.EndpointSlice); ok && slice.Labels[discoveryv1.LabelManagedBy] != gateway.SliceManager {
		return foreign
	}
	controller := metav1.GetControllerOf(object)
	labelled := ownerFromLabels(object) == client.ObjectKeyFromObject(exs)
	if object.GetNamespace() != exs.Namespace {
		if controller == nil && labelled && object.GetAnnotations()[v1alpha1.AnnotationIntent] != "" &&
			object.GetName() == gateway.PatchRef(exs, object.GetNamespace()).Name {
			return ours
		}
		return foreign
	}
	switch {
	case controller == nil && labelled:
		return adoptable
	case controller == nil || !isExposedService(controller) || controller.Name != exs.Name:
		return foreign
	case controller.UID == exs.UID:
		return ours
	}
	return leftover
}

func isExposedService(reference *metav1.OwnerReference) bool {
	return reference.Kind == v1alpha1.KindExposedService && groupOf(reference.APIVersion) == v1alpha1.GroupVersion.Group
}

func groupOf(apiVersion string) string {
	for i := range len(apiVersion) {
		if apiVersion[i] == '/' {
			return apiVersion[:i]
		}
	}
	return ""
}

// ownerFromLabels is the ExposedService that the labels name; the zero value: none.
func ownerFromLabels(object client.Object) types.NamespacedName {
	labels := object.GetLabels()
	if labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy || labels[v1alpha1.LabelOwnerName] == "" {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: labels[v1alpha1.LabelOwnerNamespace], Name: labels[v1alpha1.LabelOwnerName]}
}

// ownersOf are the ExposedServices that an object belongs to by its labels or its owner reference:
// two answers when somebody has changed one of them.
func ownersOf(object client.Object) []types.NamespacedName {
	var out []types.NamespacedName
	if owner := ownerFromLabels(object); owner.Name != "" {
		out = append(out, owner)
	}
	if controller := metav1.GetControllerOf(object); controller != nil && isExposedService(controller) {
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
