package cache

import (
	"slices"
	"strconv"
	"time"
)

// Push is a response to a client.
type Push struct {
	Type  Type
	Nonce string
	// Version is the hash of all resources of the type that the client then has.
	Version string
	// Entries, in no order, are the resources that the response holds: those that are new to the client, or all when a whole
	// response says what there is.
	Entries []*Entry
	// Removed names what is not there any more, or never was; incremental xDS only.
	Removed []string
	// ChangedAt is when the cache was changed, for the first of the changes in it; zero: the client asked.
	ChangedAt time.Time
}

// maxPushBytes bounds a response: gRPC's clients take messages of up to 4 MiB. What is more comes in the next. A
// whole response cannot be split.
const maxPushBytes = 1 << 20

// maxFlights bounds how many unanswered responses of a type are remembered. A client that answers
// none of so many is counted as not having acknowledged the earlier ones.
const maxFlights = 64

// flight is a response that has not been answered.
type flight struct {
	number  uint64
	sent    time.Time
	entries []*Entry
}

// Next is the next response for the client, or nil if there is none now. Then again is when to ask next even if
// Ready is silent; zero: never.
func (cl *Client) Next() (push *Push, again time.Time) {
	c := cl.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.synced || cl.closed {
		return nil, time.Time{}
	}
	now := c.clock.Now()
	cl.settle(now)
	if push = cl.next(now); push != nil {
		return push, time.Time{}
	}
	if !cl.pending() {
		cl.changedAt = time.Time{}
		return nil, cl.settled
	}
	if again = cl.hold(Clusters, Listeners, Routes); !again.After(now) {
		again = time.Time{} // what is left waits for something else: the next version of what was refused
	}
	if cl.isNew() && (again.IsZero() || cl.settled.Before(again)) {
		again = cl.settled
	}
	return nil, again
}

// next goes through the types in order. Listeners and routes wait for the clusters to be acknowledged:
// an Envoy acknowledges clusters when they are warm, "providing a signal to ADS to proceed with RDS
// updates" (Envoy, cluster_manager_impl.cc). Removals wait for everything.
func (cl *Client) next(now time.Time) *Push {
	for t := range typeCount {
		if t >= Listeners && cl.held(now, Clusters) {
			return nil
		}
		if push := cl.subs[t].update(now); push != nil {
			return push
		}
	}
	if cl.held(now, Clusters, Listeners, Routes) {
		return nil
	}
	for _, t := range removalOrder {
		if push := cl.subs[t].remove(now); push != nil {
			return push
		}
	}
	return nil
}

// hold is until when an answer to the given types is waited for; zero: none is.
func (cl *Client) hold(types ...Type) time.Time {
	var until time.Time
	for _, t := range types {
		if flights := cl.subs[t].flights; len(flights) > 0 {
			end := flights[len(flights)-1].sent.Add(cl.cache.patience)
			if end.After(until) {
				until = end
			}
		}
	}
	return until
}

func (cl *Client) held(now time.Time, types ...Type) bool { return now.Before(cl.hold(types...)) }

func (cl *Client) pending() bool {
	for t := range cl.subs {
		if len(cl.subs[t].queue) > 0 {
			return true
		}
	}
	return false
}

// update is the response with what is new to the client.
func (s *subscription) update(now time.Time) *Push {
	news := s.collect()
	push := &Push{Type: s.typ, Entries: news.entries}
	switch {
	case s.whole():
		if len(news.entries) == 0 && !news.answer {
			return nil
		}
		push.Entries = s.all()
	case s.client.protocol == StateOfTheWorld:
		if len(news.entries) == 0 {
			return nil // what is absent is not mentioned
		}
	default:
		if len(news.entries) == 0 && !news.answer {
			return nil
		}
		push.Removed = news.absent
	}
	return s.launch(push, now)
}

// news is what a client has to be told.
type news struct {
	entries []*Entry
	// absent names do not exist; the client asked.
	absent []string
	// answer: the client waits for a response, even an empty one.
	answer bool
}

// collect takes news from the queue. What is to be removed stays in it, and what is too much for one response.
func (s *subscription) collect() news {
	n, size := news{answer: s.answer}, 0
	s.answer = false
	s.drain(func(w *watch) (done bool) {
		switch {
		case w.need == nil && w.sent != nil:
			return false
		case w.need == nil && w.asked:
			n.absent, n.answer = append(n.absent, w.topic.name), true
		case w.need == nil, w.need == w.sent && !w.asked:
			// Nothing new, after all.
		case size >= maxPushBytes && !s.whole():
			return false
		default:
			size += w.need.size()
			n.entries = append(n.entries, w.need)
			w.move(w.need)
		}
		return true
	})
	return n
}

// drain shows each watch in the queue to f and keeps those that are not done.
func (s *subscription) drain(f func(*watch) (done bool)) {
	left := s.queue[:0]
	for _, w := range s.queue {
		if s.forgotten(w) {
			continue
		}
		if !f(w) {
			left = append(left, w)
			continue
		}
		w.due, w.asked = false, false
		if w.need == nil && !w.named {
			s.forget(w)
		}
	}
	clear(s.queue[len(left):])
	s.queue = left
}

// remove is the response without what is not there any more.
func (s *subscription) remove(now time.Time) *Push {
	push := &Push{Type: s.typ}
	s.drain(func(w *watch) (done bool) {
		if w.need != nil || s.keeps(w) {
			return false
		}
		if s.tellsRemovals() {
			push.Removed = append(push.Removed, w.topic.name)
			w.move(nil)
		}
		return true
	})
	if len(push.Removed) == 0 {
		return nil
	}
	if s.whole() {
		push.Entries, push.Removed = s.all(), nil
	}
	return s.launch(push, now)
}

// keeps says that a cluster or assignment must stay: the client refused the listener or route that does
// without it, and still uses the one before.
func (s *subscription) keeps(w *watch) bool {
	if s.typ != Clusters && s.typ != Assignments {
		return false
	}
	return slices.ContainsFunc(w.sent.owners, func(o *owner) bool {
		u := s.client.uses[o]
		return u != nil && u.wrong > 0
	})
}

// tellsRemovals says whether a response can say that a resource is gone. Otherwise the client has it until nothing
// refers to it any more, and its name is no longer asked for.
func (s *subscription) tellsRemovals() bool {
	return s.client.protocol == Incremental || s.typ.Whole()
}

func (s *subscription) whole() bool {
	return s.client.protocol == StateOfTheWorld && s.typ.Whole()
}

// all is what the client has of the type.
func (s *subscription) all() []*Entry {
	entries := make([]*Entry, 0, len(s.watches))
	for _, w := range s.watches {
		if w.sent != nil {
			entries = append(entries, w.sent)
		}
	}
	return entries
}

func (s *subscription) launch(push *Push, now time.Time) *Push {
	cl := s.client
	cl.responses++
	push.Nonce = nonce(cl.responses)
	push.Version = s.digest.String()
	push.ChangedAt = cl.changedAt
	if len(s.flights) == maxFlights {
		s.flights = slices.Delete(s.flights, 0, 1)
	}
	s.latest = push.Nonce
	s.flights = append(s.flights, flight{number: cl.responses, sent: now, entries: push.Entries})
	return push
}

// nonce is the nonce of a response: its number in the stream.
func nonce(number uint64) string { return strconv.FormatUint(number, 10) }
