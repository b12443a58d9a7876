package gateway_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// shipped reads a golden input.
func shipped(t *testing.T, name string) (*v1alpha1.ExposedService, gateway.Facts) {
	t.Helper()
	in := readInput(t, "testdata/slots-"+name+".in.yaml")
	return &in.ExposedService, in.facts()
}

func backendRefsOf(t *testing.T, out gateway.Expansion) []string {
	t.Helper()
	route := routeOf(out)
	if route == nil {
		t.Fatalf("there is no route: %v", out.Problems)
	}
	var refs []string
	for _, ref := range route.Spec.Rules[0].BackendRefs {
		refs = append(refs, fmt.Sprint(ref.Name, " ", *ref.Weight))
	}
	return refs
}

func servicesOf(out gateway.Expansion) map[string]map[string]string {
	services := map[string]map[string]string{}
	for _, object := range out.Objects {
		if service, ok := object.(*corev1.Service); ok {
			services[service.Name] = service.Spec.Selector
		}
	}
	return services
}

// promote is what the decider does when the canary is promoted.
func promote(exs *v1alpha1.ExposedService) {
	traffic := exs.Status.Traffic
	traffic.Slot = traffic.Slot.Other()
	traffic.StableHash, traffic.CanaryHash = traffic.CanaryHash, traffic.StableHash
	traffic.Weights = []v1alpha1.BackendWeight{{Name: "primary", Weight: 999_999}, {Name: "backup", Weight: 1}}
	exs.Status.Rollout.Phase = v1alpha1.RolloutIdle
}

// A decision exchanges the roles of slots that were read before it: the weights of the live route, the endpoints and the Services are
// those of places.
func TestAPromotionMovesNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"step", "other-class-step"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs, facts := shipped(t, name)
			exs.Status.Rollout.Phase = v1alpha1.RolloutReleasing
			exs.Status.Traffic.Weights = []v1alpha1.BackendWeight{{Name: "primary"}, {Name: "canary", Weight: 999_999}, {Name: "backup", Weight: 1}}
			facts.LiveWeights, facts.RouteAccepted = map[string]int32{"primary": 0, gateway.PlaceGreen: 999_999, "backup": 1}, true
			resolved := gateway.Resolve(exs, facts)
			before := resolved.Expand()
			if !resolved.WeightsArrived() {
				t.Fatal("the weights have not arrived")
			}

			promote(exs)
			after := resolved.Expand()
			if a, b := backendRefsOf(t, before), backendRefsOf(t, after); !slices.Equal(a, b) || after.Unfinished {
				t.Errorf("the route was %v and is %v, unfinished: %t", a, b, after.Unfinished)
			}
			if a, b := servicesOf(before), servicesOf(after); fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("the Services were %v and are %v", a, b)
			}
			if !resolved.WeightsArrived() {
				t.Error("the weights have not arrived any more")
			}
			for backend, want := range map[string]string{"primary": "10.244.0.15", "canary": "10.244.0.5"} {
				seen := resolved.Slices()[backend]
				if got := seen.Slices[0].Endpoints[0].Addresses[0]; got != want {
					t.Errorf("%s is at %s, want %s", backend, got, want)
				}
			}
		})
	}
}

func TestTheCanarySlot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		input  string
		change func(*v1alpha1.ExposedService, gateway.Facts)
		want   gateway.CanarySlot
	}{
		"no slots": {input: "step", change: func(exs *v1alpha1.ExposedService, _ gateway.Facts) {
			exs.Spec.Rollout, exs.Status.Rollout, exs.Status.Traffic = nil, nil, nil
		}},
		"its Service is not there": {input: "begun", want: gateway.CanarySlot{Endpoints: -1}},
		"nobody has looked at its Service": {input: "step", change: func(_ *v1alpha1.ExposedService, facts gateway.Facts) {
			green := facts.Slots[v1alpha1.SlotGreen]
			green.Slices = nil
			facts.Slots[v1alpha1.SlotGreen] = green
		}, want: gateway.CanarySlot{Endpoints: -1}},
		"nobody is in it": {input: "rest-green", change: func(_ *v1alpha1.ExposedService, facts gateway.Facts) {
			blue := facts.Slots[v1alpha1.SlotBlue]
			blue.Slices = []discoveryv1.EndpointSlice{{AddressType: discoveryv1.AddressTypeIPv4}}
			facts.Slots[v1alpha1.SlotBlue] = blue
		}, want: gateway.CanarySlot{}},
		"its Service selects another version": {input: "next", change: func(_ *v1alpha1.ExposedService, facts gateway.Facts) {
			facts.Slots[v1alpha1.SlotBlue].Service.Spec.Selector = map[string]string{"app": "greeter", "headgate.dev/slot": "none"}
		}, want: gateway.CanarySlot{Ready: 2, Endpoints: 2}},
		"served": {input: "step", change: func(_ *v1alpha1.ExposedService, facts gateway.Facts) {
			facts.Slots[v1alpha1.SlotBlue].Service.Spec.Selector = map[string]string{"app": "greeter", "pod-template-hash": "aaaa1"}
			facts.Slots[v1alpha1.SlotGreen].Service.Spec.Selector = map[string]string{"app": "greeter", "pod-template-hash": "bbbb2"}
		}, want: gateway.CanarySlot{Served: true, Ready: 2, Endpoints: 2, StableHash: "aaaa1"}},
		"what ends counts, and the placeholder does not": {input: "promoted", change: func(_ *v1alpha1.ExposedService, facts gateway.Facts) {
			blue := facts.Slots[v1alpha1.SlotBlue]
			blue.Slices = append(blue.Slices, discoveryv1.EndpointSlice{
				AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(1))}},
				Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}},
			})
			blue.Slices[1].Labels = map[string]string{discoveryv1.LabelManagedBy: gateway.SliceManager}
			facts.Slots[v1alpha1.SlotBlue] = blue
		}, want: gateway.CanarySlot{Endpoints: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs, facts := shipped(t, c.input)
			if c.change != nil {
				c.change(exs, facts)
			}
			if got := gateway.Resolve(exs, facts).CanarySlot(); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestWorkloadsThatCannotHaveSlots(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*v1alpha1.ExposedService, gateway.Facts)
		want   string
	}{
		"a Service that selects pods": {func(*v1alpha1.ExposedService, gateway.Facts) {}, ""},
		"one that is not there": {func(_ *v1alpha1.ExposedService, facts gateway.Facts) {
			facts.Backends["primary"] = gateway.BackendFacts{}
		}, ""},
		"no selector": {func(_ *v1alpha1.ExposedService, facts gateway.Facts) {
			facts.Backends["primary"].Service.Spec.Selector = nil
		}, "Service shop/greeter of the first backend has no selector"},
		"another namespace": {func(exs *v1alpha1.ExposedService, _ gateway.Facts) {
			exs.Spec.Backends[0].Service.Namespace = ptr.To("far")
		}, "Service far/greeter of the first backend is in another namespace"},
		"a host": {func(exs *v1alpha1.ExposedService, _ gateway.Facts) {
			exs.Spec.Backends[0] = v1alpha1.Backend{Name: "primary", FQDN: &v1alpha1.FQDNBackend{Hostname: "eu.example.com", Port: 443}}
		}, "the first backend, primary, has no pods of this cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exs, facts := shipped(t, "rest-blue")
			c.change(exs, facts)
			resolved := gateway.Resolve(exs, facts)
			found := ""
			for _, problem := range resolved.Problems() {
				if problem.Reason == v1alpha1.ReasonRolloutNotSupported && problem.For == v1alpha1.ConditionProgressing {
					found = problem.Message
				}
			}
			if (found == "") != (c.want == "") || !strings.Contains(found, c.want) || c.want != "" && !strings.HasPrefix(found, "spec.rollout.workloadRef: ") {
				t.Errorf("%q, want %q", found, c.want)
			}
			if c.want != "" && len(servicesOf(resolved.Expand())["greeter-primary-green"]) > 0 {
				t.Error("it has a slot Green")
			}
		})
	}
}

func TestLiveWeightsAreThoseOfPlaces(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"step", "next", "other-class-step", "other-class-made"} {
		exs, facts := shipped(t, name)
		facts.LiveWeights = nil
		out := gateway.Resolve(exs, facts).Expand()
		route := routeOf(out)
		got := gateway.LiveWeights(exs, nil, route)
		want := map[string]int32{}
		for _, ref := range route.Spec.Rules[0].BackendRefs {
			switch ref.Name {
			case "greeter-primary-gw", "greeter":
				want["primary"] = *ref.Weight
			case "greeter-primary-green":
				want[gateway.PlaceGreen] = *ref.Weight
			case "greeter-backup-gw", "greeter-b":
				want["backup"] = *ref.Weight
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		facts.LiveRoute = route
		indexes := gateway.Resolve(exs, facts).RouteIndexes()
		for role, service := range map[string]string{"primary": facts.Slots[gatewaySlot(exs)].Service.Name} {
			at := slices.IndexFunc(route.Spec.Rules[0].BackendRefs, func(ref gwapiv1.GRPCBackendRef) bool { return string(ref.Name) == service })
			if indexes[role] != at {
				t.Errorf("%s: %s is at %d, want %d", name, role, indexes[role], at)
			}
		}
	}
}

func gatewaySlot(exs *v1alpha1.ExposedService) v1alpha1.Slot {
	if exs.Status.Traffic.Slot == "" {
		return v1alpha1.SlotBlue
	}
	return exs.Status.Traffic.Slot
}

// Without a Gateway there are the Services of the slots, without placeholders, and nothing else.
func TestXDSAloneHasTheServicesOfSlots(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]map[string]string{
		"step": {
			"greeter-primary-gw":    {"app": "greeter", "pod-template-hash": "aaaa1"},
			"greeter-primary-green": {"app": "greeter", "pod-template-hash": "bbbb2"},
		},
		"rest-blue":  {"greeter-primary-gw": {"app": "greeter"}},
		"rest-green": {"greeter-primary-green": {"app": "greeter"}, "greeter-primary-gw": {"app": "greeter", "headgate.dev/slot": "none"}},
	} {
		exs, facts := shipped(t, name)
		exs.Spec.Gateway, exs.Spec.XDS, facts.Class = nil, &v1alpha1.XDS{}, nil
		out := gateway.Resolve(exs, facts).ExpandSlots()
		if got := servicesOf(out); fmt.Sprint(got) != fmt.Sprint(want) || len(out.Objects) != len(want) {
			t.Errorf("%s: %v and %d objects, want %v", name, got, len(out.Objects), want)
		}
		exs.Spec.Rollout, exs.Status.Rollout, exs.Status.Traffic = nil, nil, nil
		if out := gateway.Resolve(exs, facts).ExpandSlots(); len(out.Objects) > 0 {
			t.Errorf("without a rollout there are %v", servicesOf(out))
		}
	}
}

// A class that is gone keeps nobody from following who is in which slot.
func TestSlotsAreCarriedOn(t *testing.T) {
	t.Parallel()
	for name, placeholders := range map[string]bool{"step": true, "other-class-step": false} {
		exs, facts := shipped(t, name)
		facts.LiveWeights = nil
		facts.LiveRoute = routeOf(gateway.Resolve(exs, facts).Expand())
		facts.LiveWeights = gateway.LiveWeights(exs, nil, facts.LiveRoute)
		if placeholders {
			blue := facts.Slots[v1alpha1.SlotBlue]
			blue.Slices = append(blue.Slices, discoveryv1.EndpointSlice{
				AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(1))}},
				Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}},
			})
			blue.Slices[len(blue.Slices)-1].Labels = map[string]string{discoveryv1.LabelManagedBy: gateway.SliceManager}
			facts.Slots[v1alpha1.SlotBlue] = blue
		}
		facts.Class = nil
		promote(exs)
		exs.Status.Traffic.CanaryHash = "aaaa1"
		out := gateway.Resolve(exs, facts).Expand()
		if !out.Blocked {
			t.Fatalf("%s: it is not blocked", name)
		}
		services := servicesOf(out)
		if services["greeter-primary-gw"]["pod-template-hash"] != "aaaa1" || services["greeter-primary-green"]["pod-template-hash"] != "bbbb2" {
			t.Errorf("%s: the Services are %v", name, services)
		}
		made := slices.ContainsFunc(out.Objects, func(object gateway.Object) bool {
			return object.GetObjectKind().GroupVersionKind().Kind == gateway.KindEndpointSlice
		})
		if made != placeholders {
			t.Errorf("%s: placeholders %t, want %t", name, made, placeholders)
		}
		// 10 % were on Green, which has all of it from now on.
		refs := backendRefsOf(t, out)
		if !slices.Contains(refs, "greeter-primary-green 999999") {
			t.Errorf("%s: the route is %v", name, refs)
		}
	}
}

// What is refused of a slot is not given to the other one, while there is anybody else.
func TestAnIdleSlotInheritsNothing(t *testing.T) {
	t.Parallel()
	exs, facts := shipped(t, "rest-green")
	facts.Slots[v1alpha1.SlotGreen] = gateway.SlotFacts{}
	out := gateway.Resolve(exs, facts).Expand().Without(gateway.Ref{Kind: gateway.KindService, Namespace: "shop", Name: "greeter-primary-green"})
	if refs := backendRefsOf(t, out); !slices.Equal(refs, []string{"greeter-primary-gw 0", "greeter-backup-gw 1000000", "greeter-fallback 1"}) {
		t.Errorf("the route is %v", refs)
	}
}
