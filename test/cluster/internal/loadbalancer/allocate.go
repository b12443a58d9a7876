package loadbalancer

import (
	"fmt"
	"net/netip"
)

// lowestFree returns the lowest address of the range that is not taken. The first and the last address of the range are never given:
// by custom they are the network's own and its broadcast address.
func lowestFree(pool netip.Prefix, taken map[netip.Addr]bool) (netip.Addr, error) {
	for address := pool.Masked().Addr().Next(); pool.Contains(address.Next()); address = address.Next() {
		if !taken[address] {
			return address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of %s are taken", pool)
}
