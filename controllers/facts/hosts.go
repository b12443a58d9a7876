package facts

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
)

const (
	// HostRefresh is how old an answer may get before the host is looked up again.
	HostRefresh = 30 * time.Second
	// hostTimeout bounds one look-up.
	hostTimeout = 5 * time.Second
	// A host that cannot be resolved is asked for again after firstHostRetry, then each time after twice as
	// long, up to HostRefresh.
	firstHostRetry = time.Second
	// hostsAtOnce bounds how many look-ups are under way.
	hostsAtOnce = 16
)

// Resolver looks up the IP addresses of a host. net.Resolver is one.
type Resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
}

var _ Resolver = (*net.Resolver)(nil)

// Hosts looks up hosts beside those who ask for them, again and again, and wakes them when an answer is
// another one. The last good answer stands for as long as there is no better: a DNS server that fails must not
// take a backend away. It runs on every replica.
type Hosts struct {
	resolver Resolver
	metrics  *metrics.Metrics
	queue    queue.Queue[string]

	mu sync.Mutex
	// known are the hosts that somebody follows, and followed which those of each are.
	known    map[string]*host
	followed map[user][]string
}

// host is what is known of one.
type host struct {
	users map[user]bool
	// answered: a look-up has ended, well or not.
	answered  bool
	addresses []string
}

// NewHosts knows of no host yet. Start looks them up.
func NewHosts(resolver Resolver, clock clock.WithTicker, m *metrics.Metrics) *Hosts {
	return &Hosts{
		resolver: resolver, metrics: m, known: map[string]*host{}, followed: map[user][]string{},
		queue: queue.New[string](firstHostRetry, HostRefresh, clock),
	}
}

// NeedLeaderElection is false: every replica serves clients of its own.
func (h *Hosts) NeedLeaderElection() bool { return false }

// Start looks hosts up until the context ends.
func (h *Hosts) Start(ctx context.Context) error {
	return queue.Serve(ctx, h.queue, hostsAtOnce, h.lookUp)
}

// Addresses are the IP addresses of a host that is followed, sorted; none: it has never been resolved.
// Awaited: its first look-up has not ended.
func (h *Hosts) Addresses(name string) (addresses []string, awaited bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := h.known[name]
	if have == nil {
		return nil, true
	}
	return have.addresses, !have.answered
}

// follow has hosts looked up for somebody, and no others for them.
func (h *Hosts) follow(u user, names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Equal(h.followed[u], names) {
		return
	}
	for _, name := range h.followed[u] {
		if have := h.known[name]; have != nil && !slices.Contains(names, name) {
			delete(have.users, u)
			if len(have.users) == 0 {
				delete(h.known, name)
			}
		}
	}
	delete(h.followed, u)
	if len(names) == 0 {
		return
	}
	h.followed[u] = names
	for _, name := range names {
		if h.known[name] == nil {
			h.known[name] = &host{users: map[user]bool{}}
			h.queue.Add(name)
		}
		h.known[name].users[u] = true
	}
}

// lookUp looks up a host whose turn it is.
func (h *Hosts) lookUp(ctx context.Context, name string) {
	if !h.isFollowed(name) {
		h.queue.Forget(name)
		return
	}
	limited, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	found, err := h.resolver.LookupHost(limited, name)
	if ctx.Err() != nil {
		return // It was broken off, and says nothing.
	}
	h.metrics.CountLookup(err)
	for _, u := range h.note(name, found, err) {
		u.tell()
	}
	if err != nil || len(found) == 0 {
		h.queue.AddRateLimited(name)
		return
	}
	h.queue.Forget(name)
	h.queue.AddAfter(name, HostRefresh)
}

func (h *Hosts) isFollowed(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[name] != nil
}

// note takes in an answer, and returns to whom it is news.
func (h *Hosts) note(name string, found []string, err error) []user {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := h.known[name]
	if have == nil {
		return nil
	}
	news := !have.answered
	have.answered = true
	if err == nil && len(found) > 0 {
		addresses := slices.Compact(slices.Sorted(slices.Values(found)))
		news = news || !slices.Equal(addresses, have.addresses)
		have.addresses = addresses
	}
	if !news {
		return nil
	}
	out := make([]user, 0, len(have.users))
	for u := range have.users {
		out = append(out, u)
	}
	return out
}
