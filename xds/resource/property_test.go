package resource_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/resource"
)

const allParts = 1_000_000

// names are those of backends and of canaries.
var names = []string{"primary", "backup", "elsewhere", "canary", "other"}

// TestAssignmentsKeepTheRules looks at every assignment of random exposures.
func TestAssignmentsKeepTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawExposure(t)
		for _, r := range mustBuild(t, e) {
			if a, ok := r.Message.(*endpointv3.ClusterLoadAssignment); ok {
				checkForGRPC(t, a)
				checkSomebodyServes(t, e, a)
				checkHealth(t, e, a)
			}
		}
	})
}

// checkForGRPC checks the rules for which gRPC refuses a whole assignment, or silently leaves out a part.
func checkForGRPC(t *rapid.T, a *endpointv3.ClusterLoadAssignment) {
	addresses := map[string]bool{}
	for i, l := range a.GetEndpoints() {
		if l.GetPriority() != uint32(i) {
			t.Fatalf("%s: priority %d comes at place %d", a.GetClusterName(), l.GetPriority(), i)
		}
		if l.GetLocality().GetZone() == "" || l.GetLoadBalancingWeight().GetValue() == 0 {
			t.Fatalf("%s: locality without name or weight: %v", a.GetClusterName(), l)
		}
		for _, ep := range l.GetLbEndpoints() {
			if ep.GetLoadBalancingWeight().GetValue() == 0 {
				t.Fatalf("%s: endpoint without weight: %v", a.GetClusterName(), ep)
			}
			for _, address := range addressesOf(ep) {
				if addresses[address] {
					t.Fatalf("%s: address %s is there twice", a.GetClusterName(), address)
				}
				addresses[address] = true
			}
		}
	}
}

// checkSomebodyServes: while anybody can serve, somebody does, also for gRPC clients.
func checkSomebodyServes(t *rapid.T, e resource.Exposure, a *endpointv3.ClusterLoadAssignment) {
	able := 0
	for _, l := range a.GetEndpoints() {
		for _, ep := range l.GetLbEndpoints() {
			if ep.GetHealthStatus() == corev3.HealthStatus_HEALTHY {
				return
			}
			state := stateOf(e, ep)
			if state.Ready && !state.Terminating || state.Terminating && state.Serving {
				able++
			}
		}
	}
	if able > 0 {
		t.Fatalf("%s: %d endpoints can serve and none does: %v", a.GetClusterName(), able, a)
	}
}

// checkHealth: nobody serves who is not ready while somebody is, and the backend with all the calls gets them.
func checkHealth(t *rapid.T, e resource.Exposure, a *endpointv3.ClusterLoadAssignment) {
	for _, l := range a.GetEndpoints() {
		for _, ep := range l.GetLbEndpoints() {
			state, health := stateOf(e, ep), ep.GetHealthStatus()
			switch {
			case state.Terminating && health == corev3.HealthStatus_DRAINING:
			case state.Terminating && health == corev3.HealthStatus_HEALTHY && state.Serving && !anyReady(e, a):
			case !state.Terminating && !state.Ready && health == corev3.HealthStatus_UNHEALTHY:
			case !state.Terminating && state.Ready && health != corev3.HealthStatus_DRAINING:
			default:
				t.Fatalf("%s: %v is %v", a.GetClusterName(), state, health)
			}
		}
	}
}

func anyReady(e resource.Exposure, a *endpointv3.ClusterLoadAssignment) bool {
	for _, l := range a.GetEndpoints() {
		for _, ep := range l.GetLbEndpoints() {
			if state := stateOf(e, ep); state.Ready && !state.Terminating {
				return true
			}
		}
	}
	return false
}

// TestWhoHasAllTheCallsGetsThem: with a decision that gives one backend everything (but for the nets),
// the first priority with a healthy endpoint in the cluster of the route is that backend's, as long as it has a ready one.
func TestWhoHasAllTheCallsGetsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawExposure(t)
		backends := e.Service.Spec.Backends
		serving := rapid.IntRange(0, len(backends)-1).Draw(t, "serving")
		weights := make([]v1alpha1.BackendWeight, len(backends))
		rest := int32(allParts)
		for i, b := range backends {
			weights[i].Name = b.Name
			if i < serving && rapid.Bool().Draw(t, "net") {
				weights[i].Weight = 1
				rest--
			}
		}
		weights[serving].Weight = rest
		e.Service.Status = v1alpha1.ExposedServiceStatus{Traffic: &v1alpha1.TrafficStatus{
			Weights: weights, Fallback: rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "fallback"),
		}}
		resources := mustBuild(t, e)
		for _, shares := range sharesOf(t, resources) {
			if len(shares) != 1 {
				t.Fatalf("the route has the clusters %v", shares)
			}
			for cluster := range shares {
				a := assignment(t, resources, cluster)
				place := resource.LocalityOf(e.Service, backends[serving].Name, e.Slots[backends[serving].Name])
				if got, want := firstHealthy(a), firstReady(e, a, place); want && got != place {
					t.Fatalf("%q serves instead of %q: %v", got, place, a)
				}
			}
		}
	})
}

func firstHealthy(a *endpointv3.ClusterLoadAssignment) string {
	for _, l := range a.GetEndpoints() {
		for _, ep := range l.GetLbEndpoints() {
			if ep.GetHealthStatus() == corev3.HealthStatus_HEALTHY {
				return l.GetLocality().GetZone()
			}
		}
	}
	return ""
}

func firstReady(e resource.Exposure, a *endpointv3.ClusterLoadAssignment, backend string) bool {
	for _, l := range a.GetEndpoints() {
		for _, ep := range l.GetLbEndpoints() {
			if state := stateOf(e, ep); l.GetLocality().GetZone() == backend && state.Ready && !state.Terminating {
				return true
			}
		}
	}
	return false
}

// TestSharesAddUp: every route shares out all of the calls, to clusters that are there, each with an assignment.
func TestSharesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawExposure(t)
		resources := mustBuild(t, e)
		for _, shares := range sharesOf(t, resources) {
			sum := uint32(0)
			for cluster, weight := range shares {
				sum += weight
				assignment(t, resources, cluster)
				if !slices.ContainsFunc(resources, func(r resource.Resource) bool {
					_, ok := r.Message.(*clusterv3.Cluster)
					return ok && r.Name == cluster
				}) {
					t.Fatalf("cluster %s is not there", cluster)
				}
			}
			if sum != allParts {
				t.Fatalf("the shares %v add up to %d", shares, sum)
			}
		}
	})
}

// TestAnAddressKeepsItsLocality: another decision moves no address of a backend to another locality, hides
// none, and changes nothing else of the endpoint than its health; such a change makes Envoy forget the host.
// Nor does it move a backend to another priority of the same cluster.
func TestAnAddressKeepsItsLocality(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawExposure(t)
		before := mustBuild(t, e)
		other := *e.Service
		other.Status = drawStatus(t)
		e.Service = &other
		after := mustBuild(t, e)
		placed := map[string]string{}
		priorities := map[string]uint32{}
		for _, r := range slices.Concat(before, after) {
			a, ok := r.Message.(*endpointv3.ClusterLoadAssignment)
			if !ok {
				continue
			}
			for _, l := range a.GetEndpoints() {
				place := a.GetClusterName() + " " + l.GetLocality().GetZone()
				if was, known := priorities[place]; known && was != l.GetPriority() {
					t.Fatalf("%s was at priority %d and is at %d", place, was, l.GetPriority())
				}
				priorities[place] = l.GetPriority()
				for _, ep := range l.GetLbEndpoints() {
					is := fmt.Sprint(l.GetLocality().GetZone(), addressesOf(ep), ep.GetEndpoint().GetHealthCheckConfig().GetDisableActiveHealthCheck())
					for _, address := range addressesOf(ep) {
						if was, known := placed[address]; known && was != is {
							t.Fatalf("%s was %s and is %s", address, was, is)
						}
						placed[address] = is
					}
				}
			}
		}
	})
}

// TestTheSameInputGivesTheSameBytes, whatever the order in which endpoints and exposures come, also
// where the endpoints contradict each other.
func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exposures := drawExposures(t)
		for i := range exposures {
			for name, b := range exposures[i].Backends {
				for _, ep := range b.Endpoints {
					ep.Ready, ep.Addresses = !ep.Ready, ep.Addresses[:1]
					b.Endpoints = append(b.Endpoints, ep)
				}
				exposures[i].Backends[name] = b
			}
		}
		first := resource.Build(exposures)
		shuffle := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for i := range exposures {
			shuffled := map[string]resource.Backend{}
			for name, b := range exposures[i].Backends {
				b.Endpoints = slices.Clone(b.Endpoints)
				shuffle.Shuffle(len(b.Endpoints), func(x, y int) { b.Endpoints[x], b.Endpoints[y] = b.Endpoints[y], b.Endpoints[x] })
				shuffled[name] = b
			}
			exposures[i].Backends = shuffled
		}
		shuffle.Shuffle(len(exposures), func(x, y int) { exposures[x], exposures[y] = exposures[y], exposures[x] })
		second := resource.Build(exposures)
		if fmt.Sprint(first.Problems) != fmt.Sprint(second.Problems) || len(first.Resources) != len(second.Resources) {
			t.Fatalf("problems %v and %d resources, then %v and %d", first.Problems, len(first.Resources), second.Problems, len(second.Resources))
		}
		for i, a := range first.Resources {
			b := second.Resources[i]
			if a.Name != b.Name || a.TypeURL() != b.TypeURL() || !bytes.Equal(encode(t, a), encode(t, b)) {
				t.Fatalf("%s %s is not %s %s", a.TypeURL(), a.Name, b.TypeURL(), b.Name)
			}
		}
	})
}

// TestNamesAreUnique: no resource is there twice, and whoever has a problem has no resources and the others have theirs.
func TestNamesAreUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exposures := drawExposures(t)
		result := resource.Build(exposures)
		seen := map[string]bool{}
		owned := map[string]bool{}
		domains := map[string]bool{}
		for _, r := range result.Resources {
			name := r.Namespace + " " + id(r.TypeURL(), r.Name)
			if seen[name] {
				t.Fatalf("%s is there twice", name)
			}
			seen[name] = true
			for _, owner := range r.Owners {
				owned[owner.String()] = true
				if owner.Namespace != r.Namespace {
					t.Fatalf("%s %s of namespace %s belongs to %s", r.TypeURL(), r.Name, r.Namespace, owner)
				}
				if isWrong(result.Problems[owner]) {
					t.Fatalf("%s has problems and resource %s", owner, r.Name)
				}
			}
			routes, ok := r.Message.(*routev3.RouteConfiguration)
			for _, host := range routes.GetVirtualHosts() {
				for _, domain := range host.GetDomains() {
					if key := r.Name + " " + domain; ok && domains[key] {
						t.Fatalf("%s has domain %s twice", r.Name, domain)
					}
					domains[r.Name+" "+domain] = true
				}
			}
		}
		for _, e := range exposures {
			key := e.Service.Namespace + "/" + e.Service.Name
			refused := false
			for name := range result.Problems {
				refused = refused || name.String() == key && isWrong(result.Problems[name])
			}
			if owned[key] == refused {
				t.Fatalf("%s: resources %v, problems %v", key, owned[key], refused)
			}
		}
	})
}

func mustBuild(t *rapid.T, e resource.Exposure) []resource.Resource {
	result := resource.Build([]resource.Exposure{e})
	if len(result.Problems) > 0 {
		t.Fatalf("problems: %v", result.Problems)
	}
	for _, r := range result.Resources {
		if err := r.Message.(interface{ ValidateAll() error }).ValidateAll(); err != nil {
			t.Fatalf("%s %s: %v", r.TypeURL(), r.Name, err)
		}
	}
	return result.Resources
}

func encode(t *rapid.T, r resource.Resource) []byte {
	out, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sharesOf are the clusters of every route, with their weights.
func sharesOf(t *rapid.T, resources []resource.Resource) []map[string]uint32 {
	var out []map[string]uint32
	for _, r := range resources {
		routes, ok := r.Message.(*routev3.RouteConfiguration)
		if !ok {
			continue
		}
		for _, route := range routes.GetVirtualHosts()[0].GetRoutes() {
			if route.GetMatch().GetPath() == "/" {
				continue // it takes no call
			}
			shares := map[string]uint32{}
			if cluster := route.GetRoute().GetCluster(); cluster != "" {
				shares[cluster] = allParts
			}
			for _, c := range route.GetRoute().GetWeightedClusters().GetClusters() {
				shares[c.GetName()] = c.GetWeight().GetValue()
			}
			out = append(out, shares)
		}
	}
	if len(out) == 0 {
		t.Fatal("no routes")
	}
	return out
}

func assignment(t *rapid.T, resources []resource.Resource, cluster string) *endpointv3.ClusterLoadAssignment {
	for _, r := range resources {
		if a, ok := r.Message.(*endpointv3.ClusterLoadAssignment); ok && a.GetClusterName() == cluster {
			return a
		}
	}
	t.Fatalf("cluster %s has no assignment", cluster)
	return nil
}

func addressesOf(ep *endpointv3.LbEndpoint) []string {
	text := func(a *corev3.Address) string {
		return netip.AddrPortFrom(netip.MustParseAddr(a.GetSocketAddress().GetAddress()), uint16(a.GetSocketAddress().GetPortValue())).String()
	}
	out := []string{text(ep.GetEndpoint().GetAddress())}
	for _, additional := range ep.GetEndpoint().GetAdditionalAddresses() {
		out = append(out, text(additional.GetAddress()))
	}
	return out
}

// stateOf is what the input says of an endpoint, the best of what it says: drawn endpoints with the same address
// have the same state, so there is one.
func stateOf(e resource.Exposure, ep *endpointv3.LbEndpoint) resource.Endpoint {
	address := netip.MustParseAddrPort(addressesOf(ep)[0])
	for _, b := range e.Backends {
		for _, candidate := range b.Endpoints {
			if slices.Contains(candidate.Addresses, address) {
				return candidate
			}
		}
	}
	return resource.Endpoint{}
}

// drawExposure draws from few addresses, so that backends share some.
func drawExposure(t *rapid.T) resource.Exposure {
	count := rapid.IntRange(1, 3).Draw(t, "backends")
	e := resource.Exposure{
		Service: &v1alpha1.ExposedService{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"},
			Spec:       v1alpha1.ExposedServiceSpec{XDS: &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(9090))}},
			Status:     drawStatus(t),
		},
		Backends: map[string]resource.Backend{},
	}
	for i := range count {
		e.Service.Spec.Backends = append(e.Service.Spec.Backends, v1alpha1.Backend{Name: names[i]})
	}
	if rapid.Bool().Draw(t, "minReadyPercent is set") {
		e.Service.Spec.Failover = &v1alpha1.Failover{MinReadyPercent: ptr.To(rapid.Int32Range(1, 100).Draw(t, "minReadyPercent"))}
	}
	pods := make([]resource.Endpoint, 12)
	for i := range pods {
		pods[i] = drawPod(t, byte(i))
	}
	for _, name := range names {
		if rapid.IntRange(0, 4).Draw(t, name) == 0 {
			continue
		}
		var b resource.Backend
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(pods)-1), 0, 6).Draw(t, "pods of "+name) {
			b.Endpoints = append(b.Endpoints, pods[i])
		}
		if rapid.Bool().Draw(t, "probe of "+name) {
			b.Probe = ptr.To(rapid.SampledFrom([]string{"", "a"}).Draw(t, "probed by "+name))
		}
		e.Backends[name] = b
	}
	drawSlots(t, &e)
	return e
}

// drawSlots lets versions of the first backend take turns in two slots, or not.
func drawSlots(t *rapid.T, e *resource.Exposure) {
	first := e.Service.Spec.Backends[0].Name
	slot := rapid.SampledFrom([]v1alpha1.Slot{"", v1alpha1.SlotBlue, v1alpha1.SlotGreen}).Draw(t, "slot")
	if slot == "" {
		return
	}
	e.Slots = map[string]v1alpha1.Slot{first: slot}
	if _, known := e.Backends[v1alpha1.CanaryName]; known && rapid.Bool().Draw(t, "the canary has a slot") {
		e.Slots[v1alpha1.CanaryName] = slot.Other()
	}
	if rapid.Bool().Draw(t, "it is promoted") {
		e.Service.Status.Rollout = &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPromoting}
	}
}

// TestAPromotionMovesNothing: the roles of two slots are exchanged, and whatever the endpoints are, those that are still there are where they
// were, and the calls go where they went.
func TestAPromotionMovesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawExposure(t)
		stable, canary := e.Service.Spec.Backends[0].Name, v1alpha1.CanaryName
		slot := rapid.SampledFrom([]v1alpha1.Slot{v1alpha1.SlotBlue, v1alpha1.SlotGreen}).Draw(t, "stable slot")
		e.Slots = map[string]v1alpha1.Slot{stable: slot, canary: slot.Other()}
		exs := *e.Service
		exs.Status = v1alpha1.ExposedServiceStatus{
			Rollout: &v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutReleasing},
			Traffic: &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: stable}, {Name: canary, Weight: allParts}}},
		}
		e.Service = &exs
		before := mustBuild(t, e)

		after := e
		promoted := exs
		promoted.Status = v1alpha1.ExposedServiceStatus{Traffic: &v1alpha1.TrafficStatus{Weights: []v1alpha1.BackendWeight{{Name: stable, Weight: allParts}}}}
		after.Service = &promoted
		after.Slots = map[string]v1alpha1.Slot{stable: slot.Other(), canary: slot}
		after.Backends = maps.Clone(e.Backends)
		after.Backends[stable], after.Backends[canary] = e.Backends[canary], e.Backends[stable]
		then := mustBuild(t, after)

		if a, b := fmt.Sprint(sharesOf(t, before)), fmt.Sprint(sharesOf(t, then)); a != b {
			t.Fatalf("the calls went to %s and go to %s", a, b)
		}
		placed := map[string]string{}
		for _, resources := range [][]resource.Resource{before, then} {
			for cluster := range sharesOf(t, before)[0] {
				for _, l := range assignment(t, resources, cluster).GetEndpoints() {
					for _, ep := range l.GetLbEndpoints() {
						for _, address := range addressesOf(ep) {
							is := fmt.Sprint(l.GetLocality().GetZone(), " ", l.GetPriority())
							if was, known := placed[address]; known && was != is && !sharedAddress(e, address) {
								t.Fatalf("%s: %s was in %s and is in %s", cluster, address, was, is)
							}
							placed[address] = is
						}
					}
				}
			}
		}
	})
}

// sharedAddress: two backends have the address. A pod is in one slot, but drawn ones may be in two.
func sharedAddress(e resource.Exposure, address string) bool {
	owners := 0
	for _, b := range e.Backends {
		if slices.ContainsFunc(b.Endpoints, func(ep resource.Endpoint) bool {
			return slices.ContainsFunc(ep.Addresses, func(a netip.AddrPort) bool { return a.String() == address })
		}) {
			owners++
		}
	}
	return owners > 1
}

func drawPod(t *rapid.T, i byte) resource.Endpoint {
	v4 := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i + 1}), 50051)
	v6 := netip.AddrPortFrom(netip.AddrFrom16([16]byte{0xfd, 15: i + 1}), 50051)
	addresses := rapid.SampledFrom([][]netip.AddrPort{{v4}, {v6}, {v4, v6}, {v6, v4}}).Draw(t, "addresses")
	return resource.Endpoint{
		Addresses: addresses, Ready: rapid.Bool().Draw(t, "ready"),
		Serving: rapid.Bool().Draw(t, "serving"), Terminating: rapid.Bool().Draw(t, "terminating"),
	}
}

// drawStatus draws a decision: shares for any names, also for such as are no backends (any more), nets, a ramp.
func drawStatus(t *rapid.T) v1alpha1.ExposedServiceStatus {
	var out v1alpha1.ExposedServiceStatus
	if rapid.IntRange(0, 5).Draw(t, "decided") == 0 {
		return out
	}
	cuts := rapid.SliceOfN(rapid.SampledFrom([]int32{0, 0, 1, 50_000, 500_000, 999_999, allParts}), len(names)-1, len(names)-1).Draw(t, "cuts")
	slices.Sort(cuts)
	last := int32(0)
	traffic := &v1alpha1.TrafficStatus{Fallback: rapid.SampledFrom(append([]string{""}, names...)).Draw(t, "fallback")}
	for i, name := range rapid.Permutation(names).Draw(t, "order") {
		cut := int32(allParts)
		if i < len(cuts) {
			cut = cuts[i]
		}
		traffic.Weights = append(traffic.Weights, v1alpha1.BackendWeight{Name: name, Weight: cut - last})
		last = cut
	}
	out.Traffic = traffic
	if rapid.Bool().Draw(t, "ramp") {
		out.Failover = &v1alpha1.FailoverStatus{State: &v1alpha1.DeciderState{
			Ramp: &v1alpha1.RampState{To: rapid.SampledFrom(names).Draw(t, "ramp to")},
		}}
	}
	return out
}

// drawExposures draws several with few names, hosts and ports, so that they get into each other's way.
func drawExposures(t *rapid.T) []resource.Exposure {
	var out []resource.Exposure
	for _, namespace := range []string{"shop", "lab"} {
		for _, name := range []string{"a", "b", "c"} {
			if rapid.IntRange(0, 2).Draw(t, "there") == 0 {
				continue
			}
			e := drawExposure(t)
			e.Service.Namespace, e.Service.Name = namespace, name
			e.Service.CreationTimestamp = metav1.NewTime(time.Unix(rapid.Int64Range(0, 2).Draw(t, "created"), 0))
			e.Service.Spec.Hostnames = rapid.SliceOfNDistinct(rapid.SampledFrom([]v1alpha1.Hostname{
				"x.example.com", "y.example.com", "*.example.com", "a.shop", "b.lab",
			}), 0, 2, rapid.ID).Draw(t, "hostnames")
			e.Service.Spec.XDS = rapid.SampledFrom([]*v1alpha1.XDS{
				{}, {Port: ptr.To(v1alpha1.PortNumber(9090))}, {Port: ptr.To(v1alpha1.PortNumber(9091))},
			}).Draw(t, "xds")
			if rapid.IntRange(0, 5).Draw(t, "broken") == 0 {
				e.Service.Spec.Traffic = &v1alpha1.Traffic{ConnectTimeout: ptr.To(v1alpha1.Duration("0s"))}
			}
			out = append(out, e)
		}
	}
	return out
}

// isWrong says whether nothing of an ExposedService is served.
func isWrong(problems []resource.Problem) bool {
	return slices.ContainsFunc(problems, func(p resource.Problem) bool { return !p.Partial })
}
