package refs

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// Services are the "namespace/name" of the Services in spec.backends, and of the canary's.
func Services(exs *v1alpha1.ExposedService) []string {
	var out []string
	for _, backend := range exs.Spec.Backends {
		if backend.Service != nil {
			out = append(out, Service(exs, backend.Service).String())
		}
	}
	if exs.Spec.Rollout != nil && exs.Spec.Rollout.Canary != nil {
		out = append(out, Service(exs, &exs.Spec.Rollout.Canary.Service).String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Imports are the "namespace/name" of the ServiceImports in spec.backends.
func Imports(exs *v1alpha1.ExposedService) []string {
	var out []string
	for _, backend := range exs.Spec.Backends {
		if backend.ServiceImport != nil {
			out = append(out, types.NamespacedName{Namespace: exs.Namespace, Name: backend.ServiceImport.Name}.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Service is the name of a Service that the spec names.
func Service(exs *v1alpha1.ExposedService, service *v1alpha1.ServiceBackend) types.NamespacedName {
	key := types.NamespacedName{Namespace: exs.Namespace, Name: service.Name}
	if service.Namespace != nil {
		key.Namespace = *service.Namespace
	}
	return key
}

// Gateway is the name of the Gateway that carries the route.
func Gateway(exs *v1alpha1.ExposedService) types.NamespacedName {
	ref := gateway.GatewayRef(exs)
	return types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
}

// Gateways is that name as text. Without spec.gateway there is none, whoever else has one of that name.
func Gateways(exs *v1alpha1.ExposedService) []string {
	if exs.Spec.Gateway == nil {
		return nil
	}
	return []string{Gateway(exs).String()}
}

// Classes is spec.gateway.className, if there is one.
func Classes(exs *v1alpha1.ExposedService) []string {
	if gateway.Owned(exs) {
		return []string{*exs.Spec.Gateway.ClassName}
	}
	return nil
}
