package server

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"strings"

	"google.golang.org/grpc/credentials"
)

// The replicas of Headgate share a certificate and its key, and know each other by that: whoever proves to
// have the key is a replica. It takes no name, no other certificate and no configuration, and it does not matter who signed: the
// server's authority is not one of the clients'.
//
// A renewed certificate with another key reaches one replica after the other, within about a minute. A replica that has it still knows
// the key before, and connections that were made with that live for as long as connections may. Who calls says which key it knows, and
// gets to see that one; and it shows the one that the other side has shown. So two replicas that run always know each other. Only one
// that starts with the new key does not know those that do not have it yet.

var errNoReplica = errors.New("not a replica: its key is another")

// identify says who is at the other end of a connection. A replica is one whatever its certificate says.
func (s *Server) identify(info credentials.AuthInfo) (Identity, error) {
	shown, ok := info.(credentials.TLSInfo)
	if with, more := info.(peerInfo); more {
		shown, ok = with.TLSInfo, true
	}
	switch {
	case !ok:
		return Identity{}, errNoCertificate
	case s.certificates.own(shown.State.PeerCertificates) != nil:
		return Identity{Name: "replica", Replica: true}, nil
	default:
		return s.identities.ofPeer(shown)
	}
}

// ReplicaCredentials are for calls to the other replicas, at the same port that this one serves on. They need
// the certificates that Start reads.
func (s *Server) ReplicaCredentials() credentials.TransportCredentials {
	return replicaCredentials{credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13}), s.certificates}
}

// replicaCredentials are TLS to other replicas.
type replicaCredentials struct {
	credentials.TransportCredentials

	own *certificates
}

// ClientHandshake implements credentials.TransportCredentials.
func (r replicaCredentials) ClientHandshake(ctx context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	newest := r.own.find(func(tls.Certificate) bool { return true })
	if newest == nil {
		return nil, nil, errors.New("the certificates of the xDS server are not read yet")
	}
	shows := newest
	return credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // neither name nor signer matters where the key itself is known
		// It is called before the client's certificate is asked for.
		VerifyConnection: func(state tls.ConnectionState) error {
			if shows = r.own.own(state.PeerCertificates); shows == nil {
				return errNoReplica
			}
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shows, nil },
	}).ClientHandshake(ctx, replicaName(*newest), conn)
}

// Clone implements credentials.TransportCredentials.
func (r replicaCredentials) Clone() credentials.TransportCredentials {
	return replicaCredentials{r.TransportCredentials.Clone(), r.own}
}

// replicaName is the server name by which a replica that knows a key calls another.
func replicaName(pair tls.Certificate) string {
	sum := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:16]) + replicaNames
}

// replicaNames is how the names end by which replicas call each other. No host has such a name.
const replicaNames = ".replica.headgate"

func isReplicaName(name string) bool { return strings.HasSuffix(name, replicaNames) }

// sameKey says whether two public keys are equal. All public keys of the standard library have the method.
func sameKey(own, other crypto.PublicKey) bool {
	key, ok := own.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && key.Equal(other)
}
