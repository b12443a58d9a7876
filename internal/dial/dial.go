// Package dial connects to addresses that users name.
package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// Public connects to anybody but this pod itself, what is link-local, and the metadata services of clouds: whoever may write an
// ExposedService could otherwise have either asked. It looks at the address that a name has led to.
func Public(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return refuseLocal(address) }}
	return dialer.DialContext(ctx, network, address)
}

func refuseLocal(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address %s: %w", address, err)
	}
	ip := at.Addr().Unmap()
	if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return fmt.Errorf("%s is a loopback, link-local or multicast address, which Headgate does not ask", ip)
	}
	if isMetadata(ip) {
		return fmt.Errorf("%s is the address of a cloud's metadata service, which Headgate does not ask", ip)
	}
	return nil
}
