package cache

import "time"

// watch is one resource name of a client: subscribed to, or known to the client and not yet said to be gone.
type watch struct {
	sub   *subscription
	topic *topic
	// inTopic and inQueue are its places there; inQueue is notQueued when it is not.
	inTopic, inQueue int32

	// named: the client subscribed to the name. wild: its wildcard selects what bears the name.
	named, wild bool
	// mustRespond: the protocol wants the name in the next response, whether or not it changed.
	mustRespond bool
	// changed: a change has put it into the queue, not a request of the client.
	changed bool
	// has: the client has acknowledged a version of it, and was not told since that it is gone.
	has bool
	// answer is the client's to what was sent last.
	answer answer

	// current is what the client should have, sent what it was sent last. Nil: nothing.
	current, sent *Entry
	// response is the number of the response in which it was sent last.
	response uint64
	// since is when it came into the queue.
	since time.Duration
}

const notQueued = -1

// answer is what a client has said of a resource that it was sent.
type answer uint8

const (
	unanswered answer = iota
	acked
	nacked
)

// state is what decides about the next response. The other fields of a watch are where, when and for whom.
type state struct {
	// subscribed: by name or by wildcard.
	subscribed bool
	// exists: there is such a resource, and the client may read it.
	exists bool
	sent   sent
	// mustRespond as in watch.
	mustRespond bool
}

// sent is what a client was sent last under a name.
type sent uint8

const (
	nothing sent = iota
	older        // something else than there is now
	newest
)

// action is what the next response says of a name.
type action uint8

const (
	// none: the response does not mention it.
	none action = iota
	// update: the response holds the resource.
	update
	// remove: the response says that what the client has is gone. It waits for all updates.
	remove
	// absent: the response says at once that there is no such resource.
	absent
	// forget: none, and the client has forgotten the name as well.
	forget
)

// actionOf is the table of what is said to a client, for each state of a name. A dash stands for either.
//
//	subscribed | exists | was sent | must respond | action
//	-----------|--------|----------|--------------|-------
//	yes        | yes    | newest   | no           | none
//	yes        | yes    | newest   | yes          | update
//	yes        | yes    | older    | -            | update
//	yes        | yes    | nothing  | -            | update
//	yes        | no     | nothing  | no           | none
//	yes        | no     | nothing  | yes          | absent
//	yes        | no     | older    | -            | remove
//	no         | no     | nothing  | no           | forget
//	no         | no     | nothing  | yes          | absent
//	no         | no     | older    | no           | remove
//	no         | no     | older    | yes          | absent
//
// Nothing exists for who is not subscribed, and what does not exist cannot be the newest. A name that is not subscribed to is
// there because a wildcard selected it until it was gone (remove), or because the client unsubscribed it beside a wildcard that does
// not select it: "the server must respond with removed_resources" (absent).
func actionOf(s state) action {
	switch {
	case s.exists && (s.sent != newest || s.mustRespond):
		return update
	case s.exists:
		return none
	case s.mustRespond && (s.sent == nothing || !s.subscribed):
		return absent
	case s.sent != nothing:
		return remove
	case s.subscribed:
		return none
	default:
		return forget
	}
}

// state is that of the table. Cache.mu is held.
func (w *watch) state() state {
	s := state{subscribed: w.subscribed(), exists: w.current != nil, mustRespond: w.mustRespond}
	switch w.sent {
	case nil:
	case w.current:
		s.sent = newest
	default:
		s.sent = older
	}
	return s
}

// subscribed says whether the client follows the name. Cache.mu is held.
func (w *watch) subscribed() bool { return w.named || w.wild }

// visible says whether the client may have e under this name. One that asks for everything of an owner means that
// owner's with its names too, and never gets those of another instead. Cache.mu is held.
func (w *watch) visible(e *Entry) bool {
	cl := w.sub.client
	if cl.wildcards > 0 {
		return cl.scope.selects(e) && (w.named || w.wild && e.wildcard)
	}
	return w.named && cl.scope.Reads(e.namespace())
}

// refresh finds out what the client should have now. Cache.mu is held.
func (w *watch) refresh() {
	var current *Entry
	for _, e := range w.topic.entries {
		if w.visible(e) {
			current = e
			break
		}
	}
	if current == w.current {
		return
	}
	w.update(func() {
		w.current = current
		w.wild = w.wild && current != nil // a wildcard picks what bears the name anew
		if current != nil && w.sent != nil && current.version == w.sent.version {
			w.sent = current // removed and made again: the client has it, and what it said of it holds
		}
	})
	w.enqueue()
}

// update has f change the watch, and keeps the counts of the owners right. Cache.mu is held.
func (w *watch) update(f func()) {
	cl, before, owned := w.sub.client, w.counts(), w.current
	f()
	after := w.counts()
	if w.current == owned {
		cl.count(owned, after.minus(before))
		return
	}
	// The new one is counted before the old one is not, so that a change within one owner never looks like the end of its use.
	cl.count(w.current, after)
	cl.count(owned, counts{}.minus(before))
}

// counts is what the watch adds to its owners' counts. Cache.mu is held.
func (w *watch) counts() counts {
	if w.current == nil {
		return counts{}
	}
	answered := w.sent == w.current
	return counts{
		resources: 1,
		unacked:   count(!answered || w.answer != acked),
		nacked:    count(answered && w.answer == nacked),
		cold:      count(w.sub.typ == Clusters && !w.has && !(answered && w.answer == nacked)),
	}
}

// answered notes what the client says of the response of that number. Cache.mu is held.
func (w *watch) answered(response uint64, a answer) {
	if response < w.response || w.sent == nil {
		return // it has been sent something else since
	}
	if w.answer == acked {
		return // a response that lists all repeats what was accepted before
	}
	w.update(func() {
		w.answer = a
		w.has = w.has || a == acked
	})
}

// record notes that the next response brings the client e, or that the client no longer has anything. Cache.mu is held.
func (w *watch) record(e *Entry) {
	w.response = w.sub.client.responses + 1
	if e == w.sent {
		return
	}
	w.sub.digest.subtract(w.sent)
	w.sub.digest.add(e)
	w.update(func() {
		w.sent, w.answer = e, unanswered
		w.has = w.has && e != nil
	})
}

// enqueue has the watch looked at before the next response. Cache.mu is held.
func (w *watch) enqueue() {
	c := w.sub.client.cache
	if w.inQueue == notQueued {
		w.inQueue = int32(len(w.sub.queue)) //nolint:gosec // far fewer names than that fit into memory
		w.sub.queue = append(w.sub.queue, w)
		w.since, w.changed = c.elapsed, false
	}
	if c.changing && !w.changed {
		w.since, w.changed = c.elapsed, true
	}
	w.sub.client.wake()
}
