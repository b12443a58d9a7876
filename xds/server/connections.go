package server

import (
	"net"
	"sync"
	"sync/atomic"
)

// connections is a listener that closes connections beyond a limit as they come.
type connections struct {
	net.Listener

	limit   int64
	open    atomic.Int64
	changed func(open int64)
	refused func(from string)
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if open := c.open.Add(1); open <= c.limit {
			c.changed(open)
			return &connection{Conn: conn, closed: sync.OnceFunc(func() { c.changed(c.open.Add(-1)) })}, nil
		}
		c.open.Add(-1)
		c.refused(host(conn.RemoteAddr()))
		_ = conn.Close() // there is nothing that could be lost
	}
}

type connection struct {
	net.Conn

	closed func()
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.closed()
	return c.Conn.Close()
}
