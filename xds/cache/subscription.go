package cache

import (
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"time"
)

// subscription is what a client follows of one type, and which responses it has not answered.
type subscription struct {
	client *Client
	typ    Type

	watches map[string]*watch
	spare   []watch
	names   uint64 // hash of those in the last request, state of the world only
	named   int32  // how many watches are subscribed to by name
	// started: there was a request. explicit: one named something, so that no name is no longer everything.
	started, explicit bool
	wild              bool

	// queue holds the watches that may have something for the next response.
	queue []*watch
	// mustRespond: a response is owed even if it holds nothing. requested: what is in the queue is not there for changes alone.
	mustRespond, requested bool
	// inFlight are the responses that the client has not answered, the oldest first.
	inFlight []response
	// pace is when the next response to changes would be due at the highest rate, after a rest.
	pace time.Duration
	// digest is that of all that the client was sent.
	digest digest
}

// replace makes names the subscription, as each request in state-of-the-world xDS does: "the server must treat the names in each
// request as the whole set", whatever response the request answers. Cache.mu is held.
func (s *subscription) replace(names []string) (changed bool, err error) {
	hash := s.hash(names)
	if s.started && hash == s.names {
		return false, nil // as requests do that only answer
	}
	named := make(map[string]bool, len(names))
	for _, name := range names {
		named[name] = true
	}
	if err := s.room(maps.Keys(named)); err != nil {
		return false, err
	}
	s.names = hash
	s.expect(len(names))
	s.begin(len(names) == 0)
	if len(names) > 0 || s.explicit {
		s.explicit = s.explicit || len(names) > 0
		s.setWildcard(named[wildcardName])
	}
	delete(named, wildcardName)
	for name, w := range s.watches {
		if w.named && !named[name] {
			s.unsubscribe(w, false)
		}
	}
	for name := range named {
		if w := s.watch(name); !w.named {
			s.subscribe(w)
		}
	}
	return true, nil
}

// adjust changes the subscription as a request in incremental xDS does. Known are the versions of resources
// that the client brought from an earlier stream; they count with the first request only. Cache.mu is held.
func (s *subscription) adjust(subscribe, unsubscribe []string, known map[string]string) error {
	first := !s.started
	if !first {
		known = nil
	}
	if err := s.room(slices.Values(subscribe), maps.Keys(known)); err != nil {
		return err
	}
	s.expect(len(subscribe))
	s.begin(len(subscribe) == 0)
	for _, name := range subscribe {
		s.explicit = true
		if name == wildcardName {
			s.setWildcard(true)
			continue
		}
		s.subscribe(s.watch(name))
	}
	for _, name := range unsubscribe {
		if name == wildcardName {
			s.setWildcard(false)
			continue
		}
		if w := s.watches[name]; w != nil && w.named {
			// Beside a wildcard the client keeps the resource, and wants to hear whether the wildcard selects it.
			s.unsubscribe(w, s.wild)
		}
	}
	for name, version := range known {
		s.resume(name, version)
	}
	return nil
}

// room says why there is no room for more names; nil: there is. Cache.mu is held.
func (s *subscription) room(names ...iter.Seq[string]) error {
	if s.client.meter == nil {
		return nil
	}
	bytes := 0
	for _, some := range names {
		for name := range some {
			if s.watches[name] == nil {
				bytes += NameBytes(name)
			}
		}
	}
	if bytes == 0 {
		return nil
	}
	return s.client.meter.Room(bytes)
}

// hash tells sets of names apart without keeping them, in whatever order they come. It takes no lock.
func (s *subscription) hash(names []string) uint64 {
	sum := uint64(len(names))
	for _, name := range names {
		sum += maphash.String(s.client.cache.seed, name)
	}
	return sum
}

// expect makes room for so many watches, where there are none: a client that comes back with a thousand names holds up
// the others less. Cache.mu is held.
func (s *subscription) expect(names int) {
	if len(s.watches) == 0 {
		s.watches, s.spare = make(map[string]*watch, names), make([]watch, names)
	}
}

// begin handles the first request: without names it means everything, for the types that have that. Cache.mu is held.
func (s *subscription) begin(nameless bool) {
	if s.started {
		return
	}
	s.started = true
	if nameless && s.typ.AllRequiredInSotW() {
		s.setWildcard(true)
	}
}

// subscribe follows a name. The protocol wants an answer even if the client has been sent it before: "the
// server must respond with all resources listed in resource_names_subscribe, even if it believes
// the client has the most recent version of them". Cache.mu is held.
func (s *subscription) subscribe(w *watch) {
	s.named += count(!w.named)
	w.named, w.mustRespond, s.requested = true, true, true
	w.refresh()
	w.enqueue()
}

// unsubscribe follows a name no longer, unless the wildcard selects it. Cache.mu is held.
func (s *subscription) unsubscribe(w *watch, mustRespond bool) {
	w.named, w.mustRespond = false, mustRespond
	s.named--
	s.reconsider(w)
}

// reconsider looks again at a watch that lost a reason to be. Cache.mu is held.
func (s *subscription) reconsider(w *watch) {
	w.refresh()
	if !w.subscribed() && !w.mustRespond {
		w.record(nil) // the client has forgotten it by itself
		s.forget(w)
		return
	}
	s.requested = true
	w.enqueue()
}

// resume takes the client's word for what it has of a name. Cache.mu is held.
func (s *subscription) resume(name, version string) {
	w := s.watches[name]
	if w == nil {
		if !s.wild {
			return
		}
		w = s.watch(name) // gone while the client was away: watched until that is said
	}
	has := &Entry{key: w.topic.key, version: version}
	if w.current != nil && w.current.version == version {
		has = w.current
	}
	w.record(has)
	w.mustRespond = false
	w.answered(w.response, acked)
	w.enqueue()
}

// setWildcard subscribes to everything, or no longer. Cache.mu is held.
func (s *subscription) setWildcard(wild bool) {
	if wild == s.wild {
		return
	}
	c, selector := s.client.cache, s.client.scope.Everything
	s.wild = wild
	if !wild {
		s.client.countWildcards(-1)
		c.wildcards[s.typ].remove(selector, s)
		for _, w := range s.watches {
			if w.wild {
				w.wild = false
				s.reconsider(w)
			}
		}
		return
	}
	s.mustRespond, s.requested = true, true
	s.client.countWildcards(1)
	if !s.typ.AllRequiredInSotW() {
		return
	}
	c.wildcards[s.typ].add(selector, s)
	for o := range c.namespaces[selector.Namespace] {
		for k, e := range o.entries {
			if k.typ == s.typ {
				s.pick(e)
			}
		}
	}
}

// pick follows a resource because the wildcard selects it. Cache.mu is held.
func (s *subscription) pick(e *Entry) {
	if !e.wildcard || !s.client.scope.selects(e) {
		return
	}
	w := s.watch(e.name)
	w.wild = true
	w.refresh()
}

// watch is the watch of a name, which is made if there is none. Cache.mu is held.
func (s *subscription) watch(name string) *watch {
	w := s.watches[name]
	if w == nil {
		w = s.blank()
		w.sub, w.topic, w.inQueue = s, s.client.cache.topic(key{s.typ, name}), notQueued
		w.topic.join(w)
		s.watches[w.topic.name] = w
		s.client.use(NameBytes(name))
	}
	return w
}

// blank is a new watch. Cache.mu is held.
func (s *subscription) blank() *watch {
	if len(s.spare) == 0 {
		return &watch{}
	}
	w := &s.spare[0]
	s.spare = s.spare[1:]
	return w
}

// forget ends a watch. Cache.mu is held.
func (s *subscription) forget(w *watch) {
	delete(s.watches, w.topic.name)
	s.client.use(-NameBytes(w.topic.name))
	w.topic.leave(w)
	s.client.cache.removeIfEmpty(w.topic)
	if w.inQueue == notQueued {
		return
	}
	last := s.queue[len(s.queue)-1]
	s.queue[w.inQueue], last.inQueue = last, w.inQueue
	s.queue[len(s.queue)-1] = nil
	s.queue = s.queue[:len(s.queue)-1]
	w.inQueue = notQueued
}

// whole says whether a response lists all resources of the type, so that what is missing from it is gone.
// It takes no lock.
func (s *subscription) whole() bool {
	return s.client.protocol == StateOfTheWorld && s.typ.AllRequiredInSotW()
}

// all are the resources of the type that the client was sent. Cache.mu is held.
func (s *subscription) all() []*Entry {
	entries := make([]*Entry, 0, len(s.watches))
	for _, w := range s.watches {
		if w.sent != nil {
			entries = append(entries, w.sent)
		}
	}
	return entries
}
