package certificates

import "crypto/x509"

// Side is whose certificates an authority signs.
type Side string

// The sides of a connection.
const (
	Servers Side = "server"
	Clients Side = "clients"
)

// commonName is that of the side's authorities. Their keys tell them apart.
func (s Side) commonName() string { return "headgate xDS " + string(s) }

// usage is what the side's authorities sign for. It binds what they sign also where somebody trusts both (RFC 5280, 4.2.1.12; most
// TLS libraries hold an authority to it, and who does not, trusts one side only).
func (s Side) usage() x509.ExtKeyUsage {
	if s == Servers {
		return x509.ExtKeyUsageServerAuth
	}
	return x509.ExtKeyUsageClientAuth
}
