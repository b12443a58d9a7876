package xdsfeed

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/xds/resource"
)

// shop is an ExposedService whose workload is shipped again and again, in a cluster that does what it is told: Services get the
// endpoints of the pods that they select, and the route is what was applied last.
type shop struct {
	exs      *v1alpha1.ExposedService
	gateway  bool
	pods     map[string]*pod
	made     int
	services map[string]*corev1.Service
	route    *gwapiv1.GRPCRoute
	// version is the pod-template-hash of the stable version, next that of the canary.
	version, next string
	// indexes are those in the route at which addresses were, places those in clusters of our own xDS.
	indexes map[string]int
	places  map[string]string
}

type pod struct {
	hash  string
	ready bool
	ends  bool
}

func newShop(t *rapid.T) *shop {
	s := &shop{
		gateway: rapid.Bool().Draw(t, "has a Gateway"), pods: map[string]*pod{}, services: map[string]*corev1.Service{}, version: "v1",
		indexes: map[string]int{}, places: map[string]string{},
	}
	s.exs = &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	s.exs.Spec.XDS = &v1alpha1.XDS{Port: ptr.To(v1alpha1.PortNumber(9090))}
	if s.gateway {
		s.exs.Spec.Gateway = &v1alpha1.Gateway{ClassName: ptr.To("envoy")}
	}
	s.exs.Spec.Backends = []v1alpha1.Backend{serviceBackend("primary", "greeter")}
	if rapid.Bool().Draw(t, "has a backup") {
		s.exs.Spec.Backends = append(s.exs.Spec.Backends, serviceBackend("backup", "greeter-b"))
	}
	s.exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}}
	s.exs.Status.Rollout = &v1alpha1.RolloutStatus{Target: "Deployment/greeter", Phase: v1alpha1.RolloutIdle}
	s.exs.Status.Traffic = &v1alpha1.TrafficStatus{}
	s.weigh(0)
	for range 2 {
		s.start("v1")
	}
	s.follow(t)
	return s
}

func (s *shop) start(hash string) {
	s.made++
	s.pods[fmt.Sprintf("10.0.%d.%d", s.made/200, s.made%200+1)] = &pod{hash: hash, ready: true}
}

// weigh gives the canary a share, if there is one.
func (s *shop) weigh(canary int32) {
	traffic := s.exs.Status.Traffic
	traffic.Weights = []v1alpha1.BackendWeight{{Name: "primary", Weight: allWeight - canary}}
	if traffic.CanaryHash != "" && s.next != "" {
		traffic.Weights = append(traffic.Weights, v1alpha1.BackendWeight{Name: v1alpha1.CanaryName, Weight: canary})
	}
}

const allWeight = gateway.TotalWeight

// facts are what is there to be read.
func (s *shop) facts() gateway.Facts {
	out := gateway.Facts{
		Backends: map[string]gateway.BackendFacts{}, Slots: map[v1alpha1.Slot]gateway.SlotFacts{},
		LiveRoute: s.route, LiveWeights: gateway.LiveWeights(s.exs, nil, s.route), RouteAccepted: true,
	}
	if s.gateway {
		out.Class = &gwapiv1.GatewayClass{Spec: gwapiv1.GatewayClassSpec{ControllerName: gateway.EnvoyGatewayController}}
		out.Capabilities = gateway.Capabilities{Backend: gateway.CapabilityOn, EnvoyPatchPolicy: gateway.CapabilityOn}
	}
	for _, b := range s.exs.Spec.Backends {
		users := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: b.Service.Name},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": b.Service.Name}, Ports: []corev1.ServicePort{{Name: "grpc", Port: 50051}}},
		}
		own := s.services[gateway.ServiceName(s.exs, b.Name)]
		out.Backends[b.Name] = gateway.BackendFacts{
			Service: users, Slices: s.slicesOf(users), OwnService: own, OwnSlices: s.slicesOf(own), Probe: gateway.Probe{State: gateway.ProbeGRPC},
		}
	}
	for _, slot := range []v1alpha1.Slot{v1alpha1.SlotBlue, v1alpha1.SlotGreen} {
		own := s.services[gateway.SlotServiceName(s.exs, slot)]
		facts := gateway.SlotFacts{Service: own, Slices: s.slicesOf(own)}
		if own != nil && own.Spec.Selector[gateway.LabelPodTemplateHash] != "" {
			facts.Probe.State = gateway.ProbeGRPC
		}
		out.Slots[slot] = facts
	}
	return out
}

func (s *shop) slicesOf(service *corev1.Service) []discoveryv1.EndpointSlice {
	if service == nil {
		return nil
	}
	slice := discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: service.Name + "-x",
			Labels: map[string]string{discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("grpc"), Port: ptr.To(int32(50051))}},
	}
	for _, address := range s.selected(service) {
		p := s.pods[address]
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{address},
			Conditions: discoveryv1.EndpointConditions{
				Ready: ptr.To(p.ready && !p.ends), Serving: ptr.To(p.ready), Terminating: ptr.To(p.ends),
			},
		})
	}
	return []discoveryv1.EndpointSlice{slice}
}

func (s *shop) selected(service *corev1.Service) []string {
	selector := labels.SelectorFromSet(service.Spec.Selector)
	var out []string
	for _, address := range slices.Sorted(maps.Keys(s.pods)) {
		if selector.Matches(labels.Set{"app": "greeter", gateway.LabelPodTemplateHash: s.pods[address].hash}) {
			out = append(out, address)
		}
	}
	return out
}

// follow applies what the status comes to, until nothing changes, and looks at the places of all addresses each time.
func (s *shop) follow(t *rapid.T) {
	for range 3 {
		resolved := gateway.Resolve(s.exs, s.facts())
		expansion := resolved.ExpandSlots()
		if s.gateway {
			expansion = resolved.Expand()
		}
		services := map[string]*corev1.Service{}
		for _, object := range expansion.Objects {
			switch object := object.(type) {
			case *corev1.Service:
				services[object.Name] = object
			case *gwapiv1.GRPCRoute:
				s.route = object
			}
		}
		s.services = services
		s.lookAtRoute(t)
		s.lookAtXDS(t)
	}
}

// lookAtRoute: Envoy Gateway names localities and clusters by the index of a reference.
func (s *shop) lookAtRoute(t *rapid.T) {
	if s.route == nil {
		return
	}
	total := int32(0)
	now := map[string]int{}
	for i, ref := range s.route.Spec.Rules[0].BackendRefs {
		if service := s.services[string(ref.Name)]; service != nil {
			total += ptr.Deref(ref.Weight, 1)
			for _, address := range s.selected(service) {
				if at, twice := now[address]; twice {
					t.Fatalf("%s is at %d and at %d of the route", address, at, i)
				}
				now[address] = i
				if was, known := s.indexes[address]; known && was != i {
					t.Fatalf("%s (%s) was at %d of the route and is at %d: %+v", address, s.pods[address].hash, was, i, s.exs.Status.Traffic)
				}
				s.indexes[address] = i
			}
		}
	}
	if total != allWeight {
		t.Fatalf("the weights add up to %d: %v", total, s.route.Spec.Rules[0].BackendRefs)
	}
}

// lookAtXDS: in no cluster that a route names an address changes its locality or its priority, and it is called where it is.
func (s *shop) lookAtXDS(t *rapid.T) {
	resources, problems := resource.Service(exposureFrom(s.exs, s.facts()))
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	named := clustersOf(resources)
	for _, r := range resources {
		assignment, ok := r.Message.(*endpointv3.ClusterLoadAssignment)
		if !ok {
			continue
		}
		if !named[r.Name] {
			t.Fatalf("no route names cluster %s", r.Name)
		}
		for _, locality := range assignment.GetEndpoints() {
			for _, ep := range locality.GetLbEndpoints() {
				address := ep.GetEndpoint().GetAddress().GetSocketAddress().GetAddress()
				key := r.Name + " " + address
				is := fmt.Sprint(locality.GetLocality().GetZone(), " ", locality.GetPriority(), " ", ep.GetEndpoint().GetHealthCheckConfig().GetDisableActiveHealthCheck())
				if was, known := s.places[key]; known && was != is {
					t.Fatalf("in %s it was in %s and is in %s: %+v", key, was, is, s.exs.Status.Traffic)
				}
				s.places[key] = is
			}
		}
	}
}

func clustersOf(resources []resource.Resource) map[string]bool {
	out := map[string]bool{}
	for _, r := range resources {
		routes, ok := r.Message.(*routev3.RouteConfiguration)
		if !ok {
			continue
		}
		for _, route := range routes.GetVirtualHosts()[0].GetRoutes() {
			out[route.GetRoute().GetCluster()] = true
			for _, c := range route.GetRoute().GetWeightedClusters().GetClusters() {
				out[c.GetName()] = true
			}
		}
	}
	return out
}

// TestNoEndpointChangesItsPlace walks through rollouts as the decider makes them: begun, stepped, rolled back, promoted, begun again while
// pods of the version before still end. Through all of it every endpoint stays where it was first seen.
func TestNoEndpointChangesItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShop(t)
		traffic := s.exs.Status.Traffic
		versions := 1
		steps := map[string]func(){
			"begin": func() {
				if traffic.CanaryHash != "" {
					return
				}
				versions++
				s.next = fmt.Sprintf("v%d", versions)
				traffic.StableHash, traffic.CanaryHash = s.version, s.next
				s.exs.Status.Rollout.Phase = v1alpha1.RolloutPreparing
				s.weigh(0)
			},
			"a pod of the canary": func() {
				slot := gateway.Resolve(s.exs, s.facts()).CanarySlot()
				if s.next != "" && slot.Served && slot.StableHash == traffic.StableHash {
					s.start(s.next)
				}
			},
			"a pod of the stable version": func() { s.start(s.version) },
			"a step": func() {
				if s.next != "" {
					s.exs.Status.Rollout.Phase = v1alpha1.RolloutStepping
					s.weigh(rapid.Int32Range(0, allWeight).Draw(t, "weight"))
				}
			},
			"a promotion": func() {
				if s.next != "" && s.ready(s.next) {
					s.exs.Status.Rollout.Phase = rapid.SampledFrom([]v1alpha1.RolloutPhase{v1alpha1.RolloutPromoting, v1alpha1.RolloutReleasing}).Draw(t, "phase")
					s.weigh(allWeight)
				}
			},
			"promoted": func() {
				phase := s.exs.Status.Rollout.Phase
				if phase != v1alpha1.RolloutPromoting && phase != v1alpha1.RolloutReleasing {
					return
				}
				traffic.Slot = traffic.Slot.Other()
				traffic.StableHash, traffic.CanaryHash = traffic.CanaryHash, traffic.StableHash
				s.version, s.next = s.next, ""
				s.exs.Status.Rollout.Phase = v1alpha1.RolloutIdle
				s.weigh(0)
				s.end(func(p *pod) bool { return p.hash != s.version })
			},
			"rolled back": func() {
				if s.next == "" {
					return
				}
				gone := s.next
				s.next = ""
				s.exs.Status.Rollout.Phase = v1alpha1.RolloutIdle
				s.weigh(0)
				s.end(func(p *pod) bool { return p.hash == gone })
			},
			"what ends is gone": func() { maps.DeleteFunc(s.pods, func(_ string, p *pod) bool { return p.ends }) },
			"nobody is left in the other slot": func() {
				if s.next == "" && gateway.Resolve(s.exs, s.facts()).CanarySlot().Endpoints == 0 {
					traffic.StableHash, traffic.CanaryHash = "", ""
				}
			},
			"shipped no more": func() {
				if s.next == "" && traffic.Slot == v1alpha1.SlotGreen {
					s.exs.Spec.Rollout, s.exs.Status.Rollout = nil, nil
					s.follow(t)
					s.exs.Spec.Rollout = &v1alpha1.Rollout{WorkloadRef: &v1alpha1.WorkloadReference{Name: "greeter"}}
					s.exs.Status.Rollout = &v1alpha1.RolloutStatus{Target: "Deployment/greeter", Phase: v1alpha1.RolloutIdle}
				}
			},
			"readiness": func() {
				for _, address := range slices.Sorted(maps.Keys(s.pods)) {
					s.pods[address].ready = rapid.Bool().Draw(t, "ready")
				}
			},
		}
		names := slices.Sorted(maps.Keys(steps))
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			steps[rapid.SampledFrom(names).Draw(t, "step")]()
			s.follow(t)
		}
	})
}

func (s *shop) ready(hash string) bool {
	for _, p := range s.pods {
		if p.hash == hash && p.ready && !p.ends {
			return true
		}
	}
	return false
}

func (s *shop) end(which func(*pod) bool) {
	for _, p := range s.pods {
		p.ends = p.ends || which(p)
	}
}
