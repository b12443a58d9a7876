// Package dial connects to addresses that users name.
package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// LocalError says that an address is one that nobody outside could mean.
type LocalError struct {
	IP netip.Addr
	// What it is, such as "a loopback address".
	What string
}

// Error implements error.
func (e *LocalError) Error() string {
	return fmt.Sprintf("%s is %s, which Headgate does not ask", e.IP, e.What)
}

// Public connects to anybody but this pod itself, what is link-local, and the metadata services of clouds: whoever may write an
// ExposedService could otherwise have either asked. It looks at the address that a name has led to.
func Public(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error { return refuseAddress(address) }}
	return dialer.DialContext(ctx, network, address)
}

func refuseAddress(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read the address %s: %w", address, err)
	}
	return RefuseLocal(at.Addr())
}

// RefuseLocal is a [LocalError] for an address of the machine or its link, or of a cloud's metadata service; nil: it is none.
func RefuseLocal(ip netip.Addr) error {
	ip = ip.Unmap()
	if ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
		return &LocalError{ip, "a loopback, link-local or multicast address"}
	}
	if isMetadata(ip) {
		return &LocalError{ip, "the address of a cloud's metadata service"}
	}
	return nil
}
