package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// The replicas of Headgate share a certificate and its key, and know each other by that: whoever proves to
// have the key is a replica. It takes no name, no other certificate and no configuration. While a renewed certificate
// has reached some of them only, about a minute, those do not know the others.

var errNoReplica = errors.New("not a replica: its key is another")

// admitReplica is admit, for other replicas as well.
func (s *Server) admitReplica(ctx context.Context) (Identity, func(), error) {
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && s.certificates.own(info.State.PeerCertificates) {
			return s.enter(Identity{Name: "replica", Replica: true})
		}
	}
	return s.admit(ctx)
}

// ReplicaCredentials are for calls to the other replicas, at the same port that this one serves on. They need
// the certificates that Start reads.
func (s *Server) ReplicaCredentials() credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			current := s.certificates.current.Load()
			if current == nil {
				return nil, errors.New("the certificates of the xDS server are not read yet")
			}
			return &current.Certificates[0], nil
		},
		InsecureSkipVerify: true, //nolint:gosec // neither name nor signer matters where the key itself is known
		VerifyConnection: func(state tls.ConnectionState) error {
			if !s.certificates.own(state.PeerCertificates) {
				return errNoReplica
			}
			return nil
		},
	})
}

// own says whether the peer with these certificates has the server's own key.
func (c *certificates) own(presented []*x509.Certificate) bool {
	current := c.current.Load()
	return current != nil && len(presented) > 0 && sameKey(current.Certificates[0].Leaf.PublicKey, presented[0].PublicKey)
}

func sameKey(own, other any) bool {
	switch own := own.(type) {
	case *ecdsa.PublicKey:
		other, ok := other.(*ecdsa.PublicKey)
		return ok && own.Equal(other)
	case *rsa.PublicKey:
		other, ok := other.(*rsa.PublicKey)
		return ok && own.Equal(other)
	case ed25519.PublicKey:
		other, ok := other.(ed25519.PublicKey)
		return ok && own.Equal(other)
	}
	return false
}
