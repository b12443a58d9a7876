package cache

// wildcard is the name that asks for everything (xDS protocol, "How the client specifies what
// resources to return").
const wildcard = "*"

// subscription is what a client follows of one type.
type subscription struct {
	client *Client
	typ    Type

	watches  map[string]*watch
	spare    []watch
	names    uint64 // hash of those in the last request, state of the world only
	started  bool   // there was a request
	explicit bool   // a request named something: no name is no longer everything
	wild     bool
	answer   bool // a response is owed even if there is nothing to say

	queue   []*watch
	flights []flight
	latest  string // nonce of the last response
	digest  digest
}

// replace makes names the subscription, as each request in state-of-the-world xDS does.
func (s *subscription) replace(names []string) {
	hash := s.client.cache.hash(names)
	if s.started && hash == s.names {
		return // as requests do that only answer
	}
	s.names = hash
	s.expect(len(names))
	named := make(map[string]bool, len(names))
	for _, name := range names {
		named[name] = true
	}
	s.begin(len(names) == 0)
	if len(names) > 0 || s.explicit {
		s.explicit = s.explicit || len(names) > 0
		s.setWild(named[wildcard])
	}
	delete(named, wildcard)
	for name, w := range s.watches {
		if w.named && !named[name] {
			w.named = false
			s.settle(w)
		}
	}
	for name := range named {
		if w := s.watch(name); !w.named {
			s.follow(w)
		}
	}
}

// adjust changes the subscription as a request in incremental xDS does. Known are the versions of resources
// that the client brought from an earlier stream; they count with the first request only.
func (s *subscription) adjust(subscribe, unsubscribe []string, known map[string]string) {
	first := !s.started
	s.expect(len(subscribe))
	s.begin(len(subscribe) == 0)
	if !first {
		known = nil
	}
	for _, name := range subscribe {
		s.explicit = true
		if name == wildcard {
			s.setWild(true)
			continue
		}
		s.follow(s.watch(name))
	}
	for _, name := range unsubscribe {
		if name == wildcard {
			s.setWild(false)
			continue
		}
		if w := s.watches[name]; w != nil && w.named {
			w.named = false
			// A wildcard still selects it, perhaps: then the protocol wants to hear of it again.
			w.asked = w.wild
			s.settle(w)
		}
	}
	for name, version := range known {
		s.resume(name, version)
	}
}

// expect makes room for so many watches, where there are none: a client that comes back with a thousand names holds up
// the others less.
func (s *subscription) expect(names int) {
	if len(s.watches) == 0 {
		s.watches, s.spare = make(map[string]*watch, names), make([]watch, names)
	}
}

// begin handles the first request: without names it means everything, for the types that have that.
func (s *subscription) begin(nameless bool) {
	if s.started {
		return
	}
	s.started = true
	if nameless && s.typ.Whole() {
		s.setWild(true)
	}
}

// follow subscribes to a name. The protocol wants an answer even if the client has been sent it before: "the
// server must respond with all resources listed in resource_names_subscribe, even if it believes
// the client has the most recent version of them".
func (s *subscription) follow(w *watch) {
	w.named, w.asked = true, true
	w.refresh()
	w.enqueue()
}

// settle looks again at a watch that lost a reason to be.
func (s *subscription) settle(w *watch) {
	w.refresh()
	if w.unwanted() {
		// The client has forgotten it by itself.
		w.move(nil)
		s.forget(w)
		return
	}
	w.enqueue()
}

// resume takes the client's word for what it has of a name.
func (s *subscription) resume(name, version string) {
	w := s.watches[name]
	if w == nil {
		if !s.wild {
			return
		}
		// Gone while the client was away: watched until that is said.
		w = s.watch(name)
		w.wild = true
	}
	has := &Entry{key: w.topic.key, version: version}
	if w.need != nil && w.need.version == version {
		has = w.need
	}
	w.move(has)
	w.asked = false
	w.answered(w.number, true)
	w.enqueue()
}

// setWild turns the wildcard on or off.
func (s *subscription) setWild(wild bool) {
	if wild == s.wild {
		return
	}
	c, selector := s.client.cache, s.client.scope.Everything
	s.wild = wild
	if !wild {
		s.client.countWildcards(-1)
		c.selections[s.typ].remove(selector, s)
		for _, w := range s.watches {
			if w.wild {
				w.wild = false
				s.settle(w)
			}
		}
		return
	}
	s.answer = true
	s.client.countWildcards(1)
	if !s.typ.Whole() {
		return
	}
	c.selections[s.typ].add(selector, s)
	for o := range c.namespaces[selector.Namespace] {
		for k, e := range o.entries {
			if k.typ == s.typ {
				s.pick(e)
			}
		}
	}
}

// pick follows a resource because the wildcard selects it.
func (s *subscription) pick(e *Entry) {
	if e.audience != Envoy || !s.client.scope.selects(e) {
		return
	}
	w := s.watch(e.name)
	w.wild = true
	w.refresh()
}

// watch is the watch of a name.
func (s *subscription) watch(name string) *watch {
	w := s.watches[name]
	if w == nil {
		w = s.blank()
		w.sub, w.topic = s, s.client.cache.topic(key{s.typ, name})
		w.topic.join(w)
		s.watches[w.topic.name] = w
	}
	return w
}

func (s *subscription) blank() *watch {
	if len(s.spare) == 0 {
		return &watch{}
	}
	w := &s.spare[0]
	s.spare = s.spare[1:]
	return w
}

// forget ends a watch. What is left of it in the queue is skipped there.
func (s *subscription) forget(w *watch) {
	if s.watches[w.topic.name] != w {
		return
	}
	delete(s.watches, w.topic.name)
	w.topic.leave(w)
	s.client.cache.clean(w.topic)
}

func (s *subscription) forgotten(w *watch) bool { return s.watches[w.topic.name] != w }
