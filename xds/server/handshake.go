package server

import (
	"net"

	"google.golang.org/grpc/credentials"
)

// handshakes is TLS that tells of clients it turns away.
type handshakes struct {
	credentials.TransportCredentials

	refused func(from string, err error)
}

// ServerHandshake implements credentials.TransportCredentials.
func (h handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := h.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		h.refused(host(conn.RemoteAddr()), err)
	}
	return secure, info, err
}

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.refused}
}
