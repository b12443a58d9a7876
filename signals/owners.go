package signals

import (
	"fmt"
	"net/netip"
)

// owners says whose an address is, at the time of a look.
type owners struct {
	byAddress map[netip.AddrPort]owner
	// shared holds, for each backend that has an address in common with another, a sentence on it.
	shared map[string]string
}

type owner struct {
	backend string
	// claim is how strong the backend's claim is: while an address moves from one pod to another,
	// the old one may still stand in its slice, no longer ready.
	claim int
}

func claimOf(endpoint Endpoint) int {
	switch {
	case endpoint.Ready:
		return 2
	case endpoint.Serving:
		return 1
	}
	return 0
}

func ownersOf(backends []Backend) owners {
	out := owners{byAddress: map[netip.AddrPort]owner{}, shared: map[string]string{}}
	var ties []tie
	for _, backend := range backends {
		for _, endpoint := range backend.Endpoints {
			for _, address := range endpoint.Addresses {
				claimant := owner{backend.Name, claimOf(endpoint)}
				if out.claim(unmapped(address), claimant) {
					ties = append(ties, tie{unmapped(address), claimant})
				}
			}
		}
	}
	for _, tie := range ties {
		out.settle(tie)
	}
	return out
}

// tie is a claim as strong as the one that holds an address.
type tie struct {
	address netip.AddrPort
	owner   owner
}

// claim gives the address to whoever has the strongest claim, and says whether two are equal.
func (o owners) claim(address netip.AddrPort, claimant owner) (tied bool) {
	holder, taken := o.byAddress[address]
	if !taken || claimant.claim > holder.claim {
		o.byAddress[address] = claimant
		return false
	}
	return holder.backend != claimant.backend && holder.claim == claimant.claim
}

// settle makes both backends of a tie unknown, unless another had a stronger claim later.
func (o owners) settle(tie tie) {
	holder := o.byAddress[tie.address]
	if holder.claim != tie.owner.claim || holder.backend == tie.owner.backend {
		return
	}
	message := fmt.Sprintf("%s belongs to %s and to %s: whose its calls are cannot be told",
		tie.address.Addr(), holder.backend, tie.owner.backend)
	for _, backend := range []string{holder.backend, tie.owner.backend} {
		if o.shared[backend] == "" {
			o.shared[backend] = message
		}
	}
}

func unmapped(address netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
}

// standsForOthers: the address is not that of an endpoint but of what calls are passed on from.
func (o owners) standsForOthers(address string) bool {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	parsed = unmapped(parsed)
	if _, ok := o.byAddress[parsed]; ok {
		return false
	}
	_, ok := o.byAddress[netip.AddrPortFrom(parsed.Addr(), 0)]
	return ok
}

// of says whose an address of Envoy's is ("10.0.0.1:50051", "[::1]:50051"); empty: nobody's.
func (o owners) of(address string) string {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	parsed = unmapped(parsed)
	if found, ok := o.byAddress[parsed]; ok {
		return found.backend
	}
	return o.byAddress[netip.AddrPortFrom(parsed.Addr(), 0)].backend
}
