package gateway_test

import (
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// withHosts is an ExposedService with a Service and two hosts, on a class of Envoy Gateway.
func withHosts() (*v1alpha1.ExposedService, gateway.Facts) {
	exs := oneBackend()
	for _, name := range []string{"eu", "us"} {
		exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{
			Name: name, FQDN: &v1alpha1.FQDNBackend{Hostname: v1alpha1.Hostname(name + ".example.com"), Port: 443},
		})
	}
	class := &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController}}
	return exs, gateway.Facts{Class: class, Backends: map[string]gateway.BackendFacts{}}
}

func liveBackend(name, backend string, addresses ...string) *egv1a1.Backend {
	out := &egv1a1.Backend{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelBackend: backend}}}
	for _, address := range addresses {
		out.Spec.Endpoints = append(out.Spec.Endpoints, egv1a1.BackendEndpoint{IP: &egv1a1.IPEndpoint{Address: address, Port: 443}})
	}
	return out
}

func TestLiveHosts(t *testing.T) {
	t.Parallel()
	exs, _ := withHosts()
	named := liveBackend("greeter-us-host", "us")
	named.Spec.Endpoints = []egv1a1.BackendEndpoint{{FQDN: &egv1a1.FQDNEndpoint{Hostname: "us.example.com", Port: 443}}}
	for name, c := range map[string]struct {
		live []*egv1a1.Backend
		want map[string]gateway.LiveHost
	}{
		"nothing":     {want: map[string]gateway.LiveHost{}},
		"somebody's":  {live: []*egv1a1.Backend{liveBackend("eu-host", "eu", "203.0.113.1")}, want: map[string]gateway.LiveHost{}},
		"a Service's": {live: []*egv1a1.Backend{liveBackend("greeter-fallback", "primary", "10.0.0.1")}, want: map[string]gateway.LiveHost{}},
		"the fallback": {
			live: []*egv1a1.Backend{liveBackend("greeter-fallback", "eu", "203.0.113.1")},
			want: map[string]gateway.LiveHost{"eu": {Addresses: []string{"203.0.113.1"}}},
		},
		"its own and the fallback": {
			live: []*egv1a1.Backend{liveBackend("greeter-fallback", "eu", "203.0.113.2", "203.0.113.1"), liveBackend("greeter-eu-host", "eu", "203.0.113.1")},
			want: map[string]gateway.LiveHost{"eu": {Addresses: []string{"203.0.113.1", "203.0.113.2"}, Exists: true}},
		},
		"by its name": {live: []*egv1a1.Backend{named}, want: map[string]gateway.LiveHost{"us": {Exists: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, gateway.LiveHosts(exs, gateway.Live{Backends: c.live})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHostsAreCountedWhereAddressesAreNeeded: "0" stands for no endpoint, "up" for what nobody can count, and "unknown".
func TestHostsAreCountedWhereAddressesAreNeeded(t *testing.T) {
	t.Parallel()
	other := &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: "example.com/other"}}
	for name, c := range map[string]struct {
		change func(*v1alpha1.ExposedService, *gateway.Facts)
		want   string
	}{
		"never resolved": {want: "0"},
		"resolved": {want: "up", change: func(_ *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Backends["eu"] = gateway.BackendFacts{Addresses: []string{"203.0.113.1"}}
		}},
		"resolved before the start": {want: "up", change: func(_ *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.LiveHosts = map[string]gateway.LiveHost{"eu": {Addresses: []string{"203.0.113.1"}}}
		}},
		"the live Backend names it": {want: "up", change: func(_ *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.LiveHosts = map[string]gateway.LiveHost{"eu": {Exists: true}}
		}},
		"a host is the first": {want: "up", change: func(exs *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Backends["eu"] = gateway.BackendFacts{Addresses: []string{"203.0.113.1"}}
			exs.Spec.Backends = exs.Spec.Backends[1:]
		}},
		"a host is the first and was never resolved": {want: "0", change: func(exs *v1alpha1.ExposedService, _ *gateway.Facts) { exs.Spec.Backends = exs.Spec.Backends[1:] }},
		"the cluster's own": {want: "0", change: func(_ *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Backends["eu"] = gateway.BackendFacts{Unresolved: true, Refused: "host eu.example.com resolves to 10.96.0.10, the address of a Service"}
		}},
		"the cluster's own, though it served": {want: "0", change: func(exs *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Backends["eu"] = gateway.BackendFacts{Unresolved: true, Refused: "host eu.example.com resolves to 10.96.0.10, the address of a Service"}
			facts.LiveHosts = map[string]gateway.LiveHost{"eu": {Addresses: []string{"10.96.0.10"}, Exists: true}}
			exs.Status.Backends = []v1alpha1.BackendStatus{{Name: "eu", Host: &v1alpha1.BackendHost{Hostname: "eu.example.com", Addresses: []string{"10.96.0.10"}}}}
			exs.Spec.XDS = &v1alpha1.XDS{}
		}},
		"another class": {want: "0", change: func(_ *v1alpha1.ExposedService, facts *gateway.Facts) { facts.Class = other }},
		"another class, and xds": {want: "unknown", change: func(exs *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Class, exs.Spec.XDS = other, &v1alpha1.XDS{}
		}},
		"xds alone": {want: "unknown", change: func(exs *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Class, exs.Spec.Gateway, exs.Spec.XDS = nil, nil, &v1alpha1.XDS{}
		}},
		"no Backend API": {want: "0", change: func(_ *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Backends["eu"] = gateway.BackendFacts{Addresses: []string{"203.0.113.1"}}
			facts.Capabilities.Backend = gateway.CapabilityOff
		}},
		"no Backend API, but xds": {want: "up", change: func(exs *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Backends["eu"] = gateway.BackendFacts{Addresses: []string{"203.0.113.1"}}
			facts.Capabilities.Backend, exs.Spec.XDS = gateway.CapabilityOff, &v1alpha1.XDS{}
		}},
		"no class":                   {want: "up", change: func(_ *v1alpha1.ExposedService, facts *gateway.Facts) { facts.Class = nil }},
		"xds beside a known Gateway": {want: "0", change: func(exs *v1alpha1.ExposedService, _ *gateway.Facts) { exs.Spec.XDS = &v1alpha1.XDS{} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs, facts := withHosts()
			if c.change != nil {
				c.change(exs, &facts)
			}
			for _, status := range gateway.Resolve(exs, facts).Count() {
				if status.Name != "eu" {
					continue
				}
				got := "up"
				switch {
				case status.Ready != nil && *status.Ready == 0 && *status.Total == 0:
					got = "0"
				case status.Health == v1alpha1.BackendUnknown:
					got = "unknown"
				}
				if got != c.want {
					t.Errorf("%+v, want %s", status, c.want)
				}
				if got != "up" && status.Message == "" {
					t.Error("nothing says why")
				}
			}
		})
	}
}

// TestWeightsArriveWithoutAHost: the decision gives a share to a host that the route cannot name.
func TestWeightsArriveWithoutAHost(t *testing.T) {
	t.Parallel()
	exs, facts := withHosts()
	exs.Status.Traffic = &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: "eu", Weight: gateway.TotalWeight}}}
	facts.RouteAccepted, facts.LiveWeights = true, map[string]int32{"primary": gateway.TotalWeight}
	if !gateway.Resolve(exs, facts).WeightsArrived() {
		t.Error("the weights never arrive")
	}
	facts.LiveHosts = map[string]gateway.LiveHost{"eu": {Addresses: []string{"203.0.113.1"}, Exists: true}}
	if gateway.Resolve(exs, facts).WeightsArrived() {
		t.Error("the weights have arrived before the route gives them to the host, which has a live Backend")
	}
	facts.LiveWeights = map[string]int32{"primary": 0, "eu": gateway.TotalWeight}
	if !gateway.Resolve(exs, facts).WeightsArrived() {
		t.Error("the weights have not arrived although the route has them")
	}

	// A canary is another matter: while it is not there, its share is served by nobody.
	exs.Status.Traffic.Weights = []v1alpha1.BackendWeight{{Name: "primary", Weight: 900_000}, {Name: "canary", Weight: 100_000}}
	facts.LiveWeights = map[string]int32{"primary": gateway.TotalWeight}
	if gateway.Resolve(exs, facts).WeightsArrived() {
		t.Error("the share of a canary that is not there has arrived")
	}
}

func TestGrantNamespaces(t *testing.T) {
	t.Parallel()
	exs, _ := withHosts()
	exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: ptr.To("infra")}}
	exs.Spec.Backends[0].Service.Namespace = ptr.To("shop")
	exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{Name: "far", Service: &v1alpha1.ServiceBackend{Name: "a", Namespace: ptr.To("far")}})
	exs.Spec.Rollout = &v1alpha1.Rollout{Canary: &v1alpha1.CanaryBackend{Service: v1alpha1.ServiceBackend{Name: "next", Namespace: ptr.To("next")}}}
	if diff := cmp.Diff([]string{"far", "infra", "next"}, gateway.GrantNamespaces(exs)); diff != "" {
		t.Error(diff)
	}
}
