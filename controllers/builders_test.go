package controllers

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// exposedService is one with two backends on a Gateway of its own.
func (w *world) exposedService(name string, with ...func(*v1alpha1.ExposedService)) *v1alpha1.ExposedService {
	exs := shop.ExposedService(w.namespace, name, w.class)
	for _, f := range with {
		f(exs)
	}
	return exs
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

func (w *world) service(name string) *corev1.Service { return shop.Service(w.namespace, name) }

func (w *world) slice(service string, addresses ...string) *discoveryv1.EndpointSlice {
	return shop.Slice(w.namespace, service, addresses...)
}

// withBackends makes the Services that exposedService names, with endpoints.
func (w *world) withBackends() *world {
	w.t.Helper()
	for i, name := range []string{shop.Primary, shop.Backup} {
		w.create(w.service(name), w.slice(name, shop.Address(i, 1), shop.Address(i, 2)))
	}
	return w
}

// withPods makes the Services that exposedService names, with endpoints that are pods: Kubernetes' own controllers work in the world's
// namespace, and whoever wants pods behind the primary makes a Deployment.
func (w *world) withPods() *shop.Workloads {
	w.t.Helper()
	workloads := shop.StartWorkloads(w.t, w.kube, w.namespace)
	workloads.MakeBackends()
	return workloads
}

// sharedGateway is a Gateway of somebody else's.
func (w *world) sharedGateway(namespace, name string) *gwapiv1.Gateway {
	return shop.SharedGateway(namespace, name, w.class)
}
