package gateway_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// mostSteps is in how many steps weights arrive: one that lets go of what somebody else wrote into the route, and three
// from any weights to any others.
const mostSteps = 4

// TestUnfinishedEnds: whatever the spec is, also such as the API refuses today and has taken before, and whatever
// the live route names, the weights of the decision arrive in a few steps. Each is applied and read back.
func TestUnfinishedEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		exs, facts := sharedServices(t)
		route := anyRoute(t, exs)
		for step := 1; ; step++ {
			facts.LiveWeights, facts.RouteAccepted = gateway.LiveWeights(exs, facts.Canary, route), true
			resolved := gateway.Resolve(exs, facts)
			out := resolved.Expand()
			next := routeOf(out)
			if next == nil {
				t.Fatalf("there is no route: %v", out.Problems)
			}
			route = next
			if !out.Unfinished {
				break
			}
			if step == mostSteps {
				t.Fatalf("not there after %d steps: live %v, next %v", step, facts.LiveWeights, route.Spec.Rules[0].BackendRefs)
			}
		}
		facts.LiveWeights = gateway.LiveWeights(exs, facts.Canary, route)
		if again := gateway.Resolve(exs, facts).Expand(); again.Unfinished {
			t.Fatal("it is finished, and a look later it is not")
		}
		if facts.Canary == nil && !gateway.Resolve(exs, facts).WeightsArrived() {
			t.Fatalf("the weights have not arrived: decided %v, live %v", exs.Status.Traffic, facts.LiveWeights)
		}
	})
}

// sharedServices draws an ExposedService in which backends, and the canary, may name the same Service.
func sharedServices(t *rapid.T) (*v1alpha1.ExposedService, gateway.Facts) {
	exs := oneBackend()
	exs.Spec.Backends = nil
	controller := rapid.SampledFrom([]gwapiv1.GatewayController{gateway.EnvoyGatewayController, "example.com/other"}).Draw(t, "controller")
	facts := gateway.Facts{
		Class:    &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: controller}},
		Backends: map[string]gateway.BackendFacts{}, LiveHosts: map[string]gateway.LiveHost{},
	}
	var names []string
	for i := range rapid.IntRange(1, 4).Draw(t, "backends") {
		b := v1alpha1.Backend{Name: fmt.Sprintf("b%d", i)}
		switch rapid.SampledFrom([]string{"Service", "Service", "ServiceImport", "fqdn"}).Draw(t, "kind") {
		case "Service":
			b.Service = someService(t)
		case "ServiceImport":
			b.ServiceImport = &v1alpha1.ServiceImportBackend{Name: "x", Port: 80}
		default:
			b.FQDN = &v1alpha1.FQDNBackend{Hostname: "eu.example.com", Port: 443}
			facts.LiveHosts[b.Name] = gateway.LiveHost{Exists: rapid.Bool().Draw(t, "has a live Backend")}
		}
		exs.Spec.Backends = append(exs.Spec.Backends, b)
		names = append(names, b.Name)
	}
	if rapid.Bool().Draw(t, "canary") {
		facts.Canary = someService(t)
		facts.Backends[v1alpha1.CanaryName] = gateway.BackendFacts{
			Service: &corev1.Service{Spec: corev1.ServiceSpec{Ports: ports("grpc:80:9090", "other:81:9091")}},
		}
		names = append(names, v1alpha1.CanaryName)
	}
	if rapid.Bool().Draw(t, "decided") {
		shares := rapid.Permutation(names).Draw(t, "shares")
		first := rapid.SampledFrom([]int32{1, 100_000, gateway.TotalWeight}).Draw(t, "first share")
		if len(shares) == 1 {
			first = gateway.TotalWeight
		}
		exs.Status.Traffic = &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: shares[0], Weight: first}}}
		if rest := gateway.TotalWeight - first; rest > 0 {
			exs.Status.Traffic.Weights = append(exs.Status.Traffic.Weights, v1alpha1.BackendWeight{Name: shares[1], Weight: rest})
		}
	}
	return exs, facts
}

func someService(t *rapid.T) *v1alpha1.ServiceBackend {
	out := &v1alpha1.ServiceBackend{
		Name: rapid.SampledFrom([]string{"x", "y", "greeter-b0-gw"}).Draw(t, "Service"), Port: rapid.SampledFrom([]v1alpha1.PortNumber{80, 81}).Draw(t, "port"),
	}
	if rapid.Bool().Draw(t, "says its namespace") {
		out.Namespace = ptr.To("shop")
	}
	return out
}

// anyRoute draws a live route: none, or one with references that may be ours, in any order, some of them twice.
func anyRoute(t *rapid.T, exs *v1alpha1.ExposedService) *gwapiv1.GRPCRoute {
	if rapid.Bool().Draw(t, "no route") {
		return nil
	}
	candidates := []gwapiv1.BackendObjectReference{{Name: "x", Port: ptr.To(gwapiv1.PortNumber(80))}, {Name: "elsewhere"}}
	for _, b := range exs.Spec.Backends {
		candidates = append(candidates, gwapiv1.BackendObjectReference{Name: gwapiv1.ObjectName(gateway.ServiceName(exs, b.Name))})
		candidates = append(candidates, gwapiv1.BackendObjectReference{
			Kind: ptr.To(gwapiv1.Kind(gateway.KindBackend)), Name: gwapiv1.ObjectName(gateway.HostName(exs, b.Name)),
		})
		if b.Service != nil {
			candidates = append(candidates, gwapiv1.BackendObjectReference{Name: gwapiv1.ObjectName(b.Service.Name), Port: ptr.To(int32(b.Service.Port))})
		}
	}
	var refs []gwapiv1.GRPCBackendRef
	for range rapid.IntRange(0, 5).Draw(t, "references") {
		refs = append(refs, gwapiv1.GRPCBackendRef{BackendRef: gwapiv1.BackendRef{
			BackendObjectReference: rapid.SampledFrom(candidates).Draw(t, "reference"),
			Weight:                 ptr.To(rapid.SampledFrom([]int32{0, 1, 500_000, gateway.TotalWeight}).Draw(t, "weight")),
		}})
	}
	return &gwapiv1.GRPCRoute{Spec: gwapiv1.GRPCRouteSpec{Rules: []gwapiv1.GRPCRouteRule{{BackendRefs: refs}}}}
}

func routeOf(out gateway.Expansion) *gwapiv1.GRPCRoute {
	for _, object := range out.Objects {
		if route, ok := object.(*gwapiv1.GRPCRoute); ok {
			return route
		}
	}
	return nil
}

// TestBackendsOfOneServiceAreToldApart: the portable shape names the user's Services, and a canary may be one of them.
func TestBackendsOfOneServiceAreToldApart(t *testing.T) {
	t.Parallel()
	ref := func(name string, weight int32) gwapiv1.GRPCBackendRef {
		return gwapiv1.GRPCBackendRef{BackendRef: gwapiv1.BackendRef{
			BackendObjectReference: gwapiv1.BackendObjectReference{Name: gwapiv1.ObjectName(name), Port: ptr.To(gwapiv1.PortNumber(80))}, Weight: &weight,
		}}
	}
	exs := oneBackend()
	exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{Name: "backup", Service: &v1alpha1.ServiceBackend{Name: "next", Port: 80}})
	route := &gwapiv1.GRPCRoute{Spec: gwapiv1.GRPCRouteSpec{Rules: []gwapiv1.GRPCRouteRule{{
		BackendRefs: []gwapiv1.GRPCBackendRef{ref("greeter", 3), ref("next", 2), ref("next", 1)},
	}}}}
	want := map[string]int32{"primary": 3, "backup": 2, "canary": 1}
	if got := gateway.LiveWeights(exs, &v1alpha1.ServiceBackend{Name: "next", Namespace: ptr.To("shop"), Port: 80}, route); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestTheOwnNamespaceIsTheDefault: the API cannot compare a namespace that is written with the object's own.
func TestTheOwnNamespaceIsTheDefault(t *testing.T) {
	t.Parallel()
	twin := &v1alpha1.ServiceBackend{Name: "greeter", Namespace: ptr.To("shop"), Port: 80}
	for name, c := range map[string]struct {
		change func(*v1alpha1.ExposedService)
		want   string
	}{
		"a backup that is the primary": {want: "spec.backends[1].service is the Service of spec.backends[0].service", change: func(exs *v1alpha1.ExposedService) {
			exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{Name: "backup", Service: twin})
		}},
		"a canary that is the primary": {want: "spec.rollout.canary.service is the Service of spec.backends[0].service", change: func(exs *v1alpha1.ExposedService) {
			exs.Spec.Rollout = &v1alpha1.Rollout{Canary: &v1alpha1.CanaryBackend{Service: *twin}}
		}},
		"another namespace": {change: func(exs *v1alpha1.ExposedService) {
			far := *twin
			far.Namespace = ptr.To("far")
			exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{Name: "backup", Service: &far})
		}},
		"another port": {change: func(exs *v1alpha1.ExposedService) {
			other := *twin
			other.Port = 81
			exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{Name: "backup", Service: &other})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs := oneBackend()
			c.change(exs)
			found := ""
			for _, problem := range gateway.Resolve(exs, gateway.Facts{}).Problems() {
				if problem.Reason == v1alpha1.ReasonServiceNotSupported {
					found = problem.Message
				}
			}
			if (found == "") != (c.want == "") || !strings.HasPrefix(found, c.want) {
				t.Errorf("%q, want %q", found, c.want)
			}
		})
	}
}
