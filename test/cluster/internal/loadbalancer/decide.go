package loadbalancer

import (
	"maps"
	"net/netip"
	"slices"
)

// A service gets its address in three steps: it is prepared, published when it works, and then no longer prepared.
const (
	// prepare tells kube-proxy alone of the address.
	prepare kind = "prepare"
	// publish shows an address that works to everybody.
	publish kind = "publish"
	// clean takes a preparation back: the address is published, and kube-proxy has it from there, or it is not to be.
	clean kind = "clean"
	// withdraw takes a published address back.
	withdraw kind = "withdraw"
)

type kind string

// change is one step of one service.
type change struct {
	service service
	kind    kind
	address netip.Addr // none to clean and to withdraw
}

// decide compares all services with what they should have. An address is taken as long as a service has it, so that all that needs to be
// remembered is the address given last: a deleted service's address is free by itself.
func decide(pool netip.Prefix, last netip.Addr, services map[string]service) ([]change, error) {
	keys := slices.Sorted(maps.Keys(services))
	taken := map[netip.Addr]bool{}
	done := map[string]bool{}
	var changes []change
	for _, key := range keys {
		s := services[key]
		address, published := s.published(pool)
		_, prepared := s.prepared(pool)
		switch {
		case s.ours() && published && !taken[address]:
			taken[address], done[key] = true, true
			if prepared {
				changes = append(changes, change{s, clean, netip.Addr{}})
			}
		case !s.ours():
			done[key] = true
			if published {
				changes = append(changes, change{s, withdraw, netip.Addr{}})
			}
			if prepared {
				changes = append(changes, change{s, clean, netip.Addr{}})
			}
		}
	}
	for _, key := range keys {
		s := services[key]
		if address, prepared := s.prepared(pool); prepared && !done[key] && !taken[address] {
			taken[address], done[key] = true, true
			changes = append(changes, change{s, publish, address})
		}
	}
	for _, key := range keys {
		if done[key] {
			continue // what is left has no address, or another service's, as a copied one may
		}
		address, err := nextFree(pool, last, taken)
		if err != nil {
			return changes, err
		}
		taken[address], last = true, address
		changes = append(changes, change{services[key], prepare, address})
	}
	return changes, nil
}

// patch is where the change is made, and the JSON merge patch that makes it.
func (c change) patch(pool netip.Prefix) (path string, content map[string]any) {
	status := func(addresses []ingress) map[string]any {
		return map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": addresses}}}
	}
	external := c.service.othersIPs(pool)
	switch c.kind {
	case publish:
		return c.service.statusPath(), status([]ingress{{IP: c.address.String()}})
	case withdraw:
		return c.service.statusPath(), status(nil)
	case prepare:
		external = append(external, c.address.String())
	}
	return c.service.path(), map[string]any{"spec": map[string]any{"externalIPs": external}}
}
