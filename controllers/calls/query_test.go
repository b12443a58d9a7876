package calls

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/signals"
)

// slotted is a rollout whose stable version is in a slot, with a backup.
func slotted(stable v1alpha1.Slot) (*v1alpha1.ExposedService, gateway.Facts) {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	exs.Spec.Backends = []v1alpha1.Backend{
		{Name: "primary", Service: &v1alpha1.ServiceBackend{Name: "greeter", Port: 50051}},
		{Name: "backup", Service: &v1alpha1.ServiceBackend{Name: "greeter-b", Port: 50051}},
	}
	exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}, Analysis: &v1alpha1.Analysis{
		Source: ptr.To(v1alpha1.AnalysisWorkload), Workload: &v1alpha1.WorkloadMetrics{Port: intstr.FromString("metrics")},
	}}
	exs.Status.Traffic = &v1alpha1.TrafficStatus{Slot: stable, StableHash: "old", CanaryHash: "new", Weights: []v1alpha1.BackendWeight{
		{Name: "primary", Weight: 900_000}, {Name: "canary", Weight: 100_000},
	}}
	users := func(name string) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "grpc", Port: 50051}, {Name: "metrics", Port: 8080}},
		}}
	}
	own := func(clusterIP string) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: clusterIP}}
	}
	slice := func(address string, ports ...discoveryv1.EndpointPort) []discoveryv1.EndpointSlice {
		return []discoveryv1.EndpointSlice{{AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{address}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: "at " + address, UID: types.UID("uid " + address)},
		}}}}
	}
	grpc := discoveryv1.EndpointPort{Name: ptr.To("grpc"), Port: ptr.To(int32(9090))}
	metrics := discoveryv1.EndpointPort{Name: ptr.To("metrics"), Port: ptr.To(int32(9100))}
	facts := gateway.Facts{
		Backends: map[string]gateway.BackendFacts{
			"primary": {Service: users("greeter"), Slices: append(slice("10.0.0.1", grpc, metrics), slice("10.0.9.1", grpc, metrics)...)},
			"backup":  {Service: users("greeter-b"), Slices: slice("10.0.1.1", grpc, metrics), OwnService: own("10.96.0.2")},
		},
		Slots: map[v1alpha1.Slot]gateway.SlotFacts{
			stable:         {Service: own("10.96.0.1"), Slices: slice("10.0.0.1", grpc)},
			stable.Other(): {Service: own("10.96.0.9"), Slices: slice("10.0.9.1", grpc)},
		},
		LiveRoute: &gwapiv1.GRPCRoute{Spec: gwapiv1.GRPCRouteSpec{Rules: []gwapiv1.GRPCRouteRule{{}}}},
	}
	for _, name := range []string{"greeter-primary-gw", "greeter-backup-gw", "greeter-fallback", "greeter-primary-green"} {
		ref := gwapiv1.GRPCBackendRef{}
		ref.Name = gwapiv1.ObjectName(name)
		if name == "greeter-fallback" {
			ref.Group, ref.Kind = ptr.To(gwapiv1.Group("gateway.envoyproxy.io")), ptr.To(gwapiv1.Kind("Backend"))
		}
		facts.LiveRoute.Spec.Rules[0].BackendRefs = append(facts.LiveRoute.Spec.Rules[0].BackendRefs, ref)
	}
	return exs, facts
}

func addresses(b signals.Backend) string {
	var out []string
	for _, endpoint := range b.Endpoints {
		out = append(out, endpoint.Addresses[0].String())
	}
	return fmt.Sprint(out)
}

// Whoever is in which slot, a side is asked for where its version is.
func TestSidesAreWhereTheirVersionsAre(t *testing.T) {
	t.Parallel()
	blue := [3]string{"greeter-primary-gw", "primary", "grpcroute/shop/greeter/rule/0/backend/0"}
	green := [3]string{"greeter-primary-green", "Green", "grpcroute/shop/greeter/rule/0/backend/3"}
	for stable, places := range map[v1alpha1.Slot][2][3]string{v1alpha1.SlotBlue: {blue, green}, v1alpha1.SlotGreen: {green, blue}} {
		exs, facts := slotted(stable)
		query := Queries{}.Sides(t.Context(), exs, facts, "greeter")
		if len(query.Backends) != 2 {
			t.Fatalf("%s: it is about %d sides", stable, len(query.Backends))
		}
		for i, want := range []signals.Backend{
			{Name: "primary", Side: "stable", PodTemplateHash: "old", Pods: []signals.Pod{{Name: "at 10.0.0.1"}}},
			{Name: "canary", Side: "canary", PodTemplateHash: "new", Pods: []signals.Pod{{Name: "at 10.0.9.1"}}},
		} {
			got, place := query.Backends[i], places[i]
			if got.Name != want.Name || got.Side != want.Side || got.PodTemplateHash != want.PodTemplateHash || got.Workload != "greeter" {
				t.Errorf("%s: side %+v, want %+v", stable, got, want)
			}
			if is := [3]string{got.Service, got.Locality, got.Cluster}; is != place {
				t.Errorf("%s: %s is at %v, want %v", stable, got.Name, is, place)
			}
			if len(got.Pods) != 1 || got.Pods[0].Name != want.Pods[0].Name || got.Pods[0].Address.Port() != 9100 {
				t.Errorf("%s: the pods of %s are %v, %s", stable, got.Name, got.Pods, got.NoPods)
			}
		}
		all := Queries{}.Backends(t.Context(), exs, facts)
		for i, want := range []string{"primary greeter [10.0.0.1:9090 10.96.0.1:0]", "backup greeter-b [10.0.1.1:9090 10.96.0.2:0]", ""} {
			b := all.Backends[i]
			if want == "" {
				want = "canary " + places[1][0] + " [10.0.9.1:9090 10.96.0.9:0]"
			}
			if got := b.Name + " " + b.Service + " " + addresses(b); got != want {
				t.Errorf("%s: %s, want %s", stable, got, want)
			}
		}
		if got := all.Backends[1].Cluster; got != "grpcroute/shop/greeter/rule/0/backend/1" {
			t.Errorf("%s: the backup is in cluster %s", stable, got)
		}
	}
}

// With nobody in the other slot there is one side, and all pods are of it.
func TestAtRestThereIsOneSide(t *testing.T) {
	t.Parallel()
	exs, facts := slotted(v1alpha1.SlotGreen)
	exs.Status.Traffic.StableHash, exs.Status.Traffic.CanaryHash = "", ""
	query := Queries{}.Backends(t.Context(), exs, facts)
	if len(query.Backends) != 2 || addresses(query.Backends[0]) != "[10.0.0.1:9090 10.0.9.1:9090 10.96.0.1:0]" {
		t.Errorf("it is about %+v", query.Backends)
	}
	if got := query.Backends[0]; got.Cluster != "grpcroute/shop/greeter/rule/0/backend/3" || got.Locality != "Green" || got.Service != "greeter" {
		t.Errorf("it is at %+v", got)
	}
}
