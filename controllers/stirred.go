package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// stirred notes when the first event came since an ExposedService was last looked at, so that the
// time from an event to the route that follows it can be measured.
type stirred struct {
	mu    sync.Mutex
	times map[types.NamespacedName]time.Time
}

func newStirred() *stirred { return &stirred{times: map[types.NamespacedName]time.Time{}} }

func (s *stirred) note(names []types.NamespacedName, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if _, noted := s.times[name]; !noted {
			s.times[name] = now
		}
	}
}

// take returns when the first event came, and forgets it; zero: none did.
func (s *stirred) take(name types.NamespacedName) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.times[name]
	delete(s.times, name)
	return first
}
