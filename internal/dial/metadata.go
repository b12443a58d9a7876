package dial

import "net/netip"

// metadata are addresses at which clouds answer their own machines, and that are not link-local as 169.254.169.254 is. What they answer may
// be a machine's credentials.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS: machines, and pods that have an identity
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("fd00:100::100:200/128"),
	netip.MustParsePrefix("192.0.0.192/32"), // Oracle Cloud
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"),
	netip.MustParsePrefix("fd00:42::42/128"),       // Scaleway
	netip.MustParsePrefix("fd00:a9fe:a9fe::1/128"), // Akamai
}

// isMetadata says whether an address is one of them, in whatever zone.
func isMetadata(ip netip.Addr) bool {
	ip = ip.WithZone("")
	for _, prefix := range metadata {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}
