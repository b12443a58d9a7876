package server

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
)

// reason is why a client is refused: a label of the metric, and what makes a refusal a known one.
type reason string

const (
	reasonHandshake   reason = "Handshake"
	reasonConnections reason = "TooManyConnections"
	reasonIdentity    reason = "Identity"
	reasonStreams     reason = "TooManyStreams"
	reasonNode        reason = "Node"
	reasonNamespace   reason = "Namespace"
	reasonNames       reason = "TooManyNames"
	reasonMemory      reason = "TooMuchMemory"
	reasonType        reason = "UnknownType"
	reasonMessage     reason = "Message"
)

// Refusals of one client for one reason are said once in refusalInterval. At most maxRefusals are remembered; what is
// beyond is counted and not said.
const (
	refusalInterval = 10 * time.Minute
	maxRefusals     = 4096
)

// refusals counts who is refused and why, and says it once.
type refusals struct {
	log     logr.Logger
	clock   clock.PassiveClock
	metrics *metrics

	mu   sync.Mutex
	said map[refusal]time.Time
}

type refusal struct {
	who string
	why reason
}

// add notes a refusal. Who is the identity, or the address when there is none.
func (r *refusals) add(who string, why reason, err error) {
	r.metrics.refused.WithLabelValues(string(why)).Inc()
	if r.first(refusal{who, why}) {
		r.log.Info("Refused an xDS client", "client", who, "reason", why, "error", err.Error())
	}
}

func (r *refusals) first(what refusal) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if at, ok := r.said[what]; ok && now.Sub(at) < refusalInterval {
		return false
	}
	if len(r.said) >= maxRefusals {
		for old, at := range r.said {
			if now.Sub(at) >= refusalInterval {
				delete(r.said, old)
			}
		}
		if len(r.said) >= maxRefusals {
			return false
		}
	}
	r.said[what] = now
	return true
}
