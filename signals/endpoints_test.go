package signals

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func slice(family discoveryv1.AddressType, port string, endpoints ...discoveryv1.Endpoint) discoveryv1.EndpointSlice {
	return discoveryv1.EndpointSlice{
		AddressType: family, Endpoints: endpoints,
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To(port), Port: ptr.To[int32](50051)}},
	}
}

type state struct{ ready, serving, terminating *bool }

var (
	isReady       = state{ptr.To(true), ptr.To(true), ptr.To(false)}
	isUnready     = state{ptr.To(false), ptr.To(false), ptr.To(false)}
	isTerminating = state{ptr.To(false), ptr.To(true), ptr.To(true)}
	isUnsaid      = state{}
)

func pod(uid, address string, s state) discoveryv1.Endpoint {
	endpoint := discoveryv1.Endpoint{
		Addresses:  []string{address},
		Conditions: discoveryv1.EndpointConditions{Ready: s.ready, Serving: s.serving, Terminating: s.terminating},
	}
	if uid != "" {
		endpoint.TargetRef = &corev1.ObjectReference{Kind: "Pod", UID: types.UID(uid)}
	}
	return endpoint
}

func TestEndpointsAreCountedByPod(t *testing.T) {
	v4, v6 := discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6
	for name, test := range map[string]struct {
		slices []discoveryv1.EndpointSlice
		want   readiness
	}{
		"none": {},
		"all slices of a Service count": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("a", "10.0.0.1", isReady)), slice(v4, "grpc", pod("b", "10.0.0.2", isUnready))},
			readiness{Total: 2, Ready: 1, Serving: 1},
		},
		"a terminating pod serves and is not ready": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("a", "10.0.0.1", isTerminating))},
			readiness{Total: 1, Serving: 1, Terminating: 1},
		},
		"conditions that are absent mean ready": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("a", "10.0.0.1", isUnsaid))},
			readiness{Total: 1, Ready: 1, Serving: 1},
		},
		"absent serving is as ready": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("a", "10.0.0.1", state{ready: ptr.To(false)}))},
			readiness{Total: 1},
		},
		"both IP families of a pod are one": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("a", "10.0.0.1", isReady)), slice(v6, "grpc", pod("a", "fd00::1", isReady))},
			readiness{Total: 1, Ready: 1, Serving: 1},
		},
		"a pod that moves between slices is one, and ready if one of them says so": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("a", "10.0.0.1", isTerminating)), slice(v4, "grpc", pod("a", "10.0.0.1", isReady))},
			readiness{Total: 1, Ready: 1, Serving: 1},
		},
		"without a pod the address tells": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("", "10.0.0.1", isReady)), slice(v4, "grpc", pod("", "10.0.0.1", isReady), pod("", "10.0.0.2", isReady))},
			readiness{Total: 2, Ready: 2, Serving: 2},
		},
		"an address that went to another pod is two": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("a", "10.0.0.1", isTerminating), pod("b", "10.0.0.1", isReady))},
			readiness{Total: 2, Ready: 1, Serving: 2, Terminating: 1},
		},
		"slices without the port are passed over": {
			[]discoveryv1.EndpointSlice{slice(v4, "http", pod("a", "10.0.0.1", isReady))},
			readiness{},
		},
		"placeholders are passed over": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", pod("", "192.0.2.1", isTerminating)), slice(v6, "grpc", pod("", "2001:db8::1", isTerminating))},
			readiness{},
		},
		"an endpoint without an address is none": {
			[]discoveryv1.EndpointSlice{slice(v4, "grpc", discoveryv1.Endpoint{})},
			readiness{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readinessOf(EndpointsOf(test.slices, "grpc")); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestEndpointsKeepTheirAddressesAndPorts(t *testing.T) {
	got := EndpointsOf([]discoveryv1.EndpointSlice{
		slice(discoveryv1.AddressTypeIPv4, "grpc", pod("a", "10.0.0.1", isReady)),
		slice(discoveryv1.AddressTypeIPv6, "grpc", pod("a", "fd00::1", isReady)),
	}, "grpc")
	want := []Endpoint{{
		Addresses: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:50051"), netip.MustParseAddrPort("[fd00::1]:50051")},
		Ready:     true, Serving: true,
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
}

func TestAddressesHaveOwners(t *testing.T) {
	at := func(address string, ready, serving bool) Endpoint {
		return Endpoint{Addresses: []netip.AddrPort{netip.MustParseAddrPort(address)}, Ready: ready, Serving: serving}
	}
	for name, test := range map[string]struct {
		primary, backup []Endpoint
		address, want   string
		shared          bool
	}{
		"by address and port":               {primary: []Endpoint{at("10.0.0.1:1", true, true)}, backup: []Endpoint{at("10.0.0.1:2", true, true)}, address: "10.0.0.1:2", want: "backup"},
		"another port is nobody's":          {primary: []Endpoint{at("10.0.0.1:1", true, true)}, address: "10.0.0.1:3"},
		"port 0 is every port":              {primary: []Endpoint{at("10.0.0.1:0", true, true)}, address: "10.0.0.1:3", want: "primary"},
		"IPv6":                              {primary: []Endpoint{at("[fd00::1]:1", true, true)}, address: "[fd00::1]:1", want: "primary"},
		"IPv4 in IPv6":                      {primary: []Endpoint{at("10.0.0.1:1", true, true)}, address: "[::ffff:10.0.0.1]:1", want: "primary"},
		"not an address":                    {primary: []Endpoint{at("10.0.0.1:1", true, true)}, address: "pipe"},
		"the ready one of two has it":       {primary: []Endpoint{at("10.0.0.1:1", false, true)}, backup: []Endpoint{at("10.0.0.1:1", true, true)}, address: "10.0.0.1:1", want: "backup"},
		"the serving one of two has it":     {primary: []Endpoint{at("10.0.0.1:1", false, true)}, backup: []Endpoint{at("10.0.0.1:1", false, false)}, address: "10.0.0.1:1", want: "primary"},
		"two that are ready share it":       {primary: []Endpoint{at("10.0.0.1:1", true, true)}, backup: []Endpoint{at("10.0.0.1:1", true, true)}, address: "10.0.0.1:1", want: "primary", shared: true},
		"twice in one backend is no tie":    {primary: []Endpoint{at("10.0.0.1:1", true, true), at("10.0.0.1:1", true, true)}, address: "10.0.0.1:1", want: "primary"},
		"a later stronger claim ends a tie": {primary: []Endpoint{at("10.0.0.1:1", false, true)}, backup: []Endpoint{at("10.0.0.1:1", false, true), at("10.0.0.1:1", true, true)}, address: "10.0.0.1:1", want: "backup"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ownersOf([]Backend{{Name: "primary", Endpoints: test.primary}, {Name: "backup", Endpoints: test.backup}})
			if owner := got.of(test.address); owner != test.want {
				t.Errorf("owner %q, want %q", owner, test.want)
			}
			if (len(got.shared) > 0) != test.shared {
				t.Errorf("shared: %v", got.shared)
			}
		})
	}
}

// readiness counts endpoints by what is true of them: a terminating endpoint is usually serving and
// never ready.
type readiness struct{ Total, Ready, Serving, Terminating int }

func readinessOf(endpoints []Endpoint) readiness {
	count := readiness{Total: len(endpoints)}
	for _, endpoint := range endpoints {
		if endpoint.Ready {
			count.Ready++
		}
		if endpoint.Serving {
			count.Serving++
		}
		if endpoint.Terminating {
			count.Terminating++
		}
	}
	return count
}
