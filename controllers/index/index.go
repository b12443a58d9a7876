package index

import (
	"context"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/peers"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// Names of the cache's indexes. They make a change of one object cost a look-up instead of a walk
// over all ExposedServices.
const (
	// ByBackend: ExposedServices by "namespace/name" of the Services in spec.backends.
	ByBackend = "headgate.backend"
	// ByWorkload: ExposedServices by "namespace/name" of the Deployment that they roll out.
	ByWorkload = "headgate.workload"
	// ByImport: ExposedServices by "namespace/name" of the ServiceImports in spec.backends.
	ByImport = "headgate.import"
	// ByManaged: objects of others that ship versions, by "namespace/name" of the Deployment that they manage.
	ByManaged = "headgate.managed"
	// ByGateway: ExposedServices and routes, by "namespace/name" of the Gateway that carries them.
	ByGateway = "headgate.gateway"
	// ByClass: ExposedServices by spec.gateway.className, and Gateways by their class.
	ByClass = "headgate.class"
	// ByNamespace: ExposedServices by the other namespaces that their spec refers to.
	ByNamespace = "headgate.namespace"
	// ByRouteHost: ExposedServices and routes, by the hosts that they claim of a Gateway (refs.Claims).
	ByRouteHost = "headgate.routehost"
	// ByRouteCover: both by the wildcards that stand for hosts which they claim of a Gateway (refs.Claims.CoverKeys).
	ByRouteCover = "headgate.routecover"
	// ByOwner: objects by "namespace/name" of the ExposedService that they belong to.
	ByOwner = "headgate.owner"
	// ByService: EndpointSlices by the name of their Service.
	ByService = "headgate.service"
	// ByServiceImport: EndpointSlices by the name of their ServiceImport.
	ByServiceImport = "headgate.serviceimport"
	// ByProxies: EndpointSlices by the Gateway, or the class, whose proxies they hold (gateway.ProxyKey).
	ByProxies = "headgate.proxies"
	// ByTargetGateway: BackendTrafficPolicies by the name of the Gateway that they target, or AnyGateway.
	ByTargetGateway = "headgate.targetgateway"
)

// AddExposedServices adds the indexes of ExposedServices.
func AddExposedServices(ctx context.Context, indexer client.FieldIndexer, claims *Claims) error {
	for name, values := range map[string]func(*v1alpha1.ExposedService) []string{
		ByBackend: refs.Services, ByImport: refs.Imports, ByGateway: refs.Gateways, ByClass: refs.Classes,
		ByNamespace: gateway.GrantNamespaces, ByWorkload: refs.Workloads,
		ByRouteHost:  func(exs *v1alpha1.ExposedService) []string { return claims.Of(exs).HostKeys() },
		ByRouteCover: func(exs *v1alpha1.ExposedService) []string { return claims.Of(exs).CoverKeys() },
	} {
		extract := func(object client.Object) []string {
			exs, ok := object.(*v1alpha1.ExposedService)
			if !ok {
				return nil
			}
			return values(exs)
		}
		if err := indexer.IndexField(ctx, &v1alpha1.ExposedService{}, name, extract); err != nil {
			return fmt.Errorf("index %s of ExposedServices: %w", name, err)
		}
	}
	return nil
}

// AddKind adds the indexes of one kind; it must be in the cluster.
func AddKind(ctx context.Context, indexer client.FieldIndexer, k kube.Kind) error {
	indexes := map[string]client.IndexerFunc{}
	if k.Made {
		indexes[ByOwner] = func(object client.Object) []string { return keys(kube.OwnersOf(object)) }
	}
	switch k.GVK {
	case kube.KindEndpointSlice.GVK:
		indexes[ByService] = byLabel(discoveryv1.LabelServiceName)
		indexes[ByServiceImport] = byLabel(mcsv1alpha1.LabelServiceName)
		indexes[ByProxies] = byOwningGateway
	case kube.KindFlaggerCanary.GVK, kube.KindArgoRollout.GVK:
		indexes[ByManaged] = peers.ManagedDeployment
	case kube.KindTrafficPolicy.GVK:
		indexes[ByTargetGateway] = targetGateways
	case kube.KindRoute.GVK, kube.KindHTTPRoute.GVK:
		indexes[ByRouteHost] = ofRoute(refs.Claims.HostKeys)
		indexes[ByRouteCover] = ofRoute(refs.Claims.CoverKeys)
		indexes[ByGateway] = ofRoute(func(c refs.Claims) []string { return []string{c.Gateway} })
	case kube.KindGateway.GVK:
		indexes[ByClass] = func(object client.Object) []string {
			if gw, ok := object.(*gwapiv1.Gateway); ok {
				return []string{string(gw.Spec.GatewayClassName)}
			}
			return nil
		}
	}
	for name, extract := range indexes {
		if err := indexer.IndexField(ctx, k.NewObject(), name, extract); err != nil {
			return fmt.Errorf("index %s of %s: %w", name, k.GVK.Kind, err)
		}
	}
	return nil
}

// ofRoute are the keys of what a route claims of its Gateways, each once.
func ofRoute(keys func(refs.Claims) []string) client.IndexerFunc {
	return func(object client.Object) []string {
		var out []string
		for _, claims := range refs.ClaimsOfObject(object) {
			out = append(out, keys(claims)...)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
}

func byLabel(label string) client.IndexerFunc {
	return func(object client.Object) []string {
		if value := object.GetLabels()[label]; value != "" {
			return []string{value}
		}
		return nil
	}
}

// byOwningGateway: the cluster copies the labels of a Service, here that of the proxies, to its
// EndpointSlices.
func byOwningGateway(object client.Object) []string {
	if key := gateway.ProxyKeyOf(object.GetLabels()); key != "" {
		return []string{key}
	}
	return nil
}

func keys(names []types.NamespacedName) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, name.String())
	}
	return out
}
