package server

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"sync"
)

// connections is a listener that knows which connections have not shown who they are yet. When there are too many of those, the one
// that has taken the longest is closed: a client that means to come takes milliseconds.
type connections struct {
	net.Listener

	limit   int
	changed func(open int)
	// silent is told of connections that were closed because they did not show who they are, late of those that did not complete
	// their requests.
	silent func(from string)
	late   func(who string, err error)

	mu      sync.Mutex
	open    int
	unknown list.List // of *connection, the oldest first
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &connection{Conn: accepted, listener: c}
	c.mu.Lock()
	c.open++
	conn.place = c.unknown.PushBack(conn)
	var late *connection
	if c.unknown.Len() > c.limit {
		late = c.unknown.Remove(c.unknown.Front()).(*connection) //nolint:forcetypeassert // nothing else is put in
		late.place = nil
	}
	c.changed(c.open)
	c.mu.Unlock()
	if late != nil {
		c.silent(host(late.RemoteAddr()))
		_ = late.Close() // there is nothing that could be lost
	}
	return conn, nil
}

// connection is one that was accepted.
type connection struct {
	net.Conn

	listener *connections
	place    *list.Element // among the unknown; nil: it is known
	closed   bool
	leave    func()

	requests requests
}

// known notes that the connection has shown who it is, and what to call when it ends. False: it has been closed meanwhile.
func (c *connection) known(t *tenant, leave func()) bool {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.closed {
		return false
	}
	c.forget()
	c.leave = func() {
		c.requests.end()
		leave()
	}
	c.requests.of(t)
	return true
}

// forget takes the connection from the unknown. The listener's mutex is held.
func (c *connection) forget() {
	if c.place != nil {
		c.listener.unknown.Remove(c.place)
		c.place = nil
	}
}

// Read implements net.Conn.
func (c *connection) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if who, room := c.requests.came(n); room != nil {
		c.listener.late(who, room)
		return 0, errors.Join(room, c.Close())
	}
	return n, err
}

// Write implements net.Conn.
func (c *connection) Write(content []byte) (int, error) {
	n, err := c.Conn.Write(content)
	c.requests.went(n)
	return n, err
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	leave, first := c.leave, !c.closed
	c.closed = true
	c.forget()
	if first {
		c.listener.open--
		c.listener.changed(c.listener.open)
	}
	c.listener.mu.Unlock()
	if first && leave != nil {
		leave()
	}
	return c.Conn.Close()
}

// requests charges a client for what it has sent of requests that are not complete: the server keeps it until the rest comes.
type requests struct {
	mu     sync.Mutex
	tenant *tenant // nil: not known yet
	// waiting are the bytes that came and were not taken, sent those that went: the client confirms them with a small part of that.
	waiting, sent int
	charged       int
}

const (
	// freeBytes of a connection are not charged for: what TLS and HTTP/2 need for themselves, and most requests whole.
	freeBytes = 64 << 10
	// confirmed is the part of what is sent that comes back in confirmations, at most.
	confirmed = 64
	// requestOverhead is what a request takes on the wire beside its message, at most.
	requestOverhead = 128
)

// of notes whose requests they are.
func (r *requests) of(t *tenant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tenant, r.waiting = t, 0
}

// came notes bytes that were received; an error: there is no room for them, and whose they are.
func (r *requests) came(bytes int) (who string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting += bytes
	if err := r.charge(); err != nil {
		return r.tenant.name, err
	}
	return "", nil
}

func (r *requests) went(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent += bytes
}

// taken notes that a request was complete, and has been taken.
func (r *requests) taken(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = max(0, r.waiting-bytes-requestOverhead)
	_ = r.charge() // less needs no room
}

// charge has the tenant pay for what waits. The mutex is held.
func (r *requests) charge() error {
	if r.tenant == nil {
		return nil
	}
	more := max(0, r.waiting-freeBytes-r.sent/confirmed) - r.charged
	if more > 0 {
		if err := r.tenant.Room(more); err != nil {
			return fmt.Errorf("requests that are not complete: %w", err)
		}
	}
	r.tenant.Add(more)
	r.charged += more
	return nil
}

func (r *requests) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tenant.Add(-r.charged)
	r.tenant, r.charged = nil, 0
}
