package controllers

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

const (
	// hostRefresh is how old an answer may get before the host is looked up again.
	hostRefresh = 30 * time.Second
	// hostTimeout bounds one look-up, during which a worker of the controller waits.
	hostTimeout = 2 * time.Second
	// maxHosts bounds the memory: so many hosts' answers are remembered.
	maxHosts = 4096
)

// Resolver looks up the IP addresses of a host. net.Resolver is one.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

var _ Resolver = (*net.Resolver)(nil)

// hostResolver remembers answers for hostRefresh, and the last good one for as long as there is no
// better: a DNS server that fails must not take a backend away.
type hostResolver struct {
	resolver Resolver
	clock    clock.PassiveClock
	metrics  *metrics
	mu       sync.Mutex
	answers  *lru.Cache
}

type hostAnswer struct {
	addresses []string
	asked     time.Time
}

func newHostResolver(resolver Resolver, clock clock.PassiveClock, m *metrics) *hostResolver {
	return &hostResolver{resolver: resolver, clock: clock, metrics: m, answers: lru.New(maxHosts)}
}

// addresses are the host's IP addresses, sorted; none: it has never been resolved.
func (h *hostResolver) addresses(ctx context.Context, host string) []string {
	last := h.recall(host)
	if !last.asked.IsZero() && h.clock.Since(last.asked) < hostRefresh {
		return last.addresses
	}
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	found, err := h.resolver.LookupHost(ctx, host)
	h.metrics.countLookup(err)
	answer := hostAnswer{addresses: last.addresses, asked: h.clock.Now()}
	if err == nil && len(found) > 0 {
		answer.addresses = slices.Compact(slices.Sorted(slices.Values(found)))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers.Add(host, answer)
	return answer.addresses
}

func (h *hostResolver) recall(host string) hostAnswer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if value, ok := h.answers.Get(host); ok {
		if answer, ok := value.(hostAnswer); ok {
			return answer
		}
	}
	return hostAnswer{}
}
