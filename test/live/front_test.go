package live

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/headgate/headgate/test/controlplane"
)

// front is to the replicas of Headgate what a Service is: one address, and connections to those that are there, over a wire.
type front struct {
	address string
	wire    wire

	mu       sync.Mutex
	replicas []*controlplane.ControlPlane
	// open are the connections, by the replica that they lead to.
	open map[*controlplane.ControlPlane][]net.Conn
}

// wire is the way between a client and a replica. The zero value is loopback's own.
type wire struct {
	// delay of what is on it in one direction.
	delay time.Duration
	// bits that it carries in a second; 0: as many as come.
	bits int
}

func (w wire) String() string {
	if w.bits == 0 {
		return fmt.Sprintf("%v away", w.delay)
	}
	return fmt.Sprintf("%v away, %d kbit/s", w.delay, w.bits/1000)
}

// carry takes what comes from one end to the other, until one of them closes.
func (w wire) carry(to io.Writer, from io.Reader) {
	if w == (wire{}) {
		_, _ = io.Copy(to, from)
		return
	}
	type parcel struct {
		content []byte
		arrives time.Time
	}
	const onTheWay = 1024
	parcels := make(chan parcel, onTheWay)
	go func() {
		defer close(parcels)
		free := time.Now() // when the wire has carried what was sent before
		for {
			content := make([]byte, 4<<10)
			n, err := from.Read(content)
			if err != nil {
				return
			}
			if now := time.Now(); free.Before(now) {
				free = now
			}
			if w.bits > 0 {
				free = free.Add(time.Duration(n) * 8 * time.Second / time.Duration(w.bits))
			}
			parcels <- parcel{content[:n], free.Add(w.delay)}
		}
	}()
	broken := false
	for p := range parcels {
		time.Sleep(time.Until(p.arrives)) // this is what the wire is
		if !broken {
			_, err := to.Write(p.content)
			broken = err != nil
		}
	}
}

func startFront(t testing.TB, replicas []*controlplane.ControlPlane, over wire) *front {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	f := &front{
		address: listener.Addr().String(), wire: over, replicas: slices.Clone(replicas),
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
			f.wire.carry(pair[0], pair[1])
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
