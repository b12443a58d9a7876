package stripped

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

// Stripper strips objects, and keeps what they have in common once.
//
// What Headgate makes itself keeps every field, because it is compared with what it is to be. A cache may strip
// again what it has: that changes nothing.
type Stripper struct{ texts sharedTexts }

// New shares no text yet.
func New() *Stripper { return &Stripper{} }

// Strip is for all kinds that have no function of their own. Who owns which field, and what kubectl applied last,
// is as long as the object itself.
func (s *Stripper) Strip(object any) (any, error) {
	// A cache may have a function of its own only for kinds that every cluster has.
	if route, ok := object.(*gwapiv1.HTTPRoute); ok {
		s.stripHTTPRoute(route)
		return route, nil
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // what a cache says of a deleted object that it has lost has no metadata
	}
	accessor.SetManagedFields(nil)
	if annotations := accessor.GetAnnotations(); annotations[corev1.LastAppliedConfigAnnotation] != "" && !isMarked(accessor) {
		annotations = maps.Clone(annotations)
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		accessor.SetAnnotations(annotations)
	}
	return object, nil
}

// isMarked: the object carries a mark of Headgate's, so that it may be one that it has made.
func isMarked(object metav1.Object) bool {
	controller := metav1.GetControllerOf(object)
	return object.GetAnnotations()[v1alpha1.AnnotationIntent] != "" || kube.OwnerFromLabels(object).Name != "" ||
		controller != nil && kube.IsExposedService(controller)
}

// stripMetadata leaves what tells an object, how old it is, and the labels by which it is found.
func (s *Stripper) stripMetadata(object client.Object) {
	object.SetManagedFields(nil)
	object.SetAnnotations(nil)
	object.SetOwnerReferences(nil)
	object.SetFinalizers(nil)
	object.SetGenerateName("")
	object.SetNamespace(s.texts.share(object.GetNamespace()))
	var kept map[string]string
	for key, value := range object.GetLabels() {
		if !isReadLabel(key) {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[s.texts.share(key)] = s.texts.share(value)
	}
	object.SetLabels(kept)
}

// Groups of labels that somebody reads: Headgate's own, those of EndpointSlices, of ServiceImports, and of the proxies
// of Envoy Gateway.
var readLabels = []string{
	v1alpha1.GroupVersion.Group + "/", "endpointslice.kubernetes.io/", "gateway.envoyproxy.io/", v1alpha1.LabelManagedBy,
	"kubernetes.io/service-name", mcsv1alpha1.LabelServiceName,
}

func isReadLabel(key string) bool {
	for _, prefix := range readLabels {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
