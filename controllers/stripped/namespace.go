package stripped

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// StripNamespace is for the metadata of Namespaces: which host names are theirs is kept.
func (s *Stripper) StripNamespace(object any) (any, error) {
	namespace, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	hostnames, has := namespace.Annotations[v1alpha1.AnnotationHostnames]
	s.stripMetadata(namespace)
	if has {
		namespace.Annotations = map[string]string{v1alpha1.AnnotationHostnames: hostnames}
	}
	return namespace, nil
}
