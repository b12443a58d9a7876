package stripped

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// StripService is for Services: what a backend is made from is kept, and by which pods it is found.
func (s *Stripper) StripService(object any) (any, error) {
	service, ok := object.(*corev1.Service)
	if !ok {
		return object, nil
	}
	if isMarked(service) {
		service.ManagedFields = nil
		return service, nil
	}
	s.stripMetadata(service)
	spec := service.Spec
	service.Spec = corev1.ServiceSpec{
		Type: corev1.ServiceType(s.texts.share(string(spec.Type))), Selector: spec.Selector, Ports: slices.Clip(spec.Ports),
		ClusterIP: spec.ClusterIP, ClusterIPs: spec.ClusterIPs, IPFamilies: spec.IPFamilies, IPFamilyPolicy: spec.IPFamilyPolicy,
		ExternalName: spec.ExternalName, PublishNotReadyAddresses: spec.PublishNotReadyAddresses,
	}
	if len(spec.ClusterIPs) > 0 && spec.ClusterIPs[0] == spec.ClusterIP {
		service.Spec.ClusterIP = spec.ClusterIPs[0] // The same text, once.
	}
	for i := range service.Spec.Ports {
		port := &service.Spec.Ports[i]
		port.Name, port.AppProtocol = s.texts.share(port.Name), s.texts.sharePointer(port.AppProtocol)
		port.Protocol = corev1.Protocol(s.texts.share(string(port.Protocol)))
		port.NodePort = 0
	}
	for i, family := range service.Spec.IPFamilies {
		service.Spec.IPFamilies[i] = corev1.IPFamily(s.texts.share(string(family)))
	}
	service.Status = corev1.ServiceStatus{}
	return service, nil
}
