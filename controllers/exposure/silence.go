package exposure

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// silences remembers since when data planes have had nothing to say of the newest objects.
type silences struct {
	sync.Mutex
	since map[types.NamespacedName]time.Time
}

func (s *silences) of(key types.NamespacedName) time.Time {
	s.Lock()
	defer s.Unlock()
	return s.since[key]
}

// keep notes it; the zero time ends a silence.
func (s *silences) keep(key types.NamespacedName, since time.Time) {
	s.Lock()
	defer s.Unlock()
	if since.IsZero() {
		delete(s.since, key)
		return
	}
	if s.since == nil {
		s.since = map[types.NamespacedName]time.Time{}
	}
	s.since[key] = since
}
