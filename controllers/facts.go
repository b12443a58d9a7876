package controllers

import (
	"context"
	"fmt"
	"slices"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gatewayclasses;referencegrants,verbs=get;list;watch

// +kubebuilder:rbac:groups=multicluster.x-k8s.io,resources=serviceimports,verbs=get;list;watch

// gatherFacts reads everything that the expansion depends on. No judgement: what does not exist is
// nil, and what cannot be found out is unknown.
func (r *exposureReconciler) gatherFacts(ctx context.Context, s *scope) error {
	if !r.followsAny(s.exs) {
		return nil
	}
	if r.followsGateway(s.exs) {
		if err := r.readGateway(ctx, s); err != nil {
			return err
		}
	}
	if err := r.facts.readGrants(ctx, s); err != nil {
		return err
	}
	if err := r.facts.readBackends(ctx, s); err != nil {
		return err
	}
	if err := r.readRollout(ctx, s); err != nil {
		return err
	}
	live := s.dataPlane()
	s.facts.Capabilities = gateway.CapabilitiesFrom(s.exs, live, gateway.Served{
		Backend: r.kinds.has(kindBackend), EnvoyPatchPolicy: r.kinds.has(kindPatchPolicy),
	})
	s.facts.LiveWeights = gateway.LiveWeights(s.exs, s.facts.Canary, live.Route)
	s.facts.LiveRoute, s.facts.RouteAccepted = live.Route, live.RouteAccepted()
	s.facts.LiveFallback = fallbackOf(s.exs, live)
	s.facts.LiveHosts = gateway.LiveHosts(s.exs, live)
	s.facts.ProxyFamilies = r.proxyFamilies(ctx, s)
	s.facts.LiveHealthCheck = healthCheckOf(live.TrafficPolicy)
	return nil
}

// readGateway reads the shared Gateway, if there is one, and the class.
func (r *exposureReconciler) readGateway(ctx context.Context, s *scope) error {
	var className string
	if gateway.Owned(s.exs) {
		className = *s.exs.Spec.Gateway.ClassName
	} else {
		var err error
		if s.facts.Gateway, err = get[gwapiv1.Gateway](ctx, r.client, gatewayKey(s.exs)); err != nil || s.facts.Gateway == nil {
			return err
		}
		className = string(s.facts.Gateway.Spec.GatewayClassName)
	}
	var err error
	s.facts.Class, err = get[gwapiv1.GatewayClass](ctx, r.client, types.NamespacedName{Name: className})
	return err
}

// proxyFamilies are the IP families of the Gateway's proxies, by the EndpointSlices of their Service. They matter to
// hosts alone.
func (r *exposureReconciler) proxyFamilies(ctx context.Context, s *scope) []corev1.IPFamily {
	isHost := func(b v1alpha1.Backend) bool { return b.FQDN != nil }
	if s.exs.Spec.Gateway == nil || !slices.ContainsFunc(s.exs.Spec.Backends, isHost) {
		return nil
	}
	var list discoveryv1.EndpointSliceList
	if err := r.client.List(ctx, &list, client.MatchingFields{indexProxies: gatewayKey(s.exs).String()}); err != nil {
		// Only a cache that has stopped fails. The families of the Services are known all the same.
		s.log.Error(err, "list the proxies of the Gateway")
		return nil
	}
	var out []corev1.IPFamily
	for i := range list.Items {
		out = append(out, corev1.IPFamily(list.Items[i].AddressType))
	}
	return out
}

// fallbackOf is the backend that the live fallback stands for.
func fallbackOf(exs *v1alpha1.ExposedService, live gateway.Live) string {
	for _, backend := range live.Backends {
		if backend.Name == gateway.FallbackName(exs) {
			return backend.Labels[v1alpha1.LabelBackend]
		}
	}
	return ""
}

// healthCheckOf is the service name of the active gRPC health check that a policy asks for.
func healthCheckOf(policy *egv1a1.BackendTrafficPolicy) *string {
	if policy == nil || policy.Spec.HealthCheck == nil || policy.Spec.HealthCheck.Active == nil || policy.Spec.HealthCheck.Active.GRPC == nil {
		return nil
	}
	return ptr.To(ptr.Deref(policy.Spec.HealthCheck.Active.GRPC.Service, ""))
}

// get reads an object; nil: it does not exist.
func get[T any, PT interface {
	*T
	client.Object
}](ctx context.Context, reader client.Reader, key types.NamespacedName) (*T, error) {
	object := PT(new(T))
	if err := reader.Get(ctx, key, object); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read %T %s: %w", object, key, err)
	}
	return (*T)(object), nil
}
