package cache

// Nack is a resource that a client refused.
type Nack struct {
	// Node is the client's name for itself.
	Node string
	Type Type
	// Version is that of the first resource refused.
	Version string
	// Message is the client's error_detail.message.
	Message string
}

// Event says what became of an owner since it was last taken.
type Event struct {
	Owner  Owner
	Status Status
	// Nacks are the latest, at most maxNacks.
	Nacks []Nack
}

// maxNacks bounds what is kept of the clients' messages for each owner between two looks.
const maxNacks = 8

// Observer collects what changed of the owners' status. Changes merge until they are taken, so that a slow observer
// holds up nobody.
type Observer struct {
	cache   *Cache
	ready   chan struct{}
	changes map[Owner][]Nack
}

// Observe starts to collect. It must be closed.
func (c *Cache) Observe() *Observer {
	o := &Observer{cache: c, ready: make(chan struct{}, 1), changes: map[Owner][]Nack{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.observers[o] = struct{}{}
	return o
}

// Ready is signalled when there is something to take.
func (o *Observer) Ready() <-chan struct{} { return o.ready }

// Take takes what was collected, in no order.
func (o *Observer) Take() []Event {
	c := o.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	events := make([]Event, 0, len(o.changes))
	for name, nacks := range o.changes {
		event := Event{Owner: name, Nacks: nacks}
		if owner := c.owners[name]; owner != nil {
			event.Status = owner.status()
		}
		events = append(events, event)
	}
	clear(o.changes)
	return events
}

// Close ends the collecting.
func (o *Observer) Close() {
	o.cache.mu.Lock()
	defer o.cache.mu.Unlock()
	delete(o.cache.observers, o)
}

// changed tells the observers that the status of an owner may have changed. Cache.mu is held.
func (c *Cache) changed(o *owner) {
	for observer := range c.observers {
		if _, noted := observer.changes[o.name]; !noted {
			observer.changes[o.name] = nil
		}
		observer.signal()
	}
}

// nacked tells the observers what a client says of a resource that it refused. Cache.mu is held.
func (c *Cache) nacked(o *owner, nack Nack) {
	for observer := range c.observers {
		nacks := observer.changes[o.name]
		if len(nacks) == maxNacks {
			nacks = nacks[1:]
		}
		observer.changes[o.name] = append(nacks, nack)
		observer.signal()
	}
}

func (o *Observer) signal() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}
