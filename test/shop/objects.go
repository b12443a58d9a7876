package shop

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

const (
	// GRPCPort is that of every Service and of its pods.
	GRPCPort = 50051
	// Name is that of the ExposedService whose calls the proxies count.
	Name = "greeter"
	// Primary is the Service of the first backend, and the Deployment behind it; Canary are those that Headgate makes beside them.
	Primary, Canary = "primary-svc", "primary-svc-canary"
	Backup          = "backup-svc"
	// FirstImage is what the pods of a new Deployment run.
	FirstImage = "app:1"
	// CanaryAddress is that of the canary's pod.
	CanaryAddress = "10.1.9.1"
)

// Address is that of a pod: of the place-th Service, from 0, the number-th, from 1.
func Address(place, number int) string { return fmt.Sprintf("10.1.%d.%d", place, number) }

// ExposedService is one with two backends on a Gateway of its own.
func ExposedService(namespace, name, class string) *v1alpha1.ExposedService {
	return &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.ExposedServiceSpec{
			Hostnames: []v1alpha1.Hostname{v1alpha1.Hostname(name + ".example.com")},
			Gateway:   &v1alpha1.Gateway{ClassName: &class},
			Backends:  []v1alpha1.Backend{ServiceBackend("primary", Primary), ServiceBackend("backup", Backup)},
		},
	}
}

// ServiceBackend is a backend that is a Service of the same namespace.
func ServiceBackend(name, service string) v1alpha1.Backend {
	return v1alpha1.Backend{Name: name, Service: &v1alpha1.ServiceBackend{Name: service, Port: GRPCPort}}
}

// ShipQuickly has an ExposedService ship the Deployment behind its primary, in steps of a second and with little evidence.
func ShipQuickly(exs *v1alpha1.ExposedService) {
	hold := v1alpha1.LongDuration("1s")
	exs.Spec.Rollout = &v1alpha1.Rollout{
		WorkloadRef: &v1alpha1.WorkloadReference{Name: Primary},
		Steps:       []v1alpha1.RolloutStep{{Weight: intstr.FromInt(20), Hold: &hold}, {Weight: intstr.FromInt(50), Hold: &hold}},
		Analysis:    &v1alpha1.Analysis{Errors: &v1alpha1.ErrorTolerance{Prove: &v1alpha1.Tolerance{Percent: ptr.To("5")}}},
	}
}

// Service is one with a selector.
func Service(namespace, name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "grpc", Port: GRPCPort, TargetPort: intstr.FromInt32(GRPCPort)}},
		},
	}
}

// Slice is what the cluster's controller, which no API server has, makes of a Service: its endpoints are ready.
func Slice(namespace, service string, addresses ...string) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: service + "-abc", Namespace: namespace,
			Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(GRPCPort)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		})
	}
	return slice
}

// Proxies are the endpoints of a Gateway's proxies: one pod.
func Proxies(namespace, gateway string) *discoveryv1.EndpointSlice {
	proxies := Slice(namespace, "proxies", "10.1.8.1")
	proxies.Labels = map[string]string{
		"gateway.envoyproxy.io/owning-gateway-name": gateway, "gateway.envoyproxy.io/owning-gateway-namespace": namespace,
	}
	proxies.Endpoints[0].TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "proxy", UID: "proxy"}
	return proxies
}

// Deployment is the one whose pods the Service of that name selects: two.
func Deployment(namespace, name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](2), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: FirstImage}}},
			},
		},
	}
}

// Pod is one of no Deployment's, which the Service of that name selects.
func Pod(namespace, service, address string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: service + "-", Namespace: namespace,
			Labels: map[string]string{"app": service}, Annotations: map[string]string{AnnotationAddress: address},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: service + ":1"}}},
	}
}

// SharedGateway is a Gateway of somebody else's, which takes routes of all namespaces.
func SharedGateway(namespace, name, class string) *gwapiv1.Gateway {
	return &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: gwapiv1.GatewaySpec{
			GatewayClassName: gwapiv1.ObjectName(class),
			Listeners: []gwapiv1.Listener{{
				Name: "grpc", Protocol: gwapiv1.HTTPProtocolType, Port: 80,
				AllowedRoutes: &gwapiv1.AllowedRoutes{Namespaces: &gwapiv1.RouteNamespaces{From: ptr.To(gwapiv1.NamespacesFromAll)}},
			}},
		},
	}
}
