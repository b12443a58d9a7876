package resource

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/headgate/headgate/api/v1alpha1"
)

// endpoint is an Endpoint with addresses that nobody else has.
type endpoint struct {
	Endpoint
	// addresses are not empty, in order, IPv4 before IPv6.
	addresses []netip.AddrPort
}

// ownEndpoints gives every address to one backend. Where two have the same, it is the earlier one's in the spec, and
// any backend's of the spec rather than a canary's: so where an address belongs does not depend on the
// decision. A canary in a slot comes first: its endpoints are told by their version, and those of the stable one may not be yet. An address may stand once in an assignment (gRPC refuses the whole otherwise, Envoy
// keeps the first and says nothing), and an endpoint of which one address is taken is that other endpoint.
func ownEndpoints(e Exposure) map[string][]endpoint {
	var names []string
	if e.Slots[v1alpha1.CanaryName] != "" {
		names = append(names, v1alpha1.CanaryName)
	}
	for _, b := range e.Service.Spec.Backends {
		names = append(names, b.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Backends)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	out := make(map[string][]endpoint, len(names))
	taken := map[netip.AddrPort]bool{}
	for _, name := range names {
		out[name] = take(e.Backends[name].Endpoints, taken)
	}
	return out
}

// take is those of the endpoints that are not taken yet, and takes them. Their order is that of their addresses.
func take(endpoints []Endpoint, taken map[netip.AddrPort]bool) []endpoint {
	candidates := make([]endpoint, 0, len(endpoints))
	for _, ep := range endpoints {
		if addresses := usable(ep.Addresses); len(addresses) > 0 {
			candidates = append(candidates, endpoint{ep, addresses})
		}
	}
	slices.SortFunc(candidates, byStateThenAddress)
	out := candidates[:0]
	for _, candidate := range candidates {
		if slices.ContainsFunc(candidate.addresses, func(a netip.AddrPort) bool { return taken[a] }) {
			continue
		}
		for _, address := range candidate.addresses {
			taken[address] = true
		}
		out = append(out, candidate)
	}
	slices.SortFunc(out, byAddress)
	return out
}

func usable(addresses []netip.AddrPort) []netip.AddrPort {
	out := make([]netip.AddrPort, 0, len(addresses))
	for _, address := range addresses {
		ip := address.Addr().Unmap()
		if ip.IsValid() && ip.Zone() == "" && !ip.IsUnspecified() && !ip.IsMulticast() && address.Port() != 0 {
			out = append(out, netip.AddrPortFrom(ip, address.Port()))
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}

// byStateThenAddress puts the better of two with the same address first: the newer word cannot be told
// from the older, and a live endpoint taken for a dead one does more harm.
func byStateThenAddress(a, b endpoint) int {
	return cmp.Or(
		first(a.Ready, b.Ready), first(a.Serving, b.Serving), first(!a.Terminating, !b.Terminating),
		// Of two that are equally well, the one with more addresses knows more.
		cmp.Compare(len(b.addresses), len(a.addresses)),
		byAddress(a, b),
	)
}

func byAddress(a, b endpoint) int {
	return slices.CompareFunc(a.addresses, b.addresses, netip.AddrPort.Compare)
}

// first orders what is true before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
