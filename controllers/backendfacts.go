package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	gwapiv1beta1 "sigs.k8s.io/gateway-api/apis/v1beta1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// factReader reads what is known of the backends. The controller that decides uses it on the leader, and the
// xDS feed on every replica.
type factReader struct {
	// client reads from the cache.
	client client.Reader
	kinds  *servedKinds
	probes *probeReader
	hosts  *hostResolver
	clock  clock.PassiveClock
}

// readGrants reads the ReferenceGrants of the namespaces that the spec refers to.
func (r factReader) readGrants(ctx context.Context, s *scope) error {
	for _, namespace := range gateway.GrantNamespaces(s.exs) {
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

func (r factReader) readBackends(ctx context.Context, s *scope) error {
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
		case gateway.NeedsAddresses(s.exs, s.facts.Class):
			facts.Addresses = r.hosts.addresses(ctx, string(backend.FQDN.Hostname))
			s.runAgain(hostRefresh)
		}
		if err != nil {
			return fmt.Errorf("backend %s: %w", backend.Name, err)
		}
		s.facts.Backends[backend.Name] = facts
	}
	return r.readCanary(ctx, s)
}

func (r factReader) readService(ctx context.Context, s *scope, backend *v1alpha1.Backend) (gateway.BackendFacts, error) {
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

func (r factReader) readImport(ctx context.Context, s *scope, backend *v1alpha1.Backend) (gateway.BackendFacts, error) {
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
func (r factReader) readOwnService(ctx context.Context, s *scope, backend *v1alpha1.Backend, facts *gateway.BackendFacts) error {
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
func (r factReader) slicesOf(ctx context.Context, name types.NamespacedName, index string) ([]discoveryv1.EndpointSlice, error) {
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
