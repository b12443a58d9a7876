package cache

import (
	"slices"
	"strconv"
	"time"
)

// Flow control. Of each type a client has one response to answer before it is sent the next: what changes meanwhile merges, and a client
// that is slow or far away goes from one state to the newest, and through none of those between. Changes that follow each other
// quickly are sent together even to a client that answers at once.
const (
	// warmingPatience is how long the next clusters wait for an answer to those before. An Envoy withholds it while a cluster warms up,
	// and the change that lets it warm up must come through.
	warmingPatience = time.Second
	// maxInFlight bounds how many responses of a type are remembered one by one. Of a client that answers none, the oldest are
	// taken together: an answer to the later one is an answer to both.
	maxInFlight = 4
	// paceBurst responses to changes may follow each other at once.
	paceBurst = 4
)

// response is one that has not been answered.
type response struct {
	number uint64
	at     time.Duration
	// entries are what it held.
	entries []*Entry
}

// nonce is the nonce of a response: its number in the stream.
func nonce(number uint64) string { return strconv.FormatUint(number, 10) }

// closed says until when the next response of the type has to wait for an answer; not after now: it has not.
// Cache.mu is held.
func (s *subscription) closed() time.Duration {
	if len(s.inFlight) == 0 {
		return 0
	}
	patience := s.client.cache.patience
	if s.typ == Clusters {
		patience = min(patience, warmingPatience)
	}
	return s.inFlight[len(s.inFlight)-1].at + patience
}

// paced says until when changes wait for others that come with them. Cache.mu is held.
func (s *subscription) paced() time.Duration {
	if s.requested {
		return 0
	}
	return s.pace - (paceBurst-1)*s.client.cache.pace
}

// launch makes a response the next one of the stream; requested: not for changes alone. Cache.mu is held.
func (s *subscription) launch(r *Response, requested bool) *Response {
	cl, c := s.client, s.client.cache
	cl.responses++
	r.Nonce, r.Version = nonce(cl.responses), s.digest.String()
	if !requested {
		s.pace = max(s.pace, c.elapsed) + c.pace
	}
	s.inFlight = append(s.inFlight, response{number: cl.responses, at: c.elapsed, entries: r.Entries})
	if len(s.inFlight) > maxInFlight {
		s.inFlight[1].entries = slices.Concat(s.inFlight[0].entries, s.inFlight[1].entries)
		s.inFlight = slices.Delete(s.inFlight, 0, 1)
	}
	return r
}

// find is the response in flight with that nonce; negative: it has been answered, or never was.
// Cache.mu is held.
func (s *subscription) find(of string) int {
	return slices.IndexFunc(s.inFlight, func(r response) bool { return nonce(r.number) == of })
}
