package gateway

import (
	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// ListenerName is the name of the listener of an owned Gateway.
const ListenerName = "grpc"

// addGateway makes the owned Gateway and, for Envoy Gateway, the EnvoyProxy that it is made with.
func (e *expansion) addGateway() {
	spec := e.exs.Spec.Gateway
	gateway := &gwapiv1.Gateway{
		TypeMeta:   metav1.TypeMeta{APIVersion: gwapiv1.GroupVersion.String(), Kind: KindGateway},
		ObjectMeta: e.meta(e.exs.Name, ""),
		Spec: gwapiv1.GatewaySpec{
			GatewayClassName: gwapiv1.ObjectName(*spec.ClassName),
			Listeners:        []gwapiv1.Listener{listener(spec.Listener)},
		},
	}
	switch {
	case MergedClass(e.facts) != "":
		e.ignoreForMerged()
	case e.shape.envoyGateway:
		gateway.Spec.Infrastructure = &gwapiv1.GatewayInfrastructure{ParametersRef: &gwapiv1.LocalParametersReference{
			Group: gwapiv1.Group(egv1a1.GroupName), Kind: gwapiv1.Kind(KindEnvoyProxy), Name: e.exs.Name,
		}}
		e.add(e.envoyProxy())
	}
	e.add(gateway)
}

func listener(spec *v1alpha1.Listener) gwapiv1.Listener {
	out := gwapiv1.Listener{
		Name: ListenerName, Protocol: gwapiv1.HTTPProtocolType, Port: 80,
		AllowedRoutes: &gwapiv1.AllowedRoutes{
			Namespaces: &gwapiv1.RouteNamespaces{From: ptr.To(gwapiv1.NamespacesFromSame)},
			Kinds:      []gwapiv1.RouteGroupKind{{Group: ptr.To(gwapiv1.Group(gwapiv1.GroupName)), Kind: KindGRPCRoute}},
		},
	}
	if spec == nil {
		return out
	}
	if spec.TLS != nil {
		out.Protocol, out.Port = gwapiv1.HTTPSProtocolType, 443
		out.TLS = &gwapiv1.ListenerTLSConfig{Mode: ptr.To(gwapiv1.TLSModeTerminate)}
		for _, ref := range spec.TLS.CertificateRefs {
			secret := gwapiv1.SecretObjectReference{Name: gwapiv1.ObjectName(ref.Name)}
			if ref.Namespace != nil {
				secret.Namespace = ptr.To(gwapiv1.Namespace(*ref.Namespace))
			}
			out.TLS.CertificateRefs = append(out.TLS.CertificateRefs, secret)
		}
	}
	if spec.Port != nil {
		out.Port = gwapiv1.PortNumber(*spec.Port)
	}
	return out
}

// envoyProxy holds what is asked for and nothing else: with mergeType set, the platform's own
// EnvoyProxy (its image, its telemetry) stays in force for the rest. Without mergeType it would
// be replaced.
func (e *expansion) envoyProxy() *egv1a1.EnvoyProxy {
	return &egv1a1.EnvoyProxy{
		TypeMeta:   metav1.TypeMeta{APIVersion: egv1a1.GroupVersion.String(), Kind: KindEnvoyProxy},
		ObjectMeta: e.meta(e.exs.Name, ""),
		Spec: egv1a1.EnvoyProxySpec{
			MergeType: ptr.To(egv1a1.StrategicMerge),
			Provider:  e.proxyProvider(),
			// The only statistics that tell the backends of one cluster apart.
			Telemetry: &egv1a1.ProxyTelemetry{Metrics: &egv1a1.ProxyMetrics{EnablePerEndpointStats: ptr.To(true)}},
		},
	}
}

func (e *expansion) proxyProvider() *egv1a1.EnvoyProxyProvider {
	spec := e.exs.Spec.Gateway
	var kubernetes egv1a1.EnvoyProxyKubernetesProvider
	if spec.Visibility != nil {
		serviceType := egv1a1.ServiceTypeLoadBalancer
		if *spec.Visibility == v1alpha1.VisibilityInternal {
			serviceType = egv1a1.ServiceTypeClusterIP
		}
		kubernetes.EnvoyService = &egv1a1.KubernetesServiceSpec{Type: &serviceType}
	}
	if proxy := spec.Proxy; proxy != nil {
		if proxy.Replicas != nil || proxy.Resources != nil {
			kubernetes.EnvoyDeployment = &egv1a1.KubernetesDeploymentSpec{Replicas: proxy.Replicas}
		}
		if proxy.Resources != nil {
			kubernetes.EnvoyDeployment.Container = &egv1a1.KubernetesContainerSpec{Resources: proxy.Resources}
		}
		if pdb := proxy.PodDisruptionBudget; pdb != nil {
			kubernetes.EnvoyPDB = &egv1a1.KubernetesPodDisruptionBudgetSpec{MinAvailable: pdb.MinAvailable, MaxUnavailable: pdb.MaxUnavailable}
		}
	}
	if kubernetes == (egv1a1.EnvoyProxyKubernetesProvider{}) {
		return nil
	}
	return &egv1a1.EnvoyProxyProvider{Type: egv1a1.EnvoyProxyProviderTypeKubernetes, Kubernetes: &kubernetes}
}
