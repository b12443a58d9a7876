package exposure

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// dataPlane gathers the objects whose statuses the data plane's controller writes. Those of others
// that merely have a name that is needed are left out; a shared Gateway is not.
func (r *run) dataPlane() gateway.Live {
	return gateway.LiveOf(r.exs, r.found.Facts, r.inventory.Owned())
}

// standbyOf are the backends whose endpoints the live fallback has.
func standbyOf(exs *v1alpha1.ExposedService, live gateway.Live) []string {
	for _, backend := range live.Backends {
		if backend.Name == gateway.FallbackName(exs) {
			return gateway.Standby(backend)
		}
	}
	return nil
}

// healthCheckOf is the service name of the active gRPC health check that a policy asks for.
func healthCheckOf(policy *egv1a1.BackendTrafficPolicy) *string {
	if policy == nil || policy.Spec.HealthCheck == nil || policy.Spec.HealthCheck.Active == nil || policy.Spec.HealthCheck.Active.GRPC == nil {
		return nil
	}
	return ptr.To(ptr.Deref(policy.Spec.HealthCheck.Active.GRPC.Service, ""))
}
