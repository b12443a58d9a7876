package controllers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// exposedService is one with two backends on a Gateway of its own.
func (w *world) exposedService(name string, with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
		Spec: v1alpha1.ExposedServiceSpec{
			Hostnames: []v1alpha1.Hostname{v1alpha1.Hostname(name + ".example.com")},
			Gateway:   &v1alpha1.Gateway{ClassName: &w.class},
			Backends: []v1alpha1.Backend{
				serviceBackend("primary", "primary-svc"), serviceBackend("backup", "backup-svc"),
			},
		},
	}
	for _, f := range with {
		f(exs)
	}
	return exs
}

func serviceBackend(name, service string) v1alpha1.Backend {
	return v1alpha1.Backend{Name: name, Service: &v1alpha1.ServiceBackend{Name: service, Port: 50051}}
}

func on(gatewayNamespace, gatewayName, section string) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) {
		ref := &v1alpha1.ParentRef{Name: gatewayName}
		if gatewayNamespace != exs.Namespace {
			ref.Namespace = &gatewayNamespace
		}
		if section != "" {
			ref.SectionName = &section
		}
		exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: ref}
	}
}

func backends(list ...v1alpha1.Backend) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) { exs.Spec.Backends = list }
}

func hosts(list ...v1alpha1.Hostname) func(*v1alpha1.ExposedService) {
	return func(exs *v1alpha1.ExposedService) { exs.Spec.Hostnames = list }
}

// service is a Service with a selector.
func (w *world) service(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "grpc", Port: 50051, TargetPort: intstr.FromInt32(50051)}},
		},
	}
}

// slice is what the cluster's endpointslice controller, which no test has, makes of a Service.
func (w *world) slice(service string, addresses ...string) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: service + "-abc", Namespace: w.namespace,
			Labels: map[string]string{
				discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
			},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(50051)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		})
	}
	return slice
}

// withBackends makes the Services that exposedService names, with endpoints.
func (w *world) withBackends() *world {
	w.t.Helper()
	for i, name := range []string{"primary-svc", "backup-svc"} {
		w.create(w.service(name), w.slice(name, fmt.Sprintf("10.1.%d.1", i), fmt.Sprintf("10.1.%d.2", i)))
	}
	return w
}

// sharedGateway is a Gateway of somebody else's.
func (w *world) sharedGateway(namespace, name string) *gwapiv1.Gateway {
	return &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: gwapiv1.GatewaySpec{
			GatewayClassName: gwapiv1.ObjectName(w.class),
			Listeners: []gwapiv1.Listener{{
				Name: "grpc", Protocol: gwapiv1.HTTPProtocolType, Port: 80,
				AllowedRoutes: &gwapiv1.AllowedRoutes{Namespaces: &gwapiv1.RouteNamespaces{From: ptr.To(gwapiv1.NamespacesFromAll)}},
			}},
		},
	}
}
