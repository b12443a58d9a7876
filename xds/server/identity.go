package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/credentials"
)

// Identity is who a client is by its certificate, and what it may read.
type Identity struct {
	// Name is the subject alternative name that made it so.
	Name string
	// Namespace is the one it may read.
	Namespace string
	// AllNamespaces: it may read all.
	AllNamespaces bool
	// Replica: it is another replica of this server. It reads no resources.
	Replica bool
}

// identities knows how certificates become identities.
type identities struct {
	trustDomain string
	readAll     []string
}

func (i identities) of(certificate *x509.Certificate) (Identity, error) {
	for _, name := range i.readAll {
		if slices.Contains(certificate.DNSNames, name) ||
			slices.ContainsFunc(certificate.URIs, func(u *url.URL) bool { return u.String() == name }) {
			return Identity{Name: name, AllNamespaces: true}, nil
		}
	}
	// "An X.509 SVID MUST contain exactly one URI SAN" (X509-SVID, section 2).
	if len(certificate.URIs) != 1 {
		return Identity{}, fmt.Errorf("the certificate has %d URI names, it must have one: spiffe://%s/ns/<namespace>/sa/<service account>",
			len(certificate.URIs), i.trustDomain)
	}
	return i.parse(certificate.URIs[0])
}

func (i identities) parse(u *url.URL) (Identity, error) {
	// "The URI MUST NOT contain user info, a query or a fragment, and its path no percent-encoding" (SPIFFE-ID, section 2): otherwise one
	// client could be called by many names.
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" || u.Port() != "" {
		return Identity{}, fmt.Errorf("the certificate's name %q has more than a trust domain and a path", u)
	}
	parts := strings.Split(u.Path, "/")
	if u.Scheme != "spiffe" || len(parts) != 5 || parts[1] != "ns" || parts[3] != "sa" || slices.Contains(parts[1:], "") {
		return Identity{}, fmt.Errorf("the certificate's name %q is not of the form spiffe://%s/ns/<namespace>/sa/<service account>", u, i.trustDomain)
	}
	if u.Host != i.trustDomain {
		return Identity{}, fmt.Errorf("the certificate's name %q is not of the trust domain %s", u, i.trustDomain)
	}
	return Identity{Name: u.String(), Namespace: parts[2]}, nil
}

var errNoCertificate = errors.New("no client certificate")

// ofPeer is the identity of the client at the other end of a connection.
func (i identities) ofPeer(info credentials.TLSInfo) (Identity, error) {
	if len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return Identity{}, errNoCertificate
	}
	return i.of(info.State.VerifiedChains[0][0])
}
