package node

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// setUpNetwork prepares the empty network namespace: the node's own address, and a way to the addresses of Services. Pods add theirs.
func setUpNetwork() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(loopback); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	node := netip.PrefixFrom(layout.Node, layout.Node.BitLen())
	if err := netlink.AddrAdd(loopback, &netlink.Addr{IPNet: ipNet(node)}); err != nil {
		return fmt.Errorf("add %s to lo: %w", node, err)
	}
	if err := routeServices(); err != nil {
		return err
	}
	// This one belongs to the network namespace, unlike those that mounts.go covers.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("forward packets between pods: %w", err)
	}
	return nil
}

// routeServices gives the addresses of Services a route: without one connect() fails before kube-proxy's rules can send the packet elsewhere.
// The route leads to a device whose other end is down, for the packets that no rule wants.
//
// The loopback device would not do: the kernel takes what it sends there for local, and then has no valid source address for the ICMP message by
// which kube-proxy refuses connections to a Service without endpoints. They would time out instead, and each pod wait 10 s for a webhook that is not up yet.
func routeServices() error {
	const device = "services"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: device}, PeerName: "nowhere"}); err != nil {
		return fmt.Errorf("add device %s: %w", device, err)
	}
	link, err := netlink.LinkByName(device)
	if err != nil {
		return fmt.Errorf("find device %s: %w", device, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set device %s up: %w", device, err)
	}
	for _, prefix := range []netip.Prefix{layout.Services, layout.LoadBalancers} {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(prefix), Src: layout.Node.AsSlice(), Scope: netlink.SCOPE_LINK}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("route to %s: %w", prefix, err)
		}
	}
	return nil
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}
