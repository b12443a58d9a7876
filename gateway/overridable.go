package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Platform is what the owners of the cluster let ExposedServices do.
type Platform struct {
	// Overrides are the kinds that spec.overrides may change.
	Overrides []v1alpha1.OverrideKind
	// HostOwnership: an ExposedService may have only host names of its namespace.
	HostOwnership bool
}

// refuses says that an override of a kind is not allowed here, and what to do.
func (p Platform) refuses(kind v1alpha1.OverrideKind) string {
	if len(p.Overrides) == 0 {
		return fmt.Sprintf("this cluster allows no overrides: remove it, or ask the cluster's owners to allow %s (--override-kinds)", kind)
	}
	kinds := make([]string, 0, len(p.Overrides))
	for _, kind := range p.Overrides {
		kinds = append(kinds, string(kind))
	}
	return fmt.Sprintf("this cluster allows overrides of %s only: remove it, or ask the cluster's owners to allow %s (--override-kinds)",
		strings.Join(kinds, ", "), kind)
}

// DefaultOverrides are the kinds whose overrides stay in the namespace of the ExposedService: they change how its own calls are
// handled, and nothing else. A Gateway takes addresses and ports, an EnvoyProxy decides what runs in Envoy Gateway's namespace, and an
// EnvoyPatchPolicy changes every listener of its Gateway.
func DefaultOverrides() []v1alpha1.OverrideKind {
	return []v1alpha1.OverrideKind{v1alpha1.OverrideGRPCRoute, v1alpha1.OverrideBackendTrafficPolicy}
}

// overridable are the fields that an override may change, by the kind: these and all below them, but for those in notOverridable. It is
// a list of what is allowed, because what Envoy Gateway comes to take in a later version is not known here. An EnvoyProxy's pods run
// with the ServiceAccount of Envoy Gateway's namespace: nothing that decides what runs in them, as whom, and what it is given, is here.
var overridable = map[v1alpha1.OverrideKind][]string{
	v1alpha1.OverrideGRPCRoute:            nil,
	v1alpha1.OverrideBackendTrafficPolicy: {"spec"},
	v1alpha1.OverrideEnvoyPatchPolicy:     {"spec.priority"},
	v1alpha1.OverrideGateway: {
		"spec.listeners", "spec.infrastructure.labels", "spec.infrastructure.annotations", "spec.tls",
	},
	v1alpha1.OverrideEnvoyProxy: {
		"spec.concurrency", "spec.ipFamily", "spec.logging", "spec.shutdown", "spec.telemetry",
		"spec.provider.type",
		"spec.provider.kubernetes.envoyDeployment.replicas",
		"spec.provider.kubernetes.envoyDeployment.strategy",
		"spec.provider.kubernetes.envoyDeployment.container.resources",
		"spec.provider.kubernetes.envoyDeployment.pod.affinity",
		"spec.provider.kubernetes.envoyDeployment.pod.nodeSelector",
		"spec.provider.kubernetes.envoyDeployment.pod.tolerations",
		"spec.provider.kubernetes.envoyDeployment.pod.topologySpreadConstraints",
		"spec.provider.kubernetes.envoyDaemonSet.strategy",
		"spec.provider.kubernetes.envoyDaemonSet.container.resources",
		"spec.provider.kubernetes.envoyDaemonSet.pod.affinity",
		"spec.provider.kubernetes.envoyDaemonSet.pod.nodeSelector",
		"spec.provider.kubernetes.envoyDaemonSet.pod.tolerations",
		"spec.provider.kubernetes.envoyService.allocateLoadBalancerNodePorts",
		"spec.provider.kubernetes.envoyService.annotations",
		"spec.provider.kubernetes.envoyService.externalTrafficPolicy",
		"spec.provider.kubernetes.envoyService.loadBalancerClass",
		"spec.provider.kubernetes.envoyService.loadBalancerSourceRanges",
		"spec.provider.kubernetes.envoyService.type",
		"spec.provider.kubernetes.envoyHpa.behavior",
		"spec.provider.kubernetes.envoyHpa.maxReplicas",
		"spec.provider.kubernetes.envoyHpa.metrics",
		"spec.provider.kubernetes.envoyHpa.minReplicas",
		"spec.provider.kubernetes.envoyPDB.maxUnavailable",
		"spec.provider.kubernetes.envoyPDB.minAvailable",
	},
}

// OverrideKinds are all kinds that a platform may let overrides change, sorted.
func OverrideKinds() []v1alpha1.OverrideKind { return slices.Sorted(maps.Keys(overridable)) }

// notOverridable are fields below those that may be changed, with what to do instead.
var notOverridable = map[string]string{
	"spec.routingType":     "Headgate's endpoints are what makes failover work",
	"spec.targetRef":       "write a policy of your own for anything else",
	"spec.targetRefs":      "write a policy of your own for anything else",
	"spec.targetSelectors": "write a policy of your own for anything else",
}

// namesInDNS are annotations by which a DNS controller gives a name to an object, whatever host names it has.
var namesInDNS = []string{
	"external-dns.alpha.kubernetes.io/hostname", "external-dns.alpha.kubernetes.io/internal-hostname",
	"external-dns.alpha.kubernetes.io/target",
}

// refusedChange says which change of an object an override of the kind may not make, and why; empty: it makes none such.
func refusedChange(kind v1alpha1.OverrideKind, before, after Object) (string, error) {
	was, err := fieldsOf(before)
	if err != nil {
		return "", err
	}
	is, err := fieldsOf(after)
	if err != nil {
		return "", err
	}
	for _, path := range changedFields(was, is, nil) {
		if why := whyNot(kind, path); why != "" {
			return strings.Join(path, ".") + " must not be overridden: " + why, nil
		}
	}
	return "", nil
}

func fieldsOf(object Object) (map[string]any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}

// changedFields are the paths at which two objects differ, in order: to the fields themselves, and to lists, which are replaced as a whole.
func changedFields(before, after map[string]any, at []string) [][]string {
	all := maps.Clone(before)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, after)
	var out [][]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, is := before[name], after[name]
		path := append(slices.Clip(at), name)
		wasObject, wasIs := was.(map[string]any)
		isObject, isIs := is.(map[string]any)
		switch {
		case reflect.DeepEqual(was, is):
		case (wasIs || was == nil) && (isIs || is == nil) && len(wasObject)+len(isObject) > 0:
			out = append(out, changedFields(wasObject, isObject, path)...)
		default:
			out = append(out, path)
		}
	}
	return out
}

// whyNot says why an override of the kind may not change a field; empty: it may.
func whyNot(kind v1alpha1.OverrideKind, path []string) string {
	if path[0] == "metadata" {
		return whyNotMetadata(path[1:])
	}
	field := strings.Join(path, ".")
	for refused, why := range notOverridable {
		if isBelow(field, refused) {
			return why
		}
	}
	allowed := overridable[kind]
	if slices.ContainsFunc(allowed, func(name string) bool { return isBelow(field, name) }) {
		return ""
	}
	if len(allowed) == 0 {
		return fmt.Sprintf("an override of kind %s may set labels and annotations only; remove it from the patch", kind)
	}
	return fmt.Sprintf("remove it from the patch; an override of kind %s may set labels, annotations, %s", kind, strings.Join(allowed, ", "))
}

func isBelow(field, name string) bool { return field == name || strings.HasPrefix(field, name+".") }

// whyNotMetadata says the same of a field of the metadata.
func whyNotMetadata(path []string) string {
	if len(path) < 2 || path[0] != "labels" && path[0] != "annotations" {
		return "of metadata only labels and annotations may be set; remove it from the patch"
	}
	switch key := path[1]; {
	case strings.HasPrefix(key, v1alpha1.GroupVersion.Group+"/"), key == v1alpha1.LabelManagedBy:
		return "it is Headgate's; remove it from the patch"
	case slices.Contains(namesInDNS, key):
		return "it would take a name that spec.hostnames does not have; set spec.hostnames of the ExposedService"
	}
	return ""
}
