package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/scene"
)

// way is one from an EndpointSlice to an Envoy.
type way struct {
	name, says string
	// expose makes what brings the services to an Envoy, and says in which pod that is and where its administration listens.
	expose func(ctx context.Context, s *stage) (envoy *corev1.Pod, admin int, err error)
}

var ways = []way{
	{"routes", "Envoy Gateway, GRPCRoutes written by hand", byRoutes},
	{"gateway", "Envoy Gateway, ExposedServices", byGateway},
	{"xds", "Headgate's own xDS, ExposedServices", byXDS},
}

func wayOf(name string) *way {
	if i := slices.IndexFunc(ways, func(w way) bool { return w.name == name }); i >= 0 {
		return &ways[i]
	}
	return nil
}

const (
	shared  = "shared"
	standby = "standby"
)

// stage is a namespace with services whose endpoints the bench writes itself.
type stage struct {
	*scene.Cluster
	space    string
	services int
	// addresses counts those that were given out.
	addresses int
}

func nameOf(service int) string { return fmt.Sprintf("app-%03d", service) }

func hostOf(service int) string { return nameOf(service) + ".example.com" }

// setUp makes the services, each with two endpoints, and one that stands by for all of them.
func (s *stage) setUp(ctx context.Context) error {
	if err := s.MakeNamespace(ctx, s.space); err != nil {
		return err
	}
	for _, name := range append(s.names(), standby) {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.space, Name: name},
			Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{
				Name: "grpc", Port: scene.GRPCPort, TargetPort: intstr.FromInt32(scene.GRPCPort), AppProtocol: ptr.To("kubernetes.io/h2c"),
			}}},
		}
		if err := s.Put(ctx, service, s.slice(name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) names() []string {
	names := make([]string, s.services)
	for i := range names {
		names[i] = nameOf(i)
	}
	return names
}

// slice is an EndpointSlice with one endpoint that stays and one that there has never been before.
func (s *stage) slice(service string) *discoveryv1.EndpointSlice {
	s.addresses++
	endpoint := func(address string) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.space, Name: service, Labels: map[string]string{
			discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "bench.headgate.dev",
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(scene.GRPCPort)), Protocol: ptr.To(corev1.ProtocolTCP)}},
		Endpoints:   []discoveryv1.Endpoint{endpoint("198.18.0.1"), endpoint(fmt.Sprintf("198.19.%d.%d", s.addresses/250%250, 1+s.addresses%250))},
	}
}

func (s *stage) tearDown() error {
	ctx := context.Background() // after an interrupt too
	if err := s.RemoveNamespace(ctx, s.space); err != nil {
		return err
	}
	return s.UntilNamespaceGone(ctx, s.space)
}

func (s *stage) exposedService(service int) *v1alpha1.ExposedService {
	exs := scene.ExposedService(s.space, nameOf(service), nameOf(service), standby)
	exs.Spec.Hostnames = []v1alpha1.Hostname{v1alpha1.Hostname(hostOf(service))}
	exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: shared}}
	exs.Spec.Traffic.HealthCheck = &v1alpha1.HealthCheck{Mode: ptr.To(v1alpha1.HealthCheckNever)}
	return exs
}

// byRoutes is what one writes who has Envoy Gateway alone.
func byRoutes(ctx context.Context, s *stage) (*corev1.Pod, int, error) {
	objects := []client.Object{s.gateway()}
	for i, name := range s.names() {
		objects = append(objects, &gwapiv1.GRPCRoute{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.space, Name: name},
			Spec: gwapiv1.GRPCRouteSpec{
				CommonRouteSpec: gwapiv1.CommonRouteSpec{ParentRefs: []gwapiv1.ParentReference{{Name: shared}}},
				Hostnames:       []gwapiv1.Hostname{gwapiv1.Hostname(hostOf(i))},
				Rules: []gwapiv1.GRPCRouteRule{{BackendRefs: []gwapiv1.GRPCBackendRef{{BackendRef: gwapiv1.BackendRef{
					BackendObjectReference: gwapiv1.BackendObjectReference{Name: gwapiv1.ObjectName(name), Port: ptr.To(gwapiv1.PortNumber(scene.GRPCPort))},
				}}}}},
			},
		})
	}
	if err := s.Put(ctx, objects...); err != nil {
		return nil, 0, err
	}
	return s.ofGateway(ctx)
}

func (s *stage) gateway() *gwapiv1.Gateway {
	return &gwapiv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.space, Name: shared},
		Spec: gwapiv1.GatewaySpec{
			GatewayClassName: scene.ClassName,
			Listeners:        []gwapiv1.Listener{{Name: "grpc", Port: 80, Protocol: gwapiv1.HTTPProtocolType}},
		},
	}
}

func byGateway(ctx context.Context, s *stage) (*corev1.Pod, int, error) {
	if err := s.Put(ctx, s.gateway()); err != nil {
		return nil, 0, err
	}
	for i := range s.services {
		if err := s.Put(ctx, s.exposedService(i)); err != nil {
			return nil, 0, err
		}
	}
	return s.ofGateway(ctx)
}

// ofGateway is the Envoy of the shared Gateway.
func (s *stage) ofGateway(ctx context.Context) (envoy *corev1.Pod, admin int, err error) {
	err = scene.Until(ctx, "the Envoy of the Gateway", func(ctx context.Context) error {
		envoy, err = s.EnvoyPod(ctx, s.exposedService(0))
		return err
	})
	return envoy, scene.AdminPort, err
}

func byXDS(ctx context.Context, s *stage) (*corev1.Pod, int, error) {
	for i := range s.services {
		exs := s.exposedService(i)
		exs.Spec.Gateway, exs.Spec.XDS = nil, &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(scene.XDSPort))}
		if err := s.Put(ctx, exs); err != nil {
			return nil, 0, err
		}
	}
	certificate, err := scene.XDSCertificate(ctx, s.space)
	if err != nil {
		return nil, 0, err
	}
	one := s.exposedService(0)
	envoy, err := s.StartOwnEnvoy(ctx, one, certificate, func(files map[string]string) {
		for name, text := range files { // it follows its whole namespace
			files[name] = strings.ReplaceAll(text, "cluster: "+s.space+"/"+one.Name+"\n", "cluster: "+s.space+"\n")
		}
	})
	return envoy, scene.OwnAdminPort, err
}
