package signals

import (
	"sync"
	"time"
)

// Health says how well a source can be read.
type Health struct {
	// LastSuccess is when it was last read, in whole or in part; zero: never.
	LastSuccess time.Time
	// LastError is what went wrong last, since the last look at which nothing did.
	LastError string
	// Failures counts the looks since LastSuccess, all of which failed.
	Failures int
}

// health keeps a Health.
type health struct {
	mu  sync.Mutex
	now Health
}

// Health implements Source.
func (h *health) Health() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *health) failed(message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.LastError = message
	h.now.Failures++
}

// succeeded notes a look that worked; complaint is what went wrong with a part of it.
func (h *health) succeeded(when time.Time, complaint string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = Health{LastSuccess: when, LastError: complaint}
}
