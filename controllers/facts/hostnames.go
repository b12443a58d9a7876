package facts

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// Host names that belong to a namespace may lie under those of another.
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch

// hostnames reads which host names belong to a namespace, and which to others. Where that is not enforced, it matters on Gateways
// alone, and only what belongs to the namespace.
func (r Reader) hostnames(ctx context.Context, namespace string, asked Asked) (gateway.HostOwnership, error) {
	out := gateway.HostOwnership{Enforced: r.Platform.HostOwnership}
	if !out.Enforced {
		if !asked.Gateway {
			return out, nil
		}
		own := NewNamespace()
		err := r.Client.Get(ctx, client.ObjectKey{Name: namespace}, own)
		out.Own = gateway.ParseHostPatterns(own.Annotations[v1alpha1.AnnotationHostnames])
		return out, client.IgnoreNotFound(err)
	}
	list := NewNamespaceList()
	if err := r.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return out, fmt.Errorf("list the Namespaces: %w", err)
	}
	for i := range list.Items {
		patterns := gateway.ParseHostPatterns(list.Items[i].Annotations[v1alpha1.AnnotationHostnames])
		if list.Items[i].Name == namespace {
			out.Own = patterns
		} else {
			out.Others = append(out.Others, patterns...)
		}
	}
	return out, nil
}

// NewNamespace is what is read of a Namespace: its metadata.
func NewNamespace() *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{}
	out.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return out
}

// NewNamespaceList is a list of them.
func NewNamespaceList() *metav1.PartialObjectMetadataList {
	out := &metav1.PartialObjectMetadataList{}
	out.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	return out
}
