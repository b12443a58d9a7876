package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1alpha1 "sigs.k8s.io/mcs-api/pkg/apis/v1alpha1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// Names of the cache's indexes. They make a change of one object cost a look-up instead of a walk
// over all ExposedServices.
const (
	// indexBackend: ExposedServices by "namespace/name" of the Services in spec.backends.
	indexBackend = "headgate.backend"
	// indexWorkload: ExposedServices by "namespace/name" of the Deployment that they roll out.
	indexWorkload = "headgate.workload"
	// indexImport: ExposedServices by "namespace/name" of the ServiceImports in spec.backends.
	indexImport = "headgate.import"
	// indexManaged: objects of others that ship versions, by "namespace/name" of the Deployment that they manage.
	indexManaged = "headgate.managed"
	// indexGateway: ExposedServices by "namespace/name" of the Gateway that carries them.
	indexGateway = "headgate.gateway"
	// indexClass: ExposedServices by spec.gateway.className, and Gateways by their class.
	indexClass = "headgate.class"
	// indexNamespace: ExposedServices by the other namespaces that their spec refers to.
	indexNamespace = "headgate.namespace"
	// indexRoute: ExposedServices by what they claim of a Gateway (routeClaims).
	indexRoute = "headgate.route"
	// indexOwner: objects by "namespace/name" of the ExposedService that they belong to.
	indexOwner = "headgate.owner"
	// indexService: EndpointSlices by the name of their Service.
	indexService = "headgate.service"
	// indexServiceImport: EndpointSlices by the name of their ServiceImport.
	indexServiceImport = "headgate.serviceimport"
	// indexProxies: EndpointSlices by the Gateway, or the class, whose proxies they hold (gateway.ProxyKey).
	indexProxies = "headgate.proxies"
)

func addExposedServiceIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for name, values := range map[string]func(*v1alpha1.ExposedService) []string{
		indexBackend: backendServices, indexImport: backendImports, indexGateway: gatewayKeys, indexClass: classNames,
		indexNamespace: gateway.GrantNamespaces, indexRoute: routeClaims, indexWorkload: workloadKeys,
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

// addKindIndexes adds the indexes of one kind; it must be in the cluster.
func addKindIndexes(ctx context.Context, indexer client.FieldIndexer, k kind) error {
	indexes := map[string]client.IndexerFunc{}
	if k.made {
		indexes[indexOwner] = func(object client.Object) []string { return keys(ownersOf(object)) }
	}
	switch k.gvk {
	case kindEndpointSlice.gvk:
		indexes[indexService] = byLabel(discoveryv1.LabelServiceName)
		indexes[indexServiceImport] = byLabel(mcsv1alpha1.LabelServiceName)
		indexes[indexProxies] = byOwningGateway
	case kindFlaggerCanary.gvk, kindArgoRollout.gvk:
		indexes[indexManaged] = managedDeployment
	case kindGateway.gvk:
		indexes[indexClass] = func(object client.Object) []string {
			if gw, ok := object.(*gwapiv1.Gateway); ok {
				return []string{string(gw.Spec.GatewayClassName)}
			}
			return nil
		}
	}
	for name, extract := range indexes {
		if err := indexer.IndexField(ctx, k.newObject(), name, extract); err != nil {
			return fmt.Errorf("index %s of %s: %w", name, k.gvk.Kind, err)
		}
	}
	return nil
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

func backendServices(exs *v1alpha1.ExposedService) []string {
	var out []string
	for _, backend := range exs.Spec.Backends {
		if backend.Service != nil {
			out = append(out, serviceKey(exs, backend.Service).String())
		}
	}
	if exs.Spec.Rollout != nil && exs.Spec.Rollout.Canary != nil {
		out = append(out, serviceKey(exs, &exs.Spec.Rollout.Canary.Service).String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func backendImports(exs *v1alpha1.ExposedService) []string {
	var out []string
	for _, backend := range exs.Spec.Backends {
		if backend.ServiceImport != nil {
			out = append(out, types.NamespacedName{Namespace: exs.Namespace, Name: backend.ServiceImport.Name}.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func serviceKey(exs *v1alpha1.ExposedService, service *v1alpha1.ServiceBackend) types.NamespacedName {
	key := types.NamespacedName{Namespace: exs.Namespace, Name: service.Name}
	if service.Namespace != nil {
		key.Namespace = *service.Namespace
	}
	return key
}

func gatewayKey(exs *v1alpha1.ExposedService) types.NamespacedName {
	ref := gateway.GatewayRef(exs)
	return types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
}

// gatewayKeys: without spec.gateway there is no Gateway, whoever else has one of that name.
func gatewayKeys(exs *v1alpha1.ExposedService) []string {
	if exs.Spec.Gateway == nil {
		return nil
	}
	return []string{gatewayKey(exs).String()}
}

func classNames(exs *v1alpha1.ExposedService) []string {
	if gateway.Owned(exs) {
		return []string{*exs.Spec.Gateway.ClassName}
	}
	return nil
}

// routeClaims are what an ExposedService claims of its Gateway: one value for each pair of host and
// match. Two that share a value want the same calls (unless they are on different listeners). Who has no
// Gateway claims nothing of one.
func routeClaims(exs *v1alpha1.ExposedService) []string {
	if exs.Spec.Gateway == nil {
		return nil
	}
	gatewayName := gatewayKey(exs).String()
	var out []string
	for _, host := range claimedHosts(exs) {
		for _, match := range claimedMatches(exs) {
			sum := sha256.Sum256([]byte(strings.Join([]string{gatewayName, host, match}, "\n")))
			out = append(out, hex.EncodeToString(sum[:16]))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// claimedHosts are the host names; none at all is a claim of its own, because Gateway API prefers
// a route with host names to one without.
func claimedHosts(exs *v1alpha1.ExposedService) []string {
	if len(exs.Spec.Hostnames) == 0 {
		return []string{""}
	}
	out := make([]string, 0, len(exs.Spec.Hostnames))
	for _, hostname := range exs.Spec.Hostnames {
		out = append(out, string(hostname))
	}
	return out
}

// claimedMatches writes each match so that equal ones are equal strings; no rules are one claim.
func claimedMatches(exs *v1alpha1.ExposedService) []string {
	if len(exs.Spec.Rules) == 0 {
		return []string{""}
	}
	var out []string
	for _, rule := range exs.Spec.Rules {
		for _, match := range rule.Matches {
			match.Headers = slices.SortedFunc(slices.Values(match.Headers), func(a, b v1alpha1.HeaderMatch) int {
				return strings.Compare(a.Name, b.Name)
			})
			text, err := json.Marshal(match)
			if err != nil {
				// A struct of strings can always be written.
				continue
			}
			out = append(out, string(text))
		}
	}
	return out
}
