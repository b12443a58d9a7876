package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Kinds of the objects that an expansion holds.
const (
	KindGateway              = "Gateway"
	KindGatewayClass         = "GatewayClass"
	KindGRPCRoute            = "GRPCRoute"
	KindService              = "Service"
	KindEndpointSlice        = "EndpointSlice"
	KindServiceImport        = "ServiceImport"
	KindBackend              = egv1a1.KindBackend
	KindEnvoyPatchPolicy     = egv1a1.KindEnvoyPatchPolicy
	KindEnvoyProxy           = egv1a1.KindEnvoyProxy
	KindBackendTrafficPolicy = egv1a1.KindBackendTrafficPolicy
)

// kindDeployment is the kind of a workload.
const kindDeployment = "Deployment"

// What ends the names of a backend's own Service, of that of the slot Green, and of the Backend that stands for one outside the cluster.
const (
	serviceSuffix = "-gw"
	greenSuffix   = "-green"
	hostSuffix    = "-host"
)

// GroupMultiCluster is the API group of ServiceImport.
const GroupMultiCluster = "multicluster.x-k8s.io"

// EnvoyGatewayController is the controllerName of Envoy Gateway's GatewayClasses.
const EnvoyGatewayController = gwapiv1.GatewayController(egv1a1.GatewayControllerName)

// All names are built from those of the ExposedService and its backends, whose lengths the API
// bounds so that each fits in the 63 characters of a DNS label. They hold no dots, because
// Envoy's statistics are split at dots.

// ServiceName is the name of the Service that Headgate makes for a backend; of one with slots it is that of Blue.
func ServiceName(exs *v1alpha1.ExposedService, backend string) string {
	return exs.Name + "-" + backend + serviceSuffix
}

// PlaceholderName is the name of the EndpointSlice that keeps such a Service from ever being empty.
func PlaceholderName(exs *v1alpha1.ExposedService, backend string) string {
	return ServiceName(exs, backend) + placeholderSuffix
}

const placeholderSuffix = "-placeholder"

// FallbackName is the name of the Backend that holds the endpoints of the fallback.
func FallbackName(exs *v1alpha1.ExposedService) string { return exs.Name + "-fallback" }

// HostName is the name of the Backend that stands for an fqdn backend.
func HostName(exs *v1alpha1.ExposedService, backend string) string {
	return exs.Name + "-" + backend + hostSuffix
}

// PatchRef is where the EnvoyPatchPolicy of an ExposedService stands, given the Gateway's
// namespace: only there does Envoy Gateway take it. In a namespace that others share the name
// says whose it is, and a hash keeps namespace "a-b", name "c" apart from "a", "b-c".
func PatchRef(exs *v1alpha1.ExposedService, gatewayNamespace string) Ref {
	name := exs.Name
	if gatewayNamespace != exs.Namespace {
		sum := sha256.Sum256([]byte(exs.Namespace + "/" + exs.Name))
		name = exs.Namespace + "-" + exs.Name + "-" + hex.EncodeToString(sum[:4])
	}
	return Ref{Group: egv1a1.GroupName, Kind: KindEnvoyPatchPolicy, Namespace: gatewayNamespace, Name: name}
}

// GatewayRef names the Gateway that carries the route: the owned one, or that of parentRef.
func GatewayRef(exs *v1alpha1.ExposedService) Ref {
	ref := Ref{Group: gwapiv1.GroupName, Kind: KindGateway, Namespace: exs.Namespace, Name: exs.Name}
	if gw := exs.Spec.Gateway; gw != nil && gw.ParentRef != nil {
		ref.Name = gw.ParentRef.Name
		if gw.ParentRef.Namespace != nil {
			ref.Namespace = *gw.ParentRef.Namespace
		}
	}
	return ref
}

// RouteRef names the GRPCRoute.
func RouteRef(exs *v1alpha1.ExposedService) Ref {
	return Ref{Group: gwapiv1.GroupName, Kind: KindGRPCRoute, Namespace: exs.Namespace, Name: exs.Name}
}

func envoyRef(exs *v1alpha1.ExposedService, kind, name string) Ref {
	return Ref{Group: egv1a1.GroupName, Kind: kind, Namespace: exs.Namespace, Name: name}
}

// What stands in names behind that of the ExposedService or of one of its Services: a backend's name, of the spec as it is
// or as it was, and the hash of the EndpointSlice that a mirror is of.
var (
	backendInName = regexp.MustCompile(`^-[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	sliceInName   = regexp.MustCompile(`^-(placeholder(-v6)?|[0-9a-f]{8})$`)
)

// canarySuffix ended the names of a canary Deployment and of its Service before a canary was the Deployment's own ReplicaSet. What is left
// of them is to be removed.
const canarySuffix = "-canary"

// IsOurName says whether an object's name is one that Headgate gives to objects of the ExposedService, whatever its spec
// is now. It proves nothing by itself: what has the name may be somebody else's. But what has another name was not made by
// Headgate, and must not be removed, even if somebody has copied labels, annotations and owner with it.
func IsOurName(exs *v1alpha1.ExposedService, ref Ref) bool {
	if ref.Kind == KindEnvoyPatchPolicy {
		return ref == PatchRef(exs, ref.Namespace)
	}
	rest, ofOurs := strings.CutPrefix(ref.Name, exs.Name)
	switch {
	case ref.Namespace != exs.Namespace:
		return false
	case ref.Kind == kindDeployment:
		return strings.HasSuffix(ref.Name, canarySuffix)
	case ref.Kind == KindService:
		return strings.HasSuffix(ref.Name, canarySuffix) || ofOurs && (isBackendWith(rest, serviceSuffix) || isBackendWith(rest, greenSuffix))
	case !ofOurs:
		return false
	}
	switch ref.Kind {
	case KindGateway, KindGRPCRoute, KindBackendTrafficPolicy, KindEnvoyProxy:
		return rest == ""
	case KindBackend:
		return ref.Name == FallbackName(exs) || isBackendWith(rest, hostSuffix)
	case KindEndpointSlice:
		return isSliceName(rest, serviceSuffix) || isSliceName(rest, greenSuffix)
	}
	return false
}

func isBackendWith(rest, suffix string) bool {
	backend, ok := strings.CutSuffix(rest, suffix)
	return ok && backendInName.MatchString(backend)
}

func isSliceName(rest, suffix string) bool {
	i := strings.LastIndex(rest, suffix+"-")
	return i >= 0 && backendInName.MatchString(rest[:i]) && sliceInName.MatchString(rest[i+len(suffix):])
}

// ClusterName is the name of the Envoy cluster that Envoy Gateway makes of the route: all matches
// stand in one rule, so there is one, and a changed match never renames it.
func ClusterName(exs *v1alpha1.ExposedService) string {
	return "grpcroute/" + exs.Namespace + "/" + exs.Name + "/rule/0"
}

// Owned says whether Headgate owns the Gateway of an ExposedService.
func Owned(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.Gateway != nil && exs.Spec.Gateway.ClassName != nil
}
