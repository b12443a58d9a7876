package xdsfeed

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// TestWhatIsServedOverXDSIsWhatThePodsAre: a port that has just got another name, readiness that publishNotReadyAddresses
// hides, and addresses of an IP family that the cluster does not have.
func TestWhatIsServedOverXDSIsWhatThePodsAre(t *testing.T) {
	t.Parallel()
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	exs.Spec.XDS = &v1alpha1.XDS{}
	exs.Spec.Backends = []v1alpha1.Backend{
		serviceBackend("primary", "greeter"), {Name: "eu", FQDN: &v1alpha1.FQDNBackend{Hostname: "eu.example.com", Port: 443}},
	}
	service := &corev1.Service{Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Name: "grpc", Port: 50051}, {Name: "metrics", Port: 8080}}, Selector: map[string]string{"app": "greeter"},
		IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, PublishNotReadyAddresses: true,
	}}
	slice := discoveryv1.EndpointSlice{
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Port: ptr.To(int32(9090))}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true)}},
			{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(false)}},
		},
	}
	served := exposureFrom(exs, gateway.Facts{Backends: map[string]gateway.BackendFacts{
		"primary": {Service: service, Slices: []discoveryv1.EndpointSlice{slice}},
		"eu":      {Addresses: []string{"203.0.113.1", "2001:db8:1::7"}},
	}})
	for name, want := range map[string][]string{
		"primary": {"10.0.0.1:9090 true", "10.0.0.2:9090 false"},
		"eu":      {"203.0.113.1:443 true"},
	} {
		var got []string
		for _, endpoint := range served.Backends[name].Endpoints {
			got = append(got, fmt.Sprint(endpoint.Addresses[0], " ", endpoint.Ready))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s is served at %v, want %v", name, got, want)
		}
	}
}
