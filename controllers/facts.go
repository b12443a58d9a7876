package controllers

import (
	"context"
	"fmt"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwapiv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gatewayclasses;referencegrants,verbs=get;list;watch

// +kubebuilder:rbac:groups=multicluster.x-k8s.io,resources=serviceimports,verbs=get;list;watch

// gatherFacts reads everything that the expansion depends on. No judgement: what does not exist is
// nil, and what cannot be found out is unknown.
func (r *exposureReconciler) gatherFacts(ctx context.Context, s *scope) error {
	if !r.kinds.gatewayAPI() {
		return nil
	}
	if err := r.readGateway(ctx, s); err != nil {
		return err
	}
	if err := r.readGrants(ctx, s); err != nil {
		return err
	}
	if err := r.readBackends(ctx, s); err != nil {
		return err
	}
	live := s.dataPlane()
	s.facts.Capabilities = gateway.CapabilitiesFrom(s.exs, live, gateway.Served{
		Backend: r.kinds.has(kindBackend), EnvoyPatchPolicy: r.kinds.has(kindPatchPolicy),
	})
	s.facts.LiveWeights = gateway.LiveWeights(s.exs, live.Route)
	s.facts.RouteAccepted = live.RouteAccepted()
	s.facts.LiveFallback = fallbackOf(s.exs, live)
	s.facts.LiveHealthCheck = healthCheckOf(live.TrafficPolicy)
	return nil
}

// readGateway reads the shared Gateway, if there is one, and the class.
func (r *exposureReconciler) readGateway(ctx context.Context, s *scope) error {
	if s.exs.Spec.Gateway == nil {
		return nil
	}
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

// readGrants reads the ReferenceGrants of the namespaces that the spec refers to.
func (r *exposureReconciler) readGrants(ctx context.Context, s *scope) error {
	for _, namespace := range otherNamespaces(s.exs) {
		switch {
		case r.kinds.has(kindGrant):
			var list gwapiv1.ReferenceGrantList
			if err := r.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
				return fmt.Errorf("list ReferenceGrants in namespace %s: %w", namespace, err)
			}
			s.facts.Grants = append(s.facts.Grants, list.Items...)
		case r.kinds.has(kindGrantBeta):
			var list gwapiv1beta1.ReferenceGrantList
			if err := r.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
				return fmt.Errorf("list ReferenceGrants in namespace %s: %w", namespace, err)
			}
			for _, grant := range list.Items {
				s.facts.Grants = append(s.facts.Grants, gwapiv1.ReferenceGrant(grant))
			}
		}
	}
	return nil
}

func (r *exposureReconciler) readBackends(ctx context.Context, s *scope) error {
	s.facts.Backends = map[string]gateway.BackendFacts{}
	for i := range s.exs.Spec.Backends {
		backend := &s.exs.Spec.Backends[i]
		var facts gateway.BackendFacts
		var err error
		switch {
		case backend.Service != nil:
			facts, err = r.readService(ctx, s, backend)
		case backend.ServiceImport != nil:
			facts, err = r.readImport(ctx, s, backend)
		case needsAddresses(s):
			facts.Addresses = r.hosts.addresses(ctx, string(backend.FQDN.Hostname))
			s.runAgain(hostRefresh)
		}
		if err != nil {
			return fmt.Errorf("backend %s: %w", backend.Name, err)
		}
		s.facts.Backends[backend.Name] = facts
	}
	return nil
}

func (r *exposureReconciler) readService(ctx context.Context, s *scope, backend *v1alpha1.Backend) (gateway.BackendFacts, error) {
	var facts gateway.BackendFacts
	var err error
	name := serviceKey(s.exs, backend.Service)
	if facts.Service, err = get[corev1.Service](ctx, r.client, name); err != nil {
		return facts, err
	}
	if facts.Slices, err = r.slicesOf(ctx, name, indexService); err != nil {
		return facts, err
	}
	if err := r.readOwnService(ctx, s, backend, &facts); err != nil {
		return facts, err
	}
	if asksForProbes(s.exs) && facts.Service != nil {
		facts.Probe, err = r.probes.probe(ctx, facts.Service, facts.Slices, int32(backend.Service.Port))
		if err != nil {
			// Unknown probes leave things as they are, which is better than to stop for them.
			s.fail(fmt.Errorf("read the pods of Service %s: %w", name, err))
		}
	}
	return facts, nil
}

func (r *exposureReconciler) readImport(ctx context.Context, s *scope, backend *v1alpha1.Backend) (gateway.BackendFacts, error) {
	var facts gateway.BackendFacts
	if !r.kinds.has(kindImport) {
		return facts, nil
	}
	name := types.NamespacedName{Namespace: s.exs.Namespace, Name: backend.ServiceImport.Name}
	found, err := get[mcsv1alpha1.ServiceImport](ctx, r.client, name)
	if err != nil {
		return facts, err
	}
	if found != nil {
		facts.Import = &gateway.Import{}
		for _, port := range found.Spec.Ports {
			facts.Import.Ports = append(facts.Import.Ports, corev1.ServicePort{
				Name: port.Name, Protocol: port.Protocol, AppProtocol: port.AppProtocol, Port: port.Port,
			})
		}
	}
	if facts.Slices, err = r.slicesOf(ctx, name, indexServiceImport); err != nil {
		return facts, err
	}
	return facts, r.readOwnService(ctx, s, backend, &facts)
}

// newServiceAge is how long kube-proxy, or what stands in its place, is given to bring a new ClusterIP
// to every node: it gathers changes for a second by default.
const newServiceAge = 3 * time.Second

// readOwnService reads the Service that Headgate made for a backend, and its EndpointSlices.
func (r *exposureReconciler) readOwnService(ctx context.Context, s *scope, backend *v1alpha1.Backend, facts *gateway.BackendFacts) error {
	name := types.NamespacedName{Namespace: s.exs.Namespace, Name: gateway.ServiceName(s.exs, backend.Name)}
	own, ok := s.live[gateway.Ref{Kind: gateway.KindService, Namespace: name.Namespace, Name: name.Name}].(*corev1.Service)
	if !ok || ownershipOf(own, s.exs) != ours {
		return nil
	}
	facts.OwnService = own
	if rest := newServiceAge - r.clock.Since(own.CreationTimestamp.Time); rest > 0 {
		facts.OwnServiceIsNew = true
		s.runAgain(rest)
	}
	var err error
	facts.OwnSlices, err = r.slicesOf(ctx, name, indexService)
	return err
}

// slicesOf reads the EndpointSlices of a Service, or of a ServiceImport.
func (r *exposureReconciler) slicesOf(ctx context.Context, name types.NamespacedName, index string) ([]discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	err := r.client.List(ctx, &list, client.InNamespace(name.Namespace), client.MatchingFields{index: name.Name})
	if err != nil {
		return nil, fmt.Errorf("list EndpointSlices of %s: %w", name, err)
	}
	return list.Items, nil
}

// asksForProbes says whether it matters what the pods' probes are.
func asksForProbes(exs *v1alpha1.ExposedService) bool {
	traffic := exs.Spec.Traffic
	return traffic == nil || traffic.HealthCheck == nil ||
		ptr.Deref(traffic.HealthCheck.Mode, v1alpha1.HealthCheckAuto) == v1alpha1.HealthCheckAuto
}

// needsAddresses says whether hosts may come to stand in a cluster of Envoy that holds addresses
// only: that of Envoy Gateway, if the first backend is not a host itself.
func needsAddresses(s *scope) bool {
	return s.facts.Class != nil && s.facts.Class.Spec.ControllerName == gateway.EnvoyGatewayController &&
		s.exs.Spec.Backends[0].FQDN == nil
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
