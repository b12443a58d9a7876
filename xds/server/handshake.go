package server

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// handshakes is TLS that counts the connections of each client, and tells of those it turns away.
type handshakes struct {
	credentials.TransportCredentials

	server *Server
}

// ServerHandshake implements credentials.TransportCredentials.
func (h handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := h.TransportCredentials.ServerHandshake(conn)
	if err != nil {
		h.server.refusals.add(host(conn.RemoteAddr()), reasonHandshake, err)
		return nil, nil, err
	}
	// Who has a certificate without a name is told so on its streams.
	name := strangers
	if identity, err := h.server.identify(info); err == nil {
		name = identity.Name
	}
	t, leave, err := h.server.tenants.connect(name)
	if err != nil {
		h.server.refusals.add(name, reasonConnections, err)
		return nil, nil, err
	}
	accepted, ok := conn.(*connection)
	if !ok || !accepted.known(t, leave) {
		leave()
		return nil, nil, fmt.Errorf("connection from %s: %w", host(conn.RemoteAddr()), net.ErrClosed)
	}
	shown, _ := info.(credentials.TLSInfo)
	return secure, peerInfo{shown, accepted}, nil
}

// peerInfo is what a call knows of its connection.
type peerInfo struct {
	credentials.TLSInfo

	connection *connection
}

// requestsOf are those of the connection that a call came on.
func requestsOf(ctx context.Context) *requests {
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(peerInfo); ok {
			return &info.connection.requests
		}
	}
	return &requests{}
}

// strangers is what all clients are called whose certificates say nothing of who they are.
const strangers = "clients without a name"

// Clone implements credentials.TransportCredentials.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.server}
}
