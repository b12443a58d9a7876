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

// Client is one stream of a client. Its methods are for one goroutine, beside anything that goes on in
// the cache.
type Client struct {
	cache    *Cache
	protocol Protocol
	node     string
	scope    Scope

	ready     chan struct{}
	responses uint64 // sent so far
	subs      [typeCount]subscription
	uses      map[*owner]*use
	wildcards int       // how many types it asks for everything of
	changedAt time.Time // of the first change that has not been sent
	settled   time.Time // when the client stops to count as new; zero: it has
	closed    bool
}

// Connect adds a client. Node is its own name for itself, and what is said of it. It must be closed.
func (c *Cache) Connect(protocol Protocol, node string, scope Scope) *Client {
	cl := &Client{
		cache: c, protocol: protocol, node: node, scope: scope,
		ready: make(chan struct{}, 1),
		uses:  map[*owner]*use{},
	}
	for t := range cl.subs {
		cl.subs[t] = subscription{client: cl, typ: Type(t), watches: map[string]*watch{}}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients[cl] = struct{}{}
	if c.settling > 0 {
		cl.settled = c.clock.Now().Add(c.settling)
	}
	return cl
}

// Close ends the client. It may be called again.
func (cl *Client) Close() {
	c := cl.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if cl.closed {
		return
	}
	cl.closed = true
	for t := range cl.subs {
		s := &cl.subs[t]
		if s.wild {
			c.selections[t].remove(cl.scope.Everything, s)
		}
		for _, w := range s.watches {
			w.topic.leave(w)
			c.clean(w.topic)
		}
	}
	for _, u := range cl.uses {
		u.change(func() { u.resources, u.behind, u.wrong = 0, 0, 0 })
		c.changed(u.owner)
	}
	delete(c.clients, cl)
}

// Ready is signalled when Next may have something.
func (cl *Client) Ready() <-chan struct{} { return cl.ready }

// Replace takes a request in state-of-the-world xDS: names are all that the client wants of the type.
func (cl *Client) Replace(t Type, names []string) {
	cl.cache.mu.Lock()
	defer cl.cache.mu.Unlock()
	cl.subs[t].replace(names)
	cl.wake()
}

// Adjust takes a request in incremental xDS. Known are the versions that the client has from an earlier stream.
func (cl *Client) Adjust(t Type, subscribe, unsubscribe []string, known map[string]string) {
	cl.cache.mu.Lock()
	defer cl.cache.mu.Unlock()
	cl.subs[t].adjust(subscribe, unsubscribe, known)
	cl.wake()
}

// Names is how many names of the type the client follows.
func (cl *Client) Names(t Type) int {
	cl.cache.mu.Lock()
	defer cl.cache.mu.Unlock()
	return len(cl.subs[t].watches)
}

// AsksForEverything says whether a request without names would ask for everything.
func (cl *Client) AsksForEverything(t Type, names []string) bool {
	cl.cache.mu.Lock()
	defer cl.cache.mu.Unlock()
	return slices.Contains(names, wildcard) || len(names) == 0 && t.Whole() && !cl.subs[t].started
}

// Scope is what the client may read.
func (cl *Client) Scope() Scope { return cl.scope }

// countWildcards notes a wildcard more or less. That decides what the client's names mean.
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

func (cl *Client) wake() {
	if cl.changedAt.IsZero() {
		cl.changedAt = cl.cache.changedAt
	}
	select {
	case cl.ready <- struct{}{}:
	default:
	}
}

func (cl *Client) isNew() bool { return !cl.settled.IsZero() }

// settle ends the time in which the client counts as new, if it is over.
func (cl *Client) settle(now time.Time) {
	if !cl.isNew() || now.Before(cl.settled) {
		return
	}
	cl.settled = time.Time{}
	for o, u := range cl.uses {
		u.change(func() { u.behind-- })
		cl.cache.changed(o)
	}
}

// account counts a resource of the client more or less in all, behind, and wrong.
func (cl *Client) account(e *Entry, resources, behind, wrong int) {
	if e == nil {
		return
	}
	for _, o := range e.owners {
		u := cl.uses[o]
		if u == nil {
			u = &use{owner: o}
			u.behind += count(cl.isNew()) // until it has settled
			cl.uses[o] = u
		}
		u.change(func() {
			u.resources += resources
			u.behind += behind
			u.wrong += wrong
		})
		if u.resources == 0 {
			delete(cl.uses, o)
		}
		cl.cache.changed(o)
	}
}
