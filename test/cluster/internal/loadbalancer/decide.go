package loadbalancer

import (
	"maps"
	"net/netip"
	"slices"
)

// change is a new list of addresses for a service: one, or none.
type change struct {
	service   service
	addresses []ingress
}

// decide compares all services with what they should have. An address is taken as long as a service shows it in its status,
// so nothing needs to be remembered: a deleted service's address is free by itself.
func decide(pool netip.Prefix, services map[string]service) ([]change, error) {
	taken := map[netip.Addr]bool{}
	var changes []change
	var without []service
	for _, key := range slices.Sorted(maps.Keys(services)) {
		s := services[key]
		address, has := s.address(pool)
		switch {
		case s.ours() && has && !taken[address]:
			taken[address] = true
		case s.ours():
			without = append(without, s) // it has none, or another service's, as a copied status may
		case has:
			changes = append(changes, change{s, nil})
		}
	}
	for _, s := range without {
		address, err := lowestFree(pool, taken)
		if err != nil {
			return changes, err
		}
		taken[address] = true
		changes = append(changes, change{s, []ingress{{IP: address.String()}}})
	}
	return changes, nil
}
