package server

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// What a client takes of the server's memory beside what it subscribes to, in bytes, with its goroutines and buffers and those of TLS and
// HTTP/2: `make bench-xds` measures 62 KiB for a client that follows ten services, and these come to 68.
const (
	connectionBytes = 48 << 10
	streamBytes     = 16 << 10
)

// tenants bounds what clients may take of the server, in all, and for each identity and namespace: all clients of one certificate name
// share what one may take, so that nobody notices how much others want.
type tenants struct {
	limits Limits
	memory atomic.Int64

	mu          sync.Mutex
	connections int
	streams     int
	// identities are those that have connections or streams.
	identities map[string]*tenant
	// namespaces counts the streams of each.
	namespaces map[string]int
}

// tenant is an identity. It is a [cache.Meter].
type tenant struct {
	all    *tenants
	name   string
	memory atomic.Int64

	// connections and streams are guarded by tenants.mu.
	connections, streams int
}

func newTenants(limits Limits) *tenants {
	return &tenants{limits: limits, identities: map[string]*tenant{}, namespaces: map[string]int{}}
}

// connect admits a connection of an identity, or says why not. Leave must be called at its end.
func (a *tenants) connect(identity string) (t *tenant, leave func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t = a.tenant(identity)
	switch {
	case a.connections >= a.limits.Connections:
		err = fmt.Errorf("%d connections are open, which is the limit of this replica", a.connections)
	case t.connections >= a.limits.ConnectionsPerIdentity:
		err = fmt.Errorf("%d connections of %s are open, which is the limit for one certificate name", t.connections, identity)
	default:
		err = t.Room(connectionBytes)
	}
	if err != nil {
		a.forgetIfUnused(t)
		return nil, nil, err
	}
	a.connections++
	t.connections++
	t.Add(connectionBytes)
	return t, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.connections--
		t.connections--
		t.Add(-connectionBytes)
		a.forgetIfUnused(t)
	}, nil
}

// enter admits a stream of an identity, or says why not. Leave must be called at its end.
func (a *tenants) enter(identity Identity) (t *tenant, leave func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t = a.tenant(identity.Name)
	switch {
	case a.streams >= a.limits.Streams:
		err = fmt.Errorf("%d streams are open, which is the limit of this replica", a.streams)
	case t.streams >= a.limits.StreamsPerIdentity:
		err = fmt.Errorf("%d streams of %s are open, which is the limit for one certificate name", t.streams, identity.Name)
	case identity.Namespace != "" && a.namespaces[identity.Namespace] >= a.limits.StreamsPerNamespace:
		err = fmt.Errorf("%d streams of clients in namespace %s are open, which is the limit for one namespace",
			a.namespaces[identity.Namespace], identity.Namespace)
	default:
		err = t.Room(streamBytes)
	}
	if err != nil {
		a.forgetIfUnused(t)
		return nil, nil, err
	}
	a.count(t, identity, 1)
	return t, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.count(t, identity, -1)
		a.forgetIfUnused(t)
	}, nil
}

// open is how many streams there are.
func (a *tenants) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams
}

// count notes streams more or less. The mutex is held.
func (a *tenants) count(t *tenant, identity Identity, streams int) {
	a.streams += streams
	t.streams += streams
	t.Add(streams * streamBytes)
	if a.namespaces[identity.Namespace] += streams; a.namespaces[identity.Namespace] == 0 {
		delete(a.namespaces, identity.Namespace)
	}
}

// tenant is that of an identity, which is made if there is none. The mutex is held.
func (a *tenants) tenant(identity string) *tenant {
	t := a.identities[identity]
	if t == nil {
		t = &tenant{all: a, name: identity}
		a.identities[identity] = t
	}
	return t
}

// forgetIfUnused forgets a tenant without connections and streams. The mutex is held.
func (a *tenants) forgetIfUnused(t *tenant) {
	if t.connections == 0 && t.streams == 0 && a.identities[t.name] == t {
		delete(a.identities, t.name)
	}
}

// Add implements cache.Meter.
func (t *tenant) Add(bytes int) {
	t.memory.Add(int64(bytes))
	t.all.memory.Add(int64(bytes))
}

// Room implements cache.Meter: nil, or why the identity cannot be given so many bytes more.
func (t *tenant) Room(bytes int) error {
	limits := t.all.limits
	if used := t.memory.Load(); used+int64(bytes) > limits.MemoryPerIdentity {
		return fmt.Errorf("clients of %s take %d KiB of memory and ask for %d more, the limit for one certificate name is %d KiB",
			t.name, used>>10, bytes>>10, limits.MemoryPerIdentity>>10)
	}
	if used := t.all.memory.Load(); used+int64(bytes) > limits.Memory {
		return fmt.Errorf("clients take %d KiB of memory, which is the limit of this replica", used>>10)
	}
	return nil
}
