package cache

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Config is what a cache is made with. The zero value is right in production.
type Config struct {
	// Clock tells the time; nil: the system's.
	Clock clock.PassiveClock
	// Patience is how long the next response waits for the answer to the one before, and listeners, routes and removals for the
	// answer to what has to come before them; 0: 15 s, after which an Envoy has given up on a cluster that does not warm up.
	Patience time.Duration
	// Newcomer is how long a new client counts as not having acknowledged what it uses. One that comes back subscribes to
	// type after type, and would look up to date in between. 0: 500 ms; negative: not at all.
	Newcomer time.Duration
	// Pace is the interval between responses of a type when changes go on and on; the first few come at once.
	// 0: 20 ms; negative: none.
	Pace time.Duration
}

const (
	defaultPatience = 15 * time.Second
	defaultNewcomer = 500 * time.Millisecond
	defaultPace     = 20 * time.Millisecond
)

// Cache holds the resources. It is safe for concurrent use.
type Cache struct {
	clock    clock.PassiveClock
	start    time.Time
	patience time.Duration
	newcomer time.Duration
	pace     time.Duration
	seed     maphash.Seed

	mu         sync.Mutex
	synced     bool
	owners     map[Owner]*owner
	namespaces map[string]map[*owner]struct{}
	topics     [typeCount]map[string]*topic
	wildcards  [typeCount]wildcards
	clients    map[*Client]struct{}
	observers  map[*Observer]struct{}
	// elapsed is the time since the start, as it was when mu was locked.
	elapsed time.Duration
	// changing: mu is held to change resources, not for what a client does.
	changing bool
}

// New makes an empty cache, which serves nothing before it is Synced.
func New(config Config) *Cache {
	c := &Cache{
		clock:      config.Clock,
		patience:   cmp.Or(config.Patience, defaultPatience),
		newcomer:   cmp.Or(config.Newcomer, defaultNewcomer),
		pace:       max(cmp.Or(config.Pace, defaultPace), 0),
		seed:       maphash.MakeSeed(),
		owners:     map[Owner]*owner{},
		namespaces: map[string]map[*owner]struct{}{},
		clients:    map[*Client]struct{}{},
		observers:  map[*Observer]struct{}{},
	}
	if c.clock == nil {
		c.clock = clock.RealClock{}
	}
	c.start = c.clock.Now()
	for t := range c.wildcards {
		c.topics[t], c.wildcards[t] = map[string]*topic{}, wildcards{}
	}
	return c
}

// lock locks mu, and looks at the clock.
func (c *Cache) lock() {
	c.mu.Lock()
	c.elapsed, c.changing = c.clock.Since(c.start), false
}

// Synced opens the cache: all owners that there are have been Set once. Before that clients wait, so that
// after a restart none is told that something is gone which only has not been read yet.
func (c *Cache) Synced() {
	c.lock()
	defer c.mu.Unlock()
	c.synced = true
	for client := range c.clients {
		client.wake()
	}
}

// Set makes resources all that there is for the owner, and returns their version. It is atomic: no client is sent a
// part of it. On an error (a resource is not valid, is there twice, or a cluster lacks its endpoints) nothing changes.
func (c *Cache) Set(name Owner, resources []Resource) (version string, err error) {
	versions, err := c.Update(map[Owner][]Resource{name: resources})
	return versions[name], err
}

// Update is Set for several at once, which is atomic as well; no resources remove an owner. What is shared by owners, such as
// an Envoy's listener on a port, is set under a name of its own in their namespace, and names them as Owners.
func (c *Cache) Update(all map[Owner][]Resource) (versions map[Owner]string, err error) {
	built := make(map[Owner]map[key]*Entry, len(all))
	for name, resources := range all {
		if built[name], err = build(name, resources); err != nil {
			return nil, fmt.Errorf("resources of %s: %w", name, err)
		}
	}
	versions = make(map[Owner]string, len(all))
	c.lock()
	defer c.mu.Unlock()
	c.changing = true
	for name, entries := range built {
		versions[name] = c.set(name, entries)
	}
	return versions, nil
}

// Remove removes all that there is for the owner.
func (c *Cache) Remove(name Owner) {
	_, _ = c.Update(map[Owner][]Resource{name: nil}) // nothing can be wrong with nothing
}

// Status says where the owner's current version is live.
func (c *Cache) Status(name Owner) Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.owners[name]; o != nil {
		return o.status()
	}
	return Status{}
}

// Acked is the gate of a rollout's step: the owner's current version is the given one, as Set returned it, and
// each connected client that uses the owner has acknowledged it. It speaks for the clients of this
// replica.
func (c *Cache) Acked(name Owner, version string) bool {
	status := c.Status(name)
	return status.Version == version && status.AllAcked()
}

// set makes entries all that there is for an owner. Cache.mu is held.
func (c *Cache) set(name Owner, entries map[key]*Entry) string {
	o := c.owner(name)
	old := o.entries
	var changed, gone []*Entry
	for k, e := range entries {
		if was := old[k]; was != nil && was.same(e) {
			entries[k] = was
			continue
		}
		c.own(e, o)
		changed = append(changed, e)
	}
	o.entries, o.version = entries, versionOfOwner(entries)
	for k, e := range old {
		if entries[k] == nil {
			t := c.topic(k)
			t.drop(o)
			c.refresh(t)
		}
		if entries[k] != e {
			gone = append(gone, e)
		}
	}
	for _, e := range changed {
		c.publish(e)
	}
	for _, e := range gone {
		c.disown(e)
	}
	c.changed(o)
	c.forgetIfEmpty(o)
	return o.version
}

// publish puts an entry where clients find it: by its name, and by their wildcards. Cache.mu is held.
func (c *Cache) publish(e *Entry) {
	t := c.topic(e.key)
	t.put(e)
	c.refresh(t)
	for _, o := range e.owners {
		for sub := range c.wildcards[e.typ].of(o.name) {
			sub.pick(e)
		}
	}
}

// own makes an entry known to its owners. Cache.mu is held.
func (c *Cache) own(e *Entry, holder *owner) {
	e.holder = holder
	for _, name := range e.names {
		o := c.owner(name)
		o.owned++
		e.owners = append(e.owners, o)
	}
}

// disown undoes own. Cache.mu is held.
func (c *Cache) disown(e *Entry) {
	for _, o := range e.owners {
		o.owned--
		c.forgetIfEmpty(o)
	}
}

// refresh looks again at everyone who waits for the topic. Cache.mu is held.
func (c *Cache) refresh(t *topic) {
	for _, w := range t.watches {
		w.refresh()
	}
	c.removeIfEmpty(t)
}

// topic is that of a name, which is made if there is none. Cache.mu is held.
func (c *Cache) topic(k key) *topic {
	t := c.topics[k.typ][k.name]
	if t == nil {
		t = &topic{key: k}
		c.topics[k.typ][k.name] = t
	}
	return t
}

// removeIfEmpty forgets a topic without resources and watches. Cache.mu is held.
func (c *Cache) removeIfEmpty(t *topic) {
	if t.empty() {
		delete(c.topics[t.typ], t.name)
	}
}

// owner is that of a name, which is made if there is none. Cache.mu is held.
func (c *Cache) owner(name Owner) *owner {
	o := c.owners[name]
	if o == nil {
		o = &owner{name: name}
		c.owners[name] = o
		if c.namespaces[name.Namespace] == nil {
			c.namespaces[name.Namespace] = map[*owner]struct{}{}
		}
		c.namespaces[name.Namespace][o] = struct{}{}
	}
	return o
}

// forgetIfEmpty forgets an owner without resources. Cache.mu is held.
func (c *Cache) forgetIfEmpty(o *owner) {
	if len(o.entries) > 0 || o.owned > 0 || c.owners[o.name] != o {
		return
	}
	delete(c.owners, o.name)
	delete(c.namespaces[o.name.Namespace], o)
	if len(c.namespaces[o.name.Namespace]) == 0 {
		delete(c.namespaces, o.name.Namespace)
	}
}
