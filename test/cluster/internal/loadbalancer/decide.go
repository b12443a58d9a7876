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
	var changes []change
	keys = slices.DeleteFunc(keys, func(key string) bool {
		settled, steps := settle(pool, taken, services[key])
		changes = append(changes, steps...)
		return settled
	})
	keys = slices.DeleteFunc(keys, func(key string) bool {
		address, prepared := services[key].prepared(pool)
		if !prepared || taken[address] {
			return false
		}
		taken[address] = true
		changes = append(changes, change{services[key], publish, address})
		return true
	})
	for _, key := range keys { // what is left has no address, or another service's, as a copied one may
		address, err := nextFree(pool, last, taken)
		if err != nil {
			return changes, err
		}
		taken[address], last = true, address
		changes = append(changes, change{services[key], prepare, address})
	}
	return changes, nil
}

// settle is what remains to be done for a service that has its published address, which is taken then, or is to have none. It reports false for
// one that needs an address.
func settle(pool netip.Prefix, taken map[netip.Addr]bool, s service) (settled bool, steps []change) {
	address, published := s.published(pool)
	_, prepared := s.prepared(pool)
	if s.ours() {
		if !published || taken[address] {
			return false, nil
		}
		taken[address] = true
	} else if published {
		steps = append(steps, change{s, withdraw, netip.Addr{}})
	}
	if prepared {
		steps = append(steps, change{s, clean, netip.Addr{}})
	}
	return true, steps
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
