package cache

import (
	"slices"
	"time"
)

// Protocol is how a client is spoken to.
type Protocol uint8

// The two variants of xDS.
const (
	// StateOfTheWorld: each request names all that the client wants, each response of clusters or
	// listeners lists all that there is.
	StateOfTheWorld Protocol = iota
	// Incremental: requests and responses say what changed.
	Incremental
)

// Client is one stream of a client. One goroutine may pass on what the client says, beside one that takes what it is to be sent.
type Client struct {
	cache    *Cache
	protocol Protocol
	node     string
	scope    Scope
	meter    Meter

	ready     chan struct{}
	responses uint64 // sent so far
	subs      [typeCount]subscription
	uses      map[*owner]*use
	wildcards int // how many types it asks for everything of
	// newUntil is when the client no longer counts as new; 0: it does not.
	newUntil time.Duration
	closed   bool
}

// Meter counts the bytes of memory that clients take. Its methods are called with the cache locked.
type Meter interface {
	// Add takes or gives back.
	Add(bytes int)
	// Room says why so many bytes more cannot be taken; nil: they can.
	Room(bytes int) error
}

// What a client takes beside the connection, as measured on 64-bit machines (TestMeter compares).
const (
	// watchBytes are those of a name: the watch, its places in maps and lists, and the topic, should nobody else have it.
	watchBytes = 360
)

// NameBytes is what a name takes of a client's memory while the client is subscribed to it.
func NameBytes(name string) int { return watchBytes + len(name) }

// Connect adds a client. Node is its own name for itself, and what is said of it. Meter may be nil. The client must be closed.
func (c *Cache) Connect(protocol Protocol, node string, scope Scope, meter Meter) *Client {
	cl := &Client{
		cache: c, protocol: protocol, node: node, scope: scope, meter: meter,
		ready: make(chan struct{}, 1),
		uses:  map[*owner]*use{},
	}
	for t := range cl.subs {
		cl.subs[t] = subscription{client: cl, typ: Type(t), watches: map[string]*watch{}}
	}
	c.lock()
	defer c.mu.Unlock()
	c.clients[cl] = struct{}{}
	if c.newcomer > 0 {
		cl.newUntil = c.elapsed + c.newcomer
	}
	return cl
}

// Close ends the client. It may be called again; what else is called afterwards does nothing.
func (cl *Client) Close() {
	c := cl.cache
	c.lock()
	defer c.mu.Unlock()
	if cl.closed {
		return
	}
	cl.closed = true
	for t := range cl.subs {
		s := &cl.subs[t]
		if s.wild {
			c.wildcards[t].remove(cl.scope.Everything, s)
		}
		for name, w := range s.watches {
			w.topic.leave(w)
			c.removeIfEmpty(w.topic)
			cl.use(-NameBytes(name))
		}
	}
	for _, u := range cl.uses {
		u.set(counts{})
		c.changed(u.owner)
	}
	delete(c.clients, cl)
}

// Ready is signalled when Next may have something. It takes no lock.
func (cl *Client) Ready() <-chan struct{} { return cl.ready }

// Replace takes a request in state-of-the-world xDS: names are all that the client wants of the type. It says whether that
// is something else than in the request before. When the meter has no room for the names, its error says so, and nothing changes.
func (cl *Client) Replace(t Type, names []string) (changed bool, err error) {
	cl.cache.lock()
	defer cl.cache.mu.Unlock()
	if cl.closed {
		return false, nil
	}
	changed, err = cl.subs[t].replace(names)
	cl.wake()
	return changed, err
}

// Adjust takes a request in incremental xDS. Known are the versions that the client has from an earlier stream. When the meter has no room
// for the names, its error says so, and nothing changes.
func (cl *Client) Adjust(t Type, subscribe, unsubscribe []string, known map[string]string) error {
	cl.cache.lock()
	defer cl.cache.mu.Unlock()
	if cl.closed {
		return nil
	}
	err := cl.subs[t].adjust(subscribe, unsubscribe, known)
	cl.wake()
	return err
}

// Names is how many names of the type the client is subscribed to, beside those that a wildcard selects.
func (cl *Client) Names(t Type) int {
	cl.cache.mu.Lock()
	defer cl.cache.mu.Unlock()
	return int(cl.subs[t].named)
}

// AsksForEverything says whether a request with these names would ask for everything.
func (cl *Client) AsksForEverything(t Type, names []string) bool {
	cl.cache.mu.Lock()
	defer cl.cache.mu.Unlock()
	return slices.Contains(names, wildcardName) || len(names) == 0 && t.AllRequiredInSotW() && !cl.subs[t].started
}

// Scope is what the client may read. It takes no lock.
func (cl *Client) Scope() Scope { return cl.scope }

// use tells the meter. Cache.mu is held.
func (cl *Client) use(bytes int) {
	if cl.meter != nil {
		cl.meter.Add(bytes)
	}
}

// countWildcards notes a wildcard more or less. That decides what the client's names mean. Cache.mu is held.
func (cl *Client) countWildcards(change int) {
	before := cl.wildcards > 0
	cl.wildcards += change
	if before == (cl.wildcards > 0) {
		return
	}
	for t := range cl.subs {
		for _, w := range cl.subs[t].watches {
			w.refresh()
		}
	}
}

// wake has the client be sent what there is. It takes no lock.
func (cl *Client) wake() {
	select {
	case cl.ready <- struct{}{}:
	default:
	}
}

// isNew says whether the client counts as new. Cache.mu is held.
func (cl *Client) isNew() bool { return cl.newUntil > 0 }

// endNewcomer ends the time in which the client counts as new, if it is over. Cache.mu is held.
func (cl *Client) endNewcomer() {
	if !cl.isNew() || cl.cache.elapsed < cl.newUntil {
		return
	}
	cl.newUntil = 0
	for o, u := range cl.uses {
		u.set(u.minus(counts{unacked: 1}))
		cl.cache.changed(o)
	}
}

// count adds to the counts of an entry's owners. Cache.mu is held.
func (cl *Client) count(e *Entry, change counts) {
	if e == nil || change == (counts{}) {
		return
	}
	for _, o := range e.owners {
		u := cl.uses[o]
		if u == nil {
			u = &use{owner: o, counts: counts{unacked: count(cl.isNew())}} // until it is no longer new
			cl.uses[o] = u
		}
		u.set(u.plus(change))
		if u.resources == 0 {
			delete(cl.uses, o)
		}
		cl.cache.changed(o)
	}
}
