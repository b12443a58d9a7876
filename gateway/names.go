package gateway

import (
	"crypto/sha256"
	"encoding/hex"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Kinds of the objects that an expansion holds.
const (
	KindGateway              = "Gateway"
	KindGRPCRoute            = "GRPCRoute"
	KindService              = "Service"
	KindEndpointSlice        = "EndpointSlice"
	KindServiceImport        = "ServiceImport"
	KindBackend              = egv1a1.KindBackend
	KindEnvoyPatchPolicy     = egv1a1.KindEnvoyPatchPolicy
	KindEnvoyProxy           = egv1a1.KindEnvoyProxy
	KindBackendTrafficPolicy = egv1a1.KindBackendTrafficPolicy
)

// GroupMultiCluster is the API group of ServiceImport.
const GroupMultiCluster = "multicluster.x-k8s.io"

// EnvoyGatewayController is the controllerName of Envoy Gateway's GatewayClasses.
const EnvoyGatewayController = gwapiv1.GatewayController(egv1a1.GatewayControllerName)

// All names are built from those of the ExposedService and its backends, whose lengths the API
// bounds so that each fits in the 63 characters of a DNS label. They hold no dots, because
// Envoy's statistics are split at dots.

// ServiceName is the name of the Service that Headgate makes for a backend.
func ServiceName(exs *v1alpha1.ExposedService, backend string) string {
	return exs.Name + "-" + backend + "-gw"
}

// PlaceholderName is the name of the EndpointSlice that keeps such a Service from ever being empty.
func PlaceholderName(exs *v1alpha1.ExposedService, backend string) string {
	return ServiceName(exs, backend) + "-placeholder"
}

// FallbackName is the name of the Backend that holds the endpoints of the fallback.
func FallbackName(exs *v1alpha1.ExposedService) string { return exs.Name + "-fallback" }

// HostName is the name of the Backend that stands for an fqdn backend.
func HostName(exs *v1alpha1.ExposedService, backend string) string {
	return exs.Name + "-" + backend + "-host"
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

// ClusterName is the name of the Envoy cluster that Envoy Gateway makes of the route: all matches
// stand in one rule, so there is one, and a changed match never renames it.
func ClusterName(exs *v1alpha1.ExposedService) string {
	return "grpcroute/" + exs.Namespace + "/" + exs.Name + "/rule/0"
}

// Owned says whether Headgate owns the Gateway of an ExposedService.
func Owned(exs *v1alpha1.ExposedService) bool {
	return exs.Spec.Gateway != nil && exs.Spec.Gateway.ClassName != nil
}
