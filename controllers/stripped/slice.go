package stripped

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/gateway"
)

// StripSlice is for EndpointSlices. Kept are what is read of endpoints, and what is copied into the slices that mirror
// those of others (node and zone); hints and host names are not.
func (s *Stripper) StripSlice(object any) (any, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return object, nil
	}
	if isOwnSlice(slice) {
		slice.ManagedFields = nil
		return slice, nil
	}
	s.stripMetadata(slice)
	slice.AddressType = discoveryv1.AddressType(s.texts.share(string(slice.AddressType)))
	for i := range slice.Ports {
		port := &slice.Ports[i]
		port.Name, port.AppProtocol = s.texts.sharePointer(port.Name), s.texts.sharePointer(port.AppProtocol)
		if port.Protocol != nil {
			*port.Protocol = corev1.Protocol(s.texts.share(string(*port.Protocol)))
		}
	}
	slice.Endpoints = s.stripEndpoints(slice.Namespace, slice.Endpoints)
	return slice, nil
}

// stripEndpoints makes one list of exactly the size: what the decoder leaves may be twice as long.
func (s *Stripper) stripEndpoints(namespace string, endpoints []discoveryv1.Endpoint) []discoveryv1.Endpoint {
	if len(endpoints) == 0 {
		return endpoints
	}
	out := make([]discoveryv1.Endpoint, len(endpoints))
	for i := range endpoints {
		from := &endpoints[i]
		out[i] = discoveryv1.Endpoint{
			Addresses: slices.Clip(from.Addresses),
			Conditions: discoveryv1.EndpointConditions{
				Ready: shareBool(from.Conditions.Ready), Serving: shareBool(from.Conditions.Serving),
				Terminating: shareBool(from.Conditions.Terminating),
			},
			TargetRef: s.stripTarget(namespace, from.TargetRef),
			NodeName:  s.texts.sharePointer(from.NodeName), Zone: s.texts.sharePointer(from.Zone),
		}
	}
	return out
}

func (s *Stripper) stripTarget(namespace string, target *corev1.ObjectReference) *corev1.ObjectReference {
	if target == nil {
		return nil
	}
	out := &corev1.ObjectReference{Kind: s.texts.share(target.Kind), Namespace: target.Namespace, Name: target.Name, UID: target.UID}
	if out.Namespace == namespace {
		out.Namespace = namespace // The same text, once.
	}
	return out
}

// isOwnSlice: the slice may be one that Headgate has made. The cluster copies the labels of a Service to the slices
// that it makes for it, so that they prove nothing.
func isOwnSlice(slice *discoveryv1.EndpointSlice) bool {
	controller := metav1.GetControllerOf(slice)
	return slice.Labels[discoveryv1.LabelManagedBy] == gateway.SliceManager || slice.Annotations[v1alpha1.AnnotationIntent] != "" ||
		controller != nil && kube.IsExposedService(controller)
}
