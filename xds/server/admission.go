package server

import (
	"fmt"
	"sync"
)

// admission counts streams, in all and for each identity.
type admission struct {
	limits Limits

	mu         sync.Mutex
	streams    int
	identities map[string]int
}

// enter admits a stream, or says why not. Leave must be called at its end.
func (a *admission) enter(identity string) (leave func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.streams >= a.limits.Streams {
		return nil, fmt.Errorf("%d streams are open, which is the limit of this replica", a.streams)
	}
	if open := a.identities[identity]; open >= a.limits.StreamsPerIdentity {
		return nil, fmt.Errorf("%d streams of %s are open, which is the limit", open, identity)
	}
	a.streams++
	a.identities[identity]++
	return func() { a.leave(identity) }, nil
}

func (a *admission) leave(identity string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams--
	if a.identities[identity]--; a.identities[identity] == 0 {
		delete(a.identities, identity)
	}
}
