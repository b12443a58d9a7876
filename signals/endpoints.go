package signals

import (
	"net/netip"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// Endpoint is something that calls go to: a pod, or an address that is no pod's.
type Endpoint struct {
	// Addresses are its addresses, one for each IP family. Port 0 stands for every port.
	Addresses []netip.AddrPort
	// Ready: it is to get calls.
	Ready bool
	// Serving: it answers calls, whether or not it is to get new ones.
	Serving bool
	// Terminating: it is going away.
	Terminating bool
}

// EndpointsOf are the endpoints in the EndpointSlices of one Service: all its slices, for the port of
// that name (empty for a port without a name). Slices without that port are passed over.
//
// A pod counts once: it may stand in two slices, while it moves from one to the other, and has an
// address in the slices of each IP family. It is told by its UID, and by its address where the slice names
// no pod. Where the slices disagree the endpoint is ready and serving if one of them says so, and
// terminating if all do, because the newer one cannot be told and a live pod taken for a dead one does more harm.
//
// Addresses for documentation (RFC 5737, RFC 3849), which Headgate keeps otherwise empty Services
// occupied with, are passed over. The order is that of the slices.
func EndpointsOf(endpointSlices []discoveryv1.EndpointSlice, portName string) []Endpoint {
	var out []Endpoint
	at := map[string]int{}
	for i := range endpointSlices {
		slice := &endpointSlices[i]
		port, ok := portNumber(slice, portName)
		if !ok {
			continue
		}
		for j := range slice.Endpoints {
			source := &slice.Endpoints[j]
			if len(source.Addresses) == 0 || isForDocumentation(source.Addresses[0]) {
				continue
			}
			endpoint := endpointOf(source, port)
			key := identity(source)
			if index, known := at[key]; known {
				out[index] = merge(out[index], endpoint)
				continue
			}
			at[key] = len(out)
			out = append(out, endpoint)
		}
	}
	return out
}

func portNumber(slice *discoveryv1.EndpointSlice, name string) (uint16, bool) {
	for _, port := range slice.Ports {
		if ptr.Deref(port.Name, "") != name {
			continue
		}
		number := ptr.Deref(port.Port, 0)
		if number < 0 || number > 65535 {
			return 0, false
		}
		return uint16(number), true
	}
	return 0, false
}

// endpointOf reads conditions that are absent as the API of EndpointSlice says: unknown is ready,
// serving is as ready.
func endpointOf(source *discoveryv1.Endpoint, port uint16) Endpoint {
	ready := ptr.Deref(source.Conditions.Ready, true)
	endpoint := Endpoint{
		Ready:       ready,
		Serving:     ptr.Deref(source.Conditions.Serving, ready),
		Terminating: ptr.Deref(source.Conditions.Terminating, false),
	}
	// All addresses of an endpoint but the first are to be ignored (they have no meaning).
	if address, err := netip.ParseAddr(source.Addresses[0]); err == nil {
		endpoint.Addresses = []netip.AddrPort{netip.AddrPortFrom(address.Unmap(), port)}
	}
	return endpoint
}

func isForDocumentation(address string) bool {
	parsed, err := netip.ParseAddr(address)
	return err == nil && slices.ContainsFunc(documentation(), func(prefix netip.Prefix) bool { return prefix.Contains(parsed.Unmap()) })
}

func documentation() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2}), 24),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8}), 32),
	}
}

func identity(source *discoveryv1.Endpoint) string {
	if ref := source.TargetRef; ref != nil && ref.UID != "" {
		return "uid " + string(ref.UID)
	}
	return "address " + source.Addresses[0]
}

func merge(a, b Endpoint) Endpoint {
	for _, address := range b.Addresses {
		if !slices.Contains(a.Addresses, address) {
			a.Addresses = append(a.Addresses, address)
		}
	}
	a.Ready = a.Ready || b.Ready
	a.Serving = a.Serving || b.Serving
	a.Terminating = a.Terminating && b.Terminating
	return a
}
