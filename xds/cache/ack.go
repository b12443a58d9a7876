package cache

import (
	"cmp"
	"slices"
	"strings"
)

// Ack takes the client's word that it accepted the response with that nonce. Responses before it that were not answered by
// themselves count as accepted too: a client may answer several at once. It says whether a response was waiting for that.
func (cl *Client) Ack(t Type, nonce string) bool {
	cl.cache.lock()
	defer cl.cache.mu.Unlock()
	s := &cl.subs[t]
	i := s.find(nonce)
	if i < 0 || cl.closed {
		return false
	}
	s.accepted(s.inFlight[:i+1])
	s.inFlight = slices.Delete(s.inFlight, 0, i+1)
	cl.wake()
	return true
}

// Nack takes the client's word that it refused the response with that nonce; message is what it says of it. Those before count as
// accepted. It says whether a response was waiting for that.
func (cl *Client) Nack(t Type, nonce, message string) bool {
	c, s := cl.cache, &cl.subs[t]
	c.lock()
	i := s.find(nonce)
	if i < 0 {
		c.mu.Unlock()
		return false
	}
	refused := s.inFlight[i]
	c.mu.Unlock()
	// A long message takes a while, and nobody else has to wait for that.
	blamed := blamed(refused.entries, message)

	c.lock()
	defer c.mu.Unlock()
	if cl.closed {
		return false
	}
	if i = s.find(nonce); i >= 0 { // else it was taken together with the next meanwhile
		s.accepted(s.inFlight[:i])
		s.inFlight = slices.Delete(s.inFlight, 0, i+1)
	}
	s.refused(refused, blamed, message)
	cl.wake()
	return true
}

// accepted notes that the client accepted responses. Cache.mu is held.
func (s *subscription) accepted(responses []response) {
	for _, r := range responses {
		for _, e := range r.entries {
			if w := s.watches[e.name]; w != nil {
				w.answered(r.number, acked)
			}
		}
	}
}

// refused parks what was refused: it counts as sent, so that it is not sent again before it changes. Cache.mu is held.
//
// The client may say which resources it blames. Of a response that lists all it has then taken the others: both Envoy
// and gRPC go through clusters and listeners one by one. Of another it may have taken none, so those of other owners are sent
// again without the ones it blames. That ends: each time the response becomes smaller.
func (s *subscription) refused(r response, blamed map[*owner]bool, message string) {
	told := map[*owner]bool{}
	for _, e := range r.entries {
		w := s.watches[e.name]
		if w == nil || r.number < w.response || w.sent == nil {
			continue
		}
		others := len(blamed) > 0 && !slices.ContainsFunc(e.owners, func(o *owner) bool { return blamed[o] })
		switch {
		case others && s.whole():
			w.answered(r.number, acked)
		case others:
			w.mustRespond, s.requested = true, true
			w.enqueue()
		case w.answer != acked: // a response that lists all repeats what was accepted before
			w.answered(r.number, nacked)
			s.tell(e, message, told)
		}
	}
}

// tell has the owners of a refused resource hear what the client says, each once. Cache.mu is held.
func (s *subscription) tell(e *Entry, message string, told map[*owner]bool) {
	for _, o := range e.owners {
		if !told[o] {
			told[o] = true
			s.client.cache.nacked(o, Nack{Node: s.client.node, Type: s.typ, Version: e.version, Message: message})
		}
	}
}

// blamed are the owners of the resources whose names are in a client's message. A name counts where it stands by itself, and where
// no longer one does: "shop/greeter-canary" does not blame "shop/greeter". It takes no lock.
func blamed(entries []*Entry, message string) map[*owner]bool {
	byLength := slices.SortedFunc(slices.Values(entries), func(a, b *Entry) int { return cmp.Compare(len(b.name), len(a.name)) })
	owners := map[*owner]bool{}
	left := []byte(message)
	for _, e := range byLength {
		found := false
		for from := 0; ; {
			at := strings.Index(message[from:], e.name)
			if at < 0 {
				break
			}
			start, end := from+at, from+at+len(e.name)
			from = end
			if left[start] == taken || left[end-1] == taken || !standsAlone(message, start, end) {
				continue
			}
			found = true
			for i := start; i < end; i++ {
				left[i] = taken
			}
		}
		if !found {
			continue
		}
		for _, o := range e.owners {
			owners[o] = true
		}
	}
	return owners
}

// taken marks what a longer name covers. It is in no name.
const taken = 0

// standsAlone says whether message[start:end] is not a part of a longer name. Dots, slashes and colons are in names and after them.
func standsAlone(message string, start, end int) bool {
	before, after := message[:start], message[end:]
	if before != "" && inName(before[len(before)-1]) {
		return false
	}
	if len(before) > 1 && strings.ContainsRune("./", rune(before[len(before)-1])) && inName(before[len(before)-2]) {
		return false
	}
	if after == "" {
		return true
	}
	if inName(after[0]) {
		return false
	}
	return !(len(after) > 1 && strings.ContainsRune("./", rune(after[0])) && inName(after[1]))
}

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
