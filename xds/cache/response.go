package cache

import (
	"slices"
	"time"
)

// Response is what a client is to be sent.
type Response struct {
	Type  Type
	Nonce string
	// Version is the hash of all resources of the type that the client then has.
	Version string
	// Entries, in no order, are the resources that the response holds: those that are new to the client, or all when the
	// response lists all that there are.
	Entries []*Entry
	// Removed names what is not there any more, or never was; incremental xDS only.
	Removed []string
	// ChangedAt is when the cache was changed, for the first of the changes in it; zero: the client asked.
	ChangedAt time.Time
}

// maxResponseBytes bounds a response: gRPC's clients take messages of up to 4 MiB. What is more comes in the next. A
// response that lists all cannot be split.
const maxResponseBytes = 1 << 20

// Next is the next response for the client, or nil if there is none now. Then again is when to ask next even if
// Ready is silent; zero: never.
func (cl *Client) Next() (r *Response, again time.Time) {
	c := cl.cache
	c.lock()
	defer c.mu.Unlock()
	if !c.synced || cl.closed {
		return nil, time.Time{}
	}
	cl.endNewcomer()
	var wait alarm
	if r = cl.next(&wait); r != nil {
		return r, time.Time{}
	}
	if cl.isNew() {
		wait.at(cl.newUntil)
	}
	if wait == 0 {
		return nil, time.Time{}
	}
	return nil, c.start.Add(time.Duration(wait))
}

// alarm is the first time at which something that waits need not wait any longer; 0: nothing does.
type alarm time.Duration

func (a *alarm) at(t time.Duration) {
	if *a == 0 || t < time.Duration(*a) {
		*a = alarm(t)
	}
}

// next goes through the types in order, and then through the removals, which wait for everything else. Cache.mu is held.
func (cl *Client) next(wait *alarm) *Response {
	for t := range typeCount {
		if r := cl.subs[t].updates(wait); r != nil {
			return r
		}
	}
	busy := cl.isBusy()
	for _, t := range removalOrder {
		if r := cl.subs[t].removals(busy, wait); r != nil {
			return r
		}
	}
	return nil
}

// updates is the response with what is new to the client. Cache.mu is held.
func (s *subscription) updates(wait *alarm) *Response {
	if len(s.queue) == 0 && !s.mustRespond || !s.mayRespond(wait) {
		return nil
	}
	if s.mustRespond && slices.ContainsFunc(s.queue, func(w *watch) bool {
		return actionOf(w.state()) == update && s.comesAfter(w, wait)
	}) {
		return nil // a client that comes back would take for gone what the first response to its wildcard does not list
	}
	news := s.collect(wait)
	if len(news.entries) == 0 && !news.mustRespond {
		return nil
	}
	r := &Response{Type: s.typ, Entries: news.entries, ChangedAt: s.changedAt(news.since)}
	switch {
	case s.whole():
		r.Entries = s.all()
	case s.client.protocol == Incremental:
		r.Removed = news.absent
	case len(news.entries) == 0:
		return nil // what is absent is not mentioned
	}
	return s.launch(r, news.requested)
}

// mayRespond says whether the client may be sent a response of the type now. Cache.mu is held.
func (s *subscription) mayRespond(wait *alarm) bool {
	until := max(s.closed(), s.paced())
	if until <= s.client.cache.elapsed {
		return true
	}
	wait.at(until)
	return false
}

// news is what a client has to be told.
type news struct {
	entries []*Entry
	// absent names do not exist, and the client asked.
	absent []string
	// mustRespond: the client waits for a response, even an empty one. requested: it asked for some of it.
	mustRespond, requested bool
	// since is when the first of the changes among them was made; 0: the client asked for all of them.
	since time.Duration
}

// collect takes news from the queue. What is to be removed stays in it, and so do what is too much for one response and what
// something else has to come before. Cache.mu is held.
func (s *subscription) collect(wait *alarm) news {
	n, size := news{mustRespond: s.mustRespond, requested: s.requested}, 0
	s.mustRespond, s.requested = false, false
	s.drain(func(w *watch) (done bool) {
		switch actionOf(w.state()) {
		case none, forget:
			return true
		case remove:
			return false
		case absent:
			n.absent, n.mustRespond = append(n.absent, w.topic.name), true
			w.record(nil)
			return true
		case update:
			if size >= maxResponseBytes && !s.whole() || s.comesAfter(w, wait) {
				return false
			}
			size += w.current.size()
			n.entries = append(n.entries, w.current)
			if w.changed && (n.since == 0 || w.since < n.since) {
				n.since = w.since
			}
			if s.typ == Clusters && w.sent != nil && w.sent != w.current {
				s.client.endpointsAnew(w.current)
			}
			w.record(w.current)
		}
		return true
	})
	return n
}

// comesAfter says whether something has to come before a resource. Cache.mu is held.
//
//   - Endpoints come after the clusters that use them: an Envoy that gets a cluster warms it up with endpoints that come later, and
//     waits for these.
//   - Listeners and routes wait until new clusters of their owners are acknowledged: an Envoy acknowledges clusters when they are
//     warm, "providing a signal to ADS to proceed with RDS updates" (Envoy, cluster_manager_impl.cc). A cluster of which the client has
//     a version already serves until the next one is warm.
func (s *subscription) comesAfter(w *watch, wait *alarm) bool {
	cl := s.client
	switch s.typ {
	case Endpoints:
		clusters := &cl.subs[Clusters]
		return slices.ContainsFunc(w.current.clusters, func(name string) bool {
			cluster := clusters.watches[name]
			return cluster != nil && cluster.current != nil && cluster.current != cluster.sent && cluster.current.holder == w.current.holder
		})
	case Listeners, Routes:
		until := w.since + cl.cache.patience
		if until <= cl.cache.elapsed || !slices.ContainsFunc(w.current.owners, func(o *owner) bool {
			u := cl.uses[o]
			return u != nil && u.cold > 0
		}) {
			return false
		}
		wait.at(until)
		return true
	default:
		return false
	}
}

// drain shows each watch in the queue to f and keeps those that are not done. Cache.mu is held.
func (s *subscription) drain(f func(*watch) (done bool)) {
	left := s.queue[:0]
	for _, w := range s.queue {
		if !f(w) {
			w.inQueue = int32(len(left)) //nolint:gosec // not more than before
			left = append(left, w)
			continue
		}
		w.inQueue, w.mustRespond = notQueued, false
		if actionOf(w.state()) == forget {
			s.forget(w)
		}
	}
	clear(s.queue[len(left):])
	s.queue = left
}

// removals is the response without what is not there any more. Busy as in isBusy. Cache.mu is held.
func (s *subscription) removals(busy bool, wait *alarm) *Response {
	if len(s.queue) == 0 || !s.mayRespond(wait) {
		return nil
	}
	r, since := &Response{Type: s.typ}, time.Duration(0)
	s.drain(func(w *watch) (done bool) {
		if actionOf(w.state()) != remove || s.removedLater(w, busy, wait) {
			return false
		}
		if !s.tellsRemovals() {
			return true
		}
		r.Removed = append(r.Removed, w.topic.name)
		if w.changed && (since == 0 || w.since < since) {
			since = w.since
		}
		if s.whole() && s.typ == Clusters {
			s.client.endpointsAnew(w.sent)
		}
		w.record(nil)
		return true
	})
	if len(r.Removed) == 0 {
		return nil
	}
	if s.whole() {
		r.Entries, r.Removed = s.all(), nil
	}
	r.ChangedAt = s.changedAt(since)
	return s.launch(r, false)
}

// endpointsAnew has the endpoints of a cluster sent anew. An Envoy that is sent a cluster warms it up with endpoints that come after it,
// even if it is the cluster that it had before the last. A client in state-of-the-world xDS forgets the endpoints of a cluster that it
// is told is gone; should the cluster come back before the client has said that it wants them no longer, it wants them again.
// Cache.mu is held.
func (cl *Client) endpointsAnew(cluster *Entry) {
	w := cl.subs[Endpoints].watches[cluster.endpoints]
	if w == nil || w.sent == nil || w.current == nil && cl.protocol == Incremental {
		return
	}
	w.record(nil)
	w.enqueue()
}

// removedLater says whether a removal has to wait: until all updates have been sent and those of clusters, listeners and routes are answered,
// so that nothing refers to it any more, and while a client uses what it refers to because it refused what comes next. Cache.mu is held.
func (s *subscription) removedLater(w *watch, busy bool, wait *alarm) bool {
	cl := s.client
	if (s.typ == Clusters || s.typ == Endpoints) && slices.ContainsFunc(w.sent.owners, func(o *owner) bool {
		u := cl.uses[o]
		return u != nil && u.nacked > 0
	}) {
		return true
	}
	until := w.since + cl.cache.patience
	if until <= cl.cache.elapsed || !busy {
		return false
	}
	wait.at(until)
	return true
}

// isBusy says whether updates of clusters, listeners or routes wait, or are unanswered. Cache.mu is held.
func (cl *Client) isBusy() bool {
	for _, t := range [...]Type{Clusters, Listeners, Routes} {
		s := &cl.subs[t]
		if last := len(s.inFlight) - 1; last >= 0 && s.inFlight[last].at+cl.cache.patience > cl.cache.elapsed {
			return true
		}
		if slices.ContainsFunc(s.queue, func(w *watch) bool { return actionOf(w.state()) == update }) {
			return true
		}
	}
	return false
}

// tellsRemovals says whether a response can say that a resource is gone. Otherwise the client has it until nothing
// refers to it any more, and its name is no longer asked for. It takes no lock.
func (s *subscription) tellsRemovals() bool {
	return s.client.protocol == Incremental || s.typ.AllRequiredInSotW()
}

// changedAt is the time of a change; zero: there was none. It takes no lock.
func (s *subscription) changedAt(since time.Duration) time.Time {
	if since == 0 {
		return time.Time{}
	}
	return s.client.cache.start.Add(since)
}
