package server

import (
	"net"
	"sync"
	"time"
)

// gate holds up all connections that came through its listener while it is shut.
// What the peers sent stays unread, as with a stopped process.
type gate struct {
	mu    sync.RWMutex
	open  chan struct{} // closed while the gate is open
	timer *time.Timer   // opens the gate; nil when nothing will
}

func newGate() *gate {
	open := make(chan struct{})
	close(open)
	return &gate{open: open}
}

// shut holds up the connections for the duration, or until unshut when it is 0.
func (g *gate) shut(duration time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopTimer()
	if g.isOpen() {
		g.open = make(chan struct{})
	}
	if duration == 0 {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(duration, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		// A later shut or unshut may have come between the firing and the lock.
		if g.timer == timer {
			g.timer = nil
			close(g.open)
		}
	})
	g.timer = timer
}

func (g *gate) unshut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopTimer()
	if !g.isOpen() {
		close(g.open)
	}
}

func (g *gate) isShut() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return !g.isOpen()
}

// isOpen and stopTimer need the lock.
func (g *gate) isOpen() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

func (g *gate) stopTimer() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

// pass returns when the gate is open or the connection is closed.
func (g *gate) pass(closed <-chan struct{}) {
	g.mu.RLock()
	open := g.open
	g.mu.RUnlock()
	select {
	case <-open:
	case <-closed:
	}
}

func (g *gate) listener(inner net.Listener) net.Listener {
	return &gatedListener{Listener: inner, gate: g}
}

type gatedListener struct {
	net.Listener
	gate *gate
}

func (l *gatedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{Conn: conn, gate: l.gate, closed: make(chan struct{})}, nil
}

type gatedConn struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

// Read keeps what arrived until the gate opens: the read itself was most often
// waiting already when the gate was shut.
func (c *gatedConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	c.gate.pass(c.closed)
	return n, err
}

func (c *gatedConn) Write(data []byte) (int, error) {
	c.gate.pass(c.closed)
	return c.Conn.Write(data)
}

func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
