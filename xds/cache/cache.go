package cache

import (
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
	// Patience is how long listeners, routes and removals wait for the answer to what was sent before them;
	// 0: 15 s, after which an Envoy has given up on a cluster that does not warm up.
	Patience time.Duration
	// Settling is how long a new client counts as not having acknowledged what it uses. One that comes back subscribes to
	// type after type, and would look up to date in between. 0: 500 ms; negative: not at all.
	Settling time.Duration
}

const (
	defaultPatience = 15 * time.Second
	defaultSettling = 500 * time.Millisecond
)

// Cache holds the resources. It is safe for concurrent use.
type Cache struct {
	clock    clock.PassiveClock
	patience time.Duration
	settling time.Duration
	seed     maphash.Seed

	mu         sync.Mutex
	synced     bool
	owners     map[Owner]*owner
	namespaces map[string]map[*owner]struct{}
	topics     [typeCount]map[string]*topic
	selections [typeCount]selections
	clients    map[*Client]struct{}
	observers  map[*Observer]struct{}
	// changedAt is the time of the change that is being made; zero: the work is a client's own.
	changedAt time.Time
}

// New makes an empty cache, which serves nothing before it is Synced.
func New(config Config) *Cache {
	c := &Cache{
		clock:      config.Clock,
		patience:   config.Patience,
		settling:   config.Settling,
		seed:       maphash.MakeSeed(),
		owners:     map[Owner]*owner{},
		namespaces: map[string]map[*owner]struct{}{},
		clients:    map[*Client]struct{}{},
		observers:  map[*Observer]struct{}{},
	}
	if c.clock == nil {
		c.clock = clock.RealClock{}
	}
	if c.patience == 0 {
		c.patience = defaultPatience
	}
	if c.settling == 0 {
		c.settling = defaultSettling
	}
	for t := range c.selections {
		c.topics[t], c.selections[t] = map[string]*topic{}, selections{}
	}
	return c
}

// Synced opens the cache: all owners that there are have been Set once. Before that clients wait, so that
// after a restart none is told that something is gone which only has not been read yet.
func (c *Cache) Synced() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced = true
	for client := range c.clients {
		client.wake()
	}
}

// Set makes resources all that there is for the owner, and returns their version. It is atomic: no client is sent a
// part of it. On an error (a resource is not valid, is there twice, or a cluster lacks its assignment) nothing changes.
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changedAt = c.clock.Now()
	defer func() { c.changedAt = time.Time{} }()
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

// Live is the gate of a rollout's step: the owner's current version is the given one, as Set returned it, and
// each connected client that uses the owner has acknowledged it. It speaks for the clients of this
// replica.
func (c *Cache) Live(name Owner, version string) bool {
	status := c.Status(name)
	return status.Version == version && status.Settled()
}

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
	c.tidy(o)
	return o.version
}

// publish puts an entry where clients find it: by its name, and by their wildcards.
func (c *Cache) publish(e *Entry) {
	t := c.topic(e.key)
	t.put(e)
	c.refresh(t)
	for _, o := range e.owners {
		for sub := range c.selections[e.typ].of(o.name) {
			sub.pick(e)
		}
	}
}

// own makes an entry known to its owners.
func (c *Cache) own(e *Entry, holder *owner) {
	e.holder = holder
	for _, name := range e.names {
		o := c.owner(name)
		o.owned++
		e.owners = append(e.owners, o)
	}
}

func (c *Cache) disown(e *Entry) {
	for _, o := range e.owners {
		o.owned--
		c.tidy(o)
	}
}

// refresh looks again at everyone who waits for the topic.
func (c *Cache) refresh(t *topic) {
	for _, w := range t.watches {
		w.refresh()
	}
	c.clean(t)
}

func (c *Cache) topic(k key) *topic {
	t := c.topics[k.typ][k.name]
	if t == nil {
		t = &topic{key: k}
		c.topics[k.typ][k.name] = t
	}
	return t
}

func (c *Cache) clean(t *topic) {
	if t.empty() {
		delete(c.topics[t.typ], t.name)
	}
}

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

// tidy forgets an owner without resources.
func (c *Cache) tidy(o *owner) {
	if len(o.entries) > 0 || o.owned > 0 || c.owners[o.name] != o {
		return
	}
	delete(c.owners, o.name)
	delete(c.namespaces[o.name.Namespace], o)
	if len(c.namespaces[o.name.Namespace]) == 0 {
		delete(c.namespaces, o.name.Namespace)
	}
}

// hash tells lists of names apart without keeping them.
func (c *Cache) hash(names []string) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	for _, name := range names {
		_, _ = h.WriteString(name)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
