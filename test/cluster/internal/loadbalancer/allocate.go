package loadbalancer

import (
	"fmt"
	"net/netip"
)

// nextFree returns the first address of the range after the one that was given last, all around, that is not taken. One that has just come
// free is given again as late as possible: kube-proxy may still send its connections to the pods of the Service that had it.
// The first and the last address of the range are never given: by custom they are the network's own and its broadcast address.
func nextFree(pool netip.Prefix, last netip.Addr, taken map[netip.Addr]bool) (netip.Addr, error) {
	first := pool.Masked().Addr().Next()
	start := first
	if last.IsValid() {
		start = last.Next()
	}
	for address := start; pool.Contains(address.Next()); address = address.Next() {
		if !taken[address] {
			return address, nil
		}
	}
	for address := first; address.Less(start); address = address.Next() {
		if !taken[address] {
			return address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of %s are taken", pool)
}
