package cache

import (
	"slices"
	"strings"
)

// Answer is what a client says about a response.
type Answer struct {
	// Nonce is the response's.
	Nonce string
	// Refusal holds the client's words if it refused the response.
	Refusal string
	// Refused: the client refused.
	Refused bool
}

// Current says whether a request of state-of-the-world xDS answers the latest response of its type, or precedes
// the first. What another says of names is out of date: the client says it again in its answer to the latest.
func (cl *Client) Current(t Type, nonce string) bool {
	cl.cache.mu.Lock()
	defer cl.cache.mu.Unlock()
	latest := cl.subs[t].latest
	return latest == "" || latest == nonce
}

// Answer notes an answer. Responses before it count as accepted if they were not answered by themselves: a
// client may answer several at once. An answer to a response that is not remembered means nothing.
func (cl *Client) Answer(t Type, a Answer) {
	c := cl.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &cl.subs[t]
	i := slices.IndexFunc(s.flights, func(f flight) bool { return nonce(f.number) == a.Nonce })
	if i < 0 {
		return
	}
	for _, earlier := range s.flights[:i] {
		s.accepted(earlier)
	}
	if a.Refused {
		s.refused(s.flights[i], a.Refusal)
	} else {
		s.accepted(s.flights[i])
	}
	s.flights = slices.Delete(s.flights, 0, i+1)
	cl.wake()
}

func (s *subscription) accepted(f flight) {
	for _, e := range f.entries {
		if w := s.watches[e.name]; w != nil {
			w.answered(f.number, true)
		}
	}
}

// refused parks what was refused: it counts as sent, so that it is not sent again before it changes.
//
// The client may say which resources are at fault. Of a whole response it has then taken the others: both Envoy
// and gRPC go through clusters and listeners one by one. Of another it may have taken none, so those of other owners are sent
// again without the ones at fault. That ends: each time the response becomes smaller.
func (s *subscription) refused(f flight, words string) {
	guilty := f.guilty(words)
	told := map[*owner]bool{}
	for _, e := range f.entries {
		w := s.watches[e.name]
		if w == nil || f.number < w.number || w.sent == nil {
			continue
		}
		innocent := len(guilty) > 0 && !slices.ContainsFunc(e.owners, func(o *owner) bool { return guilty[o] })
		switch {
		case innocent && s.whole():
			w.answered(f.number, true)
		case innocent:
			w.asked = true
			w.enqueue()
		case !w.acked: // a whole response repeats what was accepted before
			w.answered(f.number, false)
			s.tell(e, words, told)
		}
	}
}

// guilty are the owners of the resources that the client's words name.
func (f flight) guilty(words string) map[*owner]bool {
	guilty := map[*owner]bool{}
	for _, e := range f.entries {
		if !strings.Contains(words, e.name) {
			continue
		}
		for _, o := range e.owners {
			guilty[o] = true
		}
	}
	return guilty
}

// tell has the owners of a refused resource hear the client's words, each once.
func (s *subscription) tell(e *Entry, words string, told map[*owner]bool) {
	for _, o := range e.owners {
		if !told[o] {
			told[o] = true
			s.client.cache.nacked(o, Refusal{Node: s.client.node, Type: s.typ, Version: e.version, Words: words})
		}
	}
}
