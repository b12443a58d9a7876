package faults

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	grpcPort = 50051
	// farHost is a host outside the cluster.
	farHost = "far.example.com"

	primarySvc, backupSvc, spareSvc = "primary-svc", "backup-svc", "spare-svc"
)

// services are those that are there in every world; the place of one is in the addresses of its pods.
var services = []string{primarySvc, backupSvc, spareSvc}

// exposedService is one with two backends on a Gateway of its own, which is fast to hand back.
func (w *world) exposedService(name string, with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
		Spec: v1alpha1.ExposedServiceSpec{
			Hostnames: []v1alpha1.Hostname{v1alpha1.Hostname(name + ".example.com")},
			Gateway:   &v1alpha1.Gateway{ClassName: &w.class},
			Backends:  []v1alpha1.Backend{serviceBackend("primary", primarySvc), serviceBackend("backup", backupSvc)},
		},
	}
	for _, f := range with {
		f(exs)
	}
	return exs
}

func serviceBackend(name, service string) v1alpha1.Backend {
	return v1alpha1.Backend{Name: name, Service: &v1alpha1.ServiceBackend{Name: service, Port: grpcPort}}
}

func hostBackend(name, host string) v1alpha1.Backend {
	return v1alpha1.Backend{Name: name, FQDN: &v1alpha1.FQDNBackend{Hostname: v1alpha1.Hostname(host), Port: grpcPort}}
}

// slice is what the cluster's endpointslice controller, which no test has, makes of a Service.
func (w *world) slice(service string, addresses ...string) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: service + "-abc", Namespace: w.namespace,
			Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(grpcPort)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		})
	}
	return slice
}

// withServices makes the Services, with two endpoints each.
func (w *world) withServices() *world {
	w.Helper()
	for i, name := range services {
		w.create(w.service(name), w.slice(name, fmt.Sprintf("10.1.%d.1", i), fmt.Sprintf("10.1.%d.2", i)))
	}
	return w
}

// setReady makes all endpoints of a Service ready or unready.
func (w *world) setReady(service string, ready bool) {
	w.Helper()
	edit(w, w.slice(service), func(s *discoveryv1.EndpointSlice) {
		for i := range s.Endpoints {
			s.Endpoints[i].Conditions.Ready = ptr.To(ready)
		}
	})
}
