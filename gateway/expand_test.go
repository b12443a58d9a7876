package gateway_test

import (
	"fmt"
	"slices"
	"testing"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// world draws an ExposedService and the cluster around it, in any state of disrepair.
func world(t *rapid.T) (*v1alpha1.ExposedService, gateway.Facts) {
	name := rapid.StringMatching(`[a-z]([-a-z0-9]{0,38}[a-z0-9])?`)
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: name.Draw(t, "name"), Namespace: "shop"}}
	exs.Spec.Gateway = &v1alpha1.Gateway{ClassName: ptr.To("class")}
	facts := gateway.Facts{
		Backends:      map[string]gateway.BackendFacts{},
		LiveHosts:     map[string]gateway.LiveHost{},
		ProxyFamilies: rapid.SliceOf(rapid.SampledFrom([]corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol})).Draw(t, "families"),
		Capabilities: gateway.Capabilities{
			Backend:          capability(t, "backend"),
			EnvoyPatchPolicy: capability(t, "patch"),
			LastMode:         rapid.SampledFrom([]v1alpha1.FailoverMode{"", v1alpha1.FailoverPriorities, v1alpha1.FailoverWeights}).Draw(t, "last mode"),
		},
	}
	if rapid.Bool().Draw(t, "class exists") {
		controller := rapid.SampledFrom([]gwapiv1.GatewayController{gateway.EnvoyGatewayController, "example.com/other"}).Draw(t, "controller")
		facts.Class = &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: controller}}
	}
	if rapid.Bool().Draw(t, "attached") {
		exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: ptr.To("infra")}}
		if rapid.Bool().Draw(t, "gateway exists") {
			facts.Gateway = &gwapiv1.Gateway{}
		}
	}
	for i := range rapid.IntRange(1, 8).Draw(t, "backends") {
		backend := v1alpha1.Backend{Name: fmt.Sprintf("b%d-0123456789ab", i)}
		have := gateway.BackendFacts{}
		if rapid.Bool().Draw(t, "is a Service") {
			backend.Service = &v1alpha1.ServiceBackend{Name: fmt.Sprintf("service-%d", i), Port: 50051}
			have = serviceFacts(t, exs, &backend)
		} else {
			backend.FQDN = &v1alpha1.FQDNBackend{Hostname: "a.example.com", Port: 443}
			have.Addresses = someAddresses.Draw(t, "addresses")
			if rapid.Bool().Draw(t, "has live addresses") {
				facts.LiveHosts[backend.Name] = gateway.LiveHost{
					Addresses: someAddresses.Draw(t, "live addresses"), Exists: rapid.Bool().Draw(t, "has a live Backend"),
				}
			}
		}
		exs.Spec.Backends = append(exs.Spec.Backends, backend)
		facts.Backends[backend.Name] = have
	}
	drawSlots(t, exs, &facts)
	return exs, facts
}

// drawSlots lets a workload be shipped behind the first backend, or not, in any state.
func drawSlots(t *rapid.T, exs *v1alpha1.ExposedService, facts *gateway.Facts) {
	if rapid.Bool().Draw(t, "ships a workload") {
		exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}}
	}
	if rapid.Bool().Draw(t, "never shipped") {
		return
	}
	hash := rapid.SampledFrom([]string{"", "aaaa1", "bbbb2"})
	exs.Status.Traffic = &v1alpha1.TrafficStatus{
		Slot:       rapid.SampledFrom([]v1alpha1.Slot{"", v1alpha1.SlotBlue, v1alpha1.SlotGreen}).Draw(t, "slot"),
		StableHash: hash.Draw(t, "stable hash"), CanaryHash: hash.Draw(t, "canary hash"),
	}
	canary := rapid.SampledFrom([]int32{0, 1, 300_000, gateway.TotalWeight}).Draw(t, "weight of the canary")
	exs.Status.Traffic.Weights = []v1alpha1.BackendWeight{
		{Name: exs.Spec.Backends[0].Name, Weight: gateway.TotalWeight - canary}, {Name: v1alpha1.CanaryName, Weight: canary},
	}
	if !gateway.Slotted(exs) {
		return
	}
	first := facts.Backends[exs.Spec.Backends[0].Name]
	facts.Slots = map[v1alpha1.Slot]gateway.SlotFacts{v1alpha1.SlotBlue: {Service: first.OwnService, Slices: first.OwnSlices}}
	if rapid.Bool().Draw(t, "has a Service of Green") {
		name := gateway.SlotServiceName(exs, v1alpha1.SlotGreen)
		facts.Slots[v1alpha1.SlotGreen] = gateway.SlotFacts{
			Service: &corev1.Service{}, Slices: []discoveryv1.EndpointSlice{slice(name, "grpc", rapid.IntRange(0, 3).Draw(t, "endpoints of Green"))},
		}
	}
}

var someAddresses = rapid.SliceOfN(rapid.SampledFrom([]string{"203.0.113.1", "203.0.113.2", "2001:db8:1::7"}), 0, 3)

func capability(t *rapid.T, name string) gateway.Capability {
	return rapid.SampledFrom([]gateway.Capability{
		gateway.CapabilityUnknown, gateway.CapabilityOn, gateway.CapabilityOff, gateway.CapabilityMissing,
	}).Draw(t, name)
}

func serviceFacts(t *rapid.T, exs *v1alpha1.ExposedService, backend *v1alpha1.Backend) gateway.BackendFacts {
	var have gateway.BackendFacts
	if rapid.Bool().Draw(t, "exists") {
		have.Service = &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "p", Port: 50051}}}}
		if rapid.Bool().Draw(t, "has a selector") {
			have.Service.Spec.Selector = map[string]string{"app": "a"}
		}
		have.Slices = []discoveryv1.EndpointSlice{slice(backend.Service.Name, "p", rapid.IntRange(0, 300).Draw(t, "endpoints"))}
	}
	if rapid.Bool().Draw(t, "own Service exists") {
		name := gateway.ServiceName(exs, backend.Name)
		have.OwnService = &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.9"}}
		have.OwnSlices = []discoveryv1.EndpointSlice{slice(name, "grpc", rapid.IntRange(0, 3).Draw(t, "own endpoints"))}
	}
	have.Probe = gateway.Probe{
		State: rapid.SampledFrom([]gateway.ProbeState{gateway.ProbeUnknown, gateway.ProbeNone, gateway.ProbeGRPC}).Draw(t, "probe"),
	}
	return have
}

func slice(service, port string, endpoints int) discoveryv1.EndpointSlice {
	out := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service + "-x", Namespace: "shop", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To(port), Port: ptr.To(int32(9090))}},
	}
	for i := range endpoints {
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{fmt.Sprintf("10.244.%d.%d", i/200, i%200+1)},
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(i%7 != 3)},
		})
	}
	return out
}

// TestExpandHolds checks what must hold of every expansion, whatever the cluster looks like.
func TestExpandHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		exs, facts := world(t)
		before := exs.DeepCopy()
		out := gateway.Resolve(exs, facts).Expand()

		if diff := cmp.Diff(before, exs); diff != "" {
			t.Fatalf("the ExposedService was changed: %s", diff)
		}
		if diff := cmp.Diff(out, gateway.Resolve(exs, facts).Expand(), cmp.AllowUnexported(gateway.Expansion{})); diff != "" {
			t.Fatalf("a second look gives something else: %s", diff)
		}
		if len(out.Backends) != len(exs.Spec.Backends) {
			t.Fatalf("%d backends in status, %d in spec", len(out.Backends), len(exs.Spec.Backends))
		}
		if out.Blocked && len(out.Problems) == 0 {
			t.Fatal("blocked without a problem that says why")
		}
		if out.FailoverReason == "" || out.FailoverMessage == "" {
			t.Fatal("the failover mode has no reason")
		}
		checkObjects(t, out)
		checkRefs(t, exs, out)
	})
}

func checkObjects(t *rapid.T, out gateway.Expansion) {
	seen := map[gateway.Ref]bool{}
	for _, object := range out.Objects {
		gvk := object.GetObjectKind().GroupVersionKind()
		ref := gateway.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
		if gvk.Kind == "" || seen[ref] {
			t.Fatalf("object %v is without a kind or made twice", ref)
		}
		seen[ref] = true
		if ref.Kind == gateway.KindService || ref.Kind == gateway.KindGRPCRoute {
			if problems := validation.IsDNS1035Label(ref.Name); len(problems) > 0 {
				t.Fatalf("name %q: %v", ref.Name, problems)
			}
		}
		if object.GetLabels()[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy {
			t.Fatalf("object %v does not carry our label", ref)
		}
		if backend, ok := object.(*egv1a1.Backend); ok && (len(backend.Spec.Endpoints) == 0 || len(backend.Spec.Endpoints) > 256) {
			t.Fatalf("Backend %s has %d endpoints", ref.Name, len(backend.Spec.Endpoints))
		}
	}
	for _, kept := range out.Kept {
		if seen[kept] {
			t.Fatalf("object %v is both applied and kept", kept)
		}
	}
}

// checkRefs: the weights of the backends add up to the whole, and every object of ours that the
// route names is applied or kept.
func checkRefs(t *rapid.T, exs *v1alpha1.ExposedService, out gateway.Expansion) {
	var route *gwapiv1.GRPCRoute
	made := map[string]bool{}
	for _, object := range out.Objects {
		if r, ok := object.(*gwapiv1.GRPCRoute); ok {
			route = r
		}
		made[object.GetObjectKind().GroupVersionKind().Kind+"/"+object.GetName()] = true
	}
	for _, kept := range out.Kept {
		made[kept.Kind+"/"+kept.Name] = true
	}
	if route == nil {
		if !out.Blocked {
			t.Fatal("there is no route")
		}
		return
	}
	sum := int32(0)
	for _, ref := range route.Spec.Rules[0].BackendRefs {
		kind := string(ptr.Deref(ref.Kind, gateway.KindService))
		isFallback := string(ref.Name) == gateway.FallbackName(exs)
		if len(ref.Filters) > 0 {
			t.Fatal("a backendRef has filters, which would split the cluster")
		}
		users := kind == gateway.KindService && out.Failover.Mode == v1alpha1.FailoverWeights
		if !users && !made[kind+"/"+string(ref.Name)] {
			t.Fatalf("the route names %s %s, which is neither applied nor kept", kind, ref.Name)
		}
		switch {
		case !isFallback:
			sum += *ref.Weight
		case *ref.Weight == 1 != (out.Failover.Mode == v1alpha1.FailoverPriorities):
			t.Fatalf("the fallback has weight %d in mode %s", *ref.Weight, out.Failover.Mode)
		}
	}
	unserved := slices.ContainsFunc(out.Problems, func(p gateway.Problem) bool { return p.Reason == v1alpha1.ReasonBackendNotSupported })
	// Where no host of the spec has an address there is nobody to call.
	nobody := len(route.Spec.Rules[0].BackendRefs) == 0 && !slices.ContainsFunc(exs.Spec.Backends, func(b v1alpha1.Backend) bool { return b.FQDN == nil })
	if sum != gateway.TotalWeight && !unserved && !nobody {
		t.Fatalf("the weights add up to %d", sum)
	}
}

// TestPatchRefKeepsNamespacesApart: namespace "a-b", name "c" and namespace "a", name "b-c" read the
// same when joined.
func TestPatchRefKeepsNamespacesApart(t *testing.T) {
	t.Parallel()
	one := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "a-b", Name: "c"}}
	two := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b-c"}}
	if gateway.PatchRef(one, "infra") == gateway.PatchRef(two, "infra") {
		t.Errorf("both are %v", gateway.PatchRef(one, "infra"))
	}
}
