package gateway_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// A class, or a Gateway, that is not there any more, or is not there because of a typo, changes nothing of a live route but
// its weights, and those one step after the other.
func TestALiveRouteFollowsTheDecisionWithoutItsClass(t *testing.T) {
	t.Parallel()
	for name, controller := range map[string]gwapiv1.GatewayController{"one cluster": gateway.EnvoyGatewayController, "portable": "example.com/other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs, facts := exposedBefore(t, controller)
			live := facts.LiveRoute.DeepCopy()

			at := gateway.Resolve(exs, facts).Expand()
			if !at.Blocked || at.Unfinished || routeOf(at) != nil {
				t.Errorf("at rest: blocked %t, unfinished %t, route %v", at.Blocked, at.Unfinished, routeOf(at))
			}

			exs.Spec.Gateway.ClassName = ptr.To("a-typo")
			exs.Spec.Hostnames = []v1alpha1.Hostname{"other.example.com"}
			exs.Status.Traffic = &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: "backup", Weight: gateway.TotalWeight}, {Name: "primary"}}}
			for step := 1; ; step++ {
				out := gateway.Resolve(exs, facts).Expand()
				route := routeOf(out)
				if route == nil || step > 3 {
					t.Fatalf("step %d: %v after %v", step, route, facts.LiveWeights)
				}
				facts.LiveRoute, facts.LiveWeights = route, gateway.LiveWeights(exs, nil, route)
				if !out.Unfinished {
					break
				}
			}
			if diff := cmp.Diff(map[string]int32{"primary": 0, "backup": gateway.TotalWeight}, facts.LiveWeights); diff != "" {
				t.Error(diff)
			}
			for i := range live.Spec.Rules[0].BackendRefs {
				live.Spec.Rules[0].BackendRefs[i].Weight = facts.LiveRoute.Spec.Rules[0].BackendRefs[i].Weight
			}
			if diff := cmp.Diff(live.Spec, facts.LiveRoute.Spec); diff != "" {
				t.Errorf("more than the weights has changed:\n%s", diff)
			}
		})
	}
}

// Nothing is made that is not there.
func TestNothingIsMadeWithoutTheClass(t *testing.T) {
	t.Parallel()
	exs, facts := exposedBefore(t, gateway.EnvoyGatewayController)
	backup := facts.Backends["backup"]
	backup.OwnService = nil
	facts.Backends["backup"] = backup
	facts.LiveStandby = nil
	for _, object := range gateway.Resolve(exs, facts).Expand().Objects {
		if object.GetLabels()[v1alpha1.LabelBackend] != "primary" {
			t.Errorf("%s %s is made", gateway.RefOf(object).Kind, object.GetName())
		}
	}
	facts.LiveRoute, facts.LiveWeights = nil, nil
	if out := gateway.Resolve(exs, facts).Expand(); len(out.Objects) > 0 || !out.Blocked {
		t.Errorf("blocked %t, %d objects", out.Blocked, len(out.Objects))
	}
}

// exposedBefore is an ExposedService that was exposed before its class went.
func exposedBefore(t *testing.T, controller gwapiv1.GatewayController) (*v1alpha1.ExposedService, gateway.Facts) {
	t.Helper()
	exs := &v1alpha1.ExposedService{}
	exs.Namespace, exs.Name = "shop", "greeter"
	exs.Spec.Gateway = &v1alpha1.Gateway{ClassName: ptr.To("class")}
	exs.Spec.Hostnames = []v1alpha1.Hostname{"greeter.example.com"}
	facts := gateway.Facts{
		Class:    &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: controller}},
		Backends: map[string]gateway.BackendFacts{},
	}
	for _, name := range []string{"primary", "backup"} {
		exs.Spec.Backends = append(exs.Spec.Backends, v1alpha1.Backend{Name: name, Service: &v1alpha1.ServiceBackend{Name: name + "-svc", Port: 50051}})
		facts.Backends[name] = gateway.BackendFacts{
			Service: &corev1.Service{Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "grpc", Port: 50051, Protocol: corev1.ProtocolTCP}},
			}},
			OwnService: &corev1.Service{},
			Slices: []discoveryv1.EndpointSlice{{
				AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To[int32](50051)}},
				Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}},
			}},
		}
	}
	before := gateway.Resolve(exs, facts).Expand()
	facts.Class, facts.LiveRoute = nil, routeOf(before)
	facts.LiveWeights = gateway.LiveWeights(exs, nil, facts.LiveRoute)
	if controller == gateway.EnvoyGatewayController {
		facts.LiveStandby = []string{"backup"}
	}
	return exs, facts
}

// The copies of the endpoints of a Service without selector are no source: nothing is copied from them.
func TestNothingIsCopiedFromCopies(t *testing.T) {
	t.Parallel()
	exs, facts := exposedBefore(t, gateway.EnvoyGatewayController)
	facts.Class = &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController}}
	primary := facts.Backends["primary"]
	primary.Service.Spec.Selector, primary.Slices = nil, nil
	copied := discoveryv1.EndpointSlice{
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To[int32](50051)}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}},
	}
	copied.Name, copied.Labels = "greeter-primary-gw-0123abcd", map[string]string{discoveryv1.LabelManagedBy: gateway.SliceManager}
	primary.OwnSlices = []discoveryv1.EndpointSlice{copied}
	facts.Backends["primary"] = primary
	for _, object := range gateway.Resolve(exs, facts).Expand().Objects {
		if slice, ok := object.(*discoveryv1.EndpointSlice); ok && slice.Labels[v1alpha1.LabelBackend] == "primary" && slice.Name != gateway.PlaceholderName(exs, "primary") {
			t.Errorf("EndpointSlice %s is made", slice.Name)
		}
	}
	if ready := *gateway.Resolve(exs, facts).Count()[0].Ready; ready != 0 {
		t.Errorf("%d endpoints are counted", ready)
	}
}
