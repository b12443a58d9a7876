package v1alpha1

// XDS is the data plane that Headgate itself configures over xDS: Envoys that somebody else runs, and
// gRPC clients without a proxy.
//
// A gRPC client dials xds:///<name>.<namespace>, or xds:/// and one of spec.hostnames that is no
// wildcard. Among all ExposedServices with xds such a name belongs to one: to that of which it is the
// name and namespace, or else to the oldest. Whoever comes later is refused, and the Accepted condition
// names the other.
type XDS struct {
	// Port is where the Envoys listen for calls, over plaintext HTTP/2, on every IPv4 address. The
	// ExposedServices of a namespace that name the same port share a listener, and are told apart by
	// their hostnames. Without a port there is no listener, and only gRPC clients are served.
	//
	// +optional
	Port *PortNumber `json:"port,omitempty"`
}
