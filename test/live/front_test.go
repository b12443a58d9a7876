package live

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/headgate/headgate/test/controlplane"
)

// front is to the replicas of Headgate what a Service is: one address, and connections to those that are there.
type front struct {
	address string

	mu       sync.Mutex
	replicas []*controlplane.ControlPlane
	// open are the connections, by the replica that they lead to.
	open map[*controlplane.ControlPlane][]net.Conn
}

func startFront(t testing.TB, replicas []*controlplane.ControlPlane) *front {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	f := &front{
		address: listener.Addr().String(), replicas: slices.Clone(replicas),
		open: map[*controlplane.ControlPlane][]net.Conn{},
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.lead(conn)
		}
	}()
	return f
}

// lead takes a connection to the first replica that is there.
func (f *front) lead(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.replicas) == 0 {
		_ = conn.Close()
		return
	}
	to := f.replicas[0]
	onward, err := net.Dial("tcp", to.Address) //nolint:noctx // to loopback
	if err != nil {
		_ = conn.Close()
		return
	}
	f.open[to] = append(f.open[to], conn, onward)
	for _, pair := range [][2]net.Conn{{conn, onward}, {onward, conn}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			_, _ = conn.Close(), onward.Close()
		}()
	}
}

// lose cuts the connections of a replica, and makes no more to it: it is gone without a word.
func (f *front) lose(replica *controlplane.ControlPlane) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas = slices.DeleteFunc(f.replicas, func(r *controlplane.ControlPlane) bool { return r == replica })
	for _, conn := range f.open[replica] {
		_ = conn.Close()
	}
}
