package xdsfeed

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// drawExposure draws one of few names, hosts and ports, so that claims meet.
func drawExposure(t *rapid.T, generation int64) resource.Exposure {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{
		Namespace: rapid.SampledFrom([]string{"shop", "bank"}).Draw(t, "namespace"),
		Name:      rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"),
		// Whatever changes a spec in a cluster changes the generation.
		Generation:        generation,
		CreationTimestamp: metav1.NewTime(time.Unix(rapid.Int64Range(0, 3).Draw(t, "created"), 0)),
	}}
	exs.Spec.XDS = &v1alpha1.XDS{}
	if port := rapid.SampledFrom([]v1alpha1.PortNumber{0, 9090, 9091}).Draw(t, "port"); port != 0 {
		exs.Spec.XDS.Port = &port
	}
	for _, host := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x.example.com", "y.example.com", "*.example.com"}), 0, 2, rapid.ID).Draw(t, "hosts") {
		exs.Spec.Hostnames = append(exs.Spec.Hostnames, v1alpha1.Hostname(host))
	}
	exs.Spec.Backends = []v1alpha1.Backend{serviceBackend("primary", "one"), serviceBackend("backup", "two")}
	drawDecision(t, exs)
	return resource.Exposure{Service: exs, Backends: drawEndpoints(t)}
}

func drawDecision(t *rapid.T, exs *v1alpha1.ExposedService) {
	primary := rapid.SampledFrom([]int32{0, 300_000, 1_000_000}).Draw(t, "weight")
	exs.Status.Traffic = &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{
		{Name: "primary", Weight: primary}, {Name: "backup", Weight: 1_000_000 - primary},
	}}
}

func drawEndpoints(t *rapid.T) map[string]resource.Backend {
	out := map[string]resource.Backend{}
	for i, name := range []string{"primary", "backup"} {
		var backend resource.Backend
		for j := range rapid.IntRange(0, 2).Draw(t, name) {
			address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), byte(j + 1)}), 50051)
			backend.Endpoints = append(backend.Endpoints, resource.Endpoint{Addresses: []netip.AddrPort{address}, Ready: true, Serving: true})
		}
		out[name] = backend
	}
	return out
}

// What is set step by step is what Build makes of everything at once.
func TestTheCatalogSetsWhatBuildMakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		catalog := newCatalog()
		set := map[cache.Owner][]cache.Resource{}
		now := map[types.NamespacedName]resource.Exposure{}
		take := func(change catalogChange) { maps.Copy(set, change.resources) }
		put := func(e resource.Exposure) {
			key := types.NamespacedName{Namespace: e.Service.Namespace, Name: e.Service.Name}
			now[key] = e
			take(catalog.put(key, newEntry(e)))
		}
		for range rapid.IntRange(0, 3).Draw(t, "at first") {
			e := drawExposure(t, 1)
			key := types.NamespacedName{Namespace: e.Service.Namespace, Name: e.Service.Name}
			now[key] = e
			catalog.fill(key, newEntry(e))
		}
		take(catalog.all())
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			keys := slices.SortedFunc(maps.Keys(now), compareNames)
			action := rapid.SampledFrom([]string{"put", "decide", "endpoints", "remove"}).Draw(t, "action")
			if len(keys) == 0 || action == "put" {
				put(drawExposure(t, int64(step+2)))
				continue
			}
			key := rapid.SampledFrom(keys).Draw(t, "which")
			e := now[key]
			switch action {
			case "decide":
				e.Service = e.Service.DeepCopy()
				drawDecision(t, e.Service)
				put(e)
			case "endpoints":
				e.Backends = drawEndpoints(t)
				put(e)
			case "remove":
				delete(now, key)
				take(catalog.remove(key))
			}
		}
		want := resource.Build(slices.Collect(maps.Values(now)))
		compareServed(t, want.Resources, set)
		for key := range now {
			wrong := slices.ContainsFunc(want.Problems[key], func(p resource.Problem) bool { return !p.Partial })
			if served := catalog.serves(key); wrong == served {
				t.Errorf("%s: problems %v, served %t", key, want.Problems[key], served)
			}
			if !slices.Equal(want.Problems[key], catalog.problems(key)) {
				t.Errorf("%s: problems are %v, want %v", key, catalog.problems(key), want.Problems[key])
			}
		}
	})
}

// compareServed compares resources by namespace, type and name.
func compareServed(t *rapid.T, want []resource.Resource, set map[cache.Owner][]cache.Resource) {
	name := func(namespace string, message proto.Message) string {
		return fmt.Sprintf("%T %s in %s", message, nameIn(message), namespace)
	}
	have := map[string]cache.Resource{}
	for owner, resources := range set {
		for _, r := range resources {
			if _, twice := have[name(owner.Namespace, r.Message)]; twice {
				t.Errorf("%s is set twice, the second time for %s", name(owner.Namespace, r.Message), owner)
			}
			have[name(owner.Namespace, r.Message)] = r
		}
	}
	for _, r := range want {
		name := name(r.Namespace, r.Message)
		got, ok := have[name]
		delete(have, name)
		if !ok || !proto.Equal(got.Message, r.Message) || !slices.Equal(got.Owners, r.Owners) || !got.Since.Equal(r.Since) {
			t.Errorf("%s is %v, want %v", name, got, r)
		}
		if named := r.Audience == resource.GRPCClients; named == got.Wildcard {
			t.Errorf("%s is in the wildcard: %t, want it for %s", name, got.Wildcard, r.Audience)
		}
	}
	for left := range have {
		t.Errorf("%s is still set", left)
	}
}

// Endpoints change far more often than anything else, and must not cost those who share a port.
func TestEndpointsOfOneTouchNothingElse(t *testing.T) {
	catalog := newCatalog()
	port := v1alpha1.PortNumber(9090)
	exposure := func(name, address string) (types.NamespacedName, catalogEntry) {
		exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1}}
		exs.Spec.XDS = &v1alpha1.XDS{Port: &port}
		exs.Spec.Hostnames = []v1alpha1.Hostname{v1alpha1.Hostname(name + ".example.com")}
		exs.Spec.Backends = []v1alpha1.Backend{serviceBackend("primary", name)}
		return types.NamespacedName{Namespace: "shop", Name: name}, newEntry(resource.Exposure{
			Service: exs, Backends: map[string]resource.Backend{"primary": {Endpoints: []resource.Endpoint{
				{Addresses: []netip.AddrPort{netip.MustParseAddrPort(address)}, Ready: true, Serving: true},
			}}},
		})
	}
	catalog.fill(exposure("a", "10.0.0.1:1"))
	catalog.fill(exposure("b", "10.0.0.2:1"))
	catalog.all()
	key, entry := exposure("a", "10.0.0.3:1")
	change := catalog.put(key, entry)
	if got := slices.Collect(maps.Keys(change.resources)); len(got) != 1 || got[0] != key {
		t.Errorf("a change of the endpoints of %s sets %v", key, got)
	}
}

func serviceBackend(name, service string) v1alpha1.Backend {
	return v1alpha1.Backend{Name: name, Service: &v1alpha1.ServiceBackend{Name: service, Port: 50051}}
}

func nameIn(message proto.Message) string {
	if a, ok := message.(*endpointv3.ClusterLoadAssignment); ok {
		return a.GetClusterName()
	}
	if m, ok := message.(interface{ GetName() string }); ok {
		return m.GetName()
	}
	return ""
}
