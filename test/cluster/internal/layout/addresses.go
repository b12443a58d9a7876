package layout

import "net/netip"

// The addresses inside a cluster. Each cluster has a network namespace of its own, so all of them use the same ones.
var (
	// Node is the node's own address; the API server listens on it at APIServerPort.
	Node = netip.MustParseAddr("10.0.0.1")
	// Pods is the range that pods get their addresses from.
	Pods = netip.MustParsePrefix("10.244.0.0/24")
	// Services is the range of ClusterIPs.
	Services = netip.MustParsePrefix("10.96.0.0/16")
	// KubernetesService is the ClusterIP of the API server's own Service: always the first of the range.
	KubernetesService = netip.MustParseAddr("10.96.0.1")
	// DNS is the ClusterIP of CoreDNS.
	DNS = netip.MustParseAddr("10.96.0.10")
	// LoadBalancers is the range that Services of type LoadBalancer get their addresses from.
	LoadBalancers = netip.MustParsePrefix("10.97.0.0/24")
)

// APIServerPort is the port of the API server on Node.
const APIServerPort = 6443

// APIServer is the address of the API server, with its port.
func APIServer() string { return netip.AddrPortFrom(Node, APIServerPort).String() }
