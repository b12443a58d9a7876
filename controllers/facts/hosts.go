package facts

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

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
	policy   HostPolicy
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
	answered bool
	HostAnswer
}

// HostAnswer is what is known of a host.
type HostAnswer struct {
	// Addresses are the IP addresses that it resolved to when that last worked, and that may be called, sorted.
	Addresses []string
	// Refused says why the host, or some of its addresses, must not be called; empty: nothing stands against them.
	Refused string
	// Awaited: its first look-up has not ended.
	Awaited bool
}

// NewHosts knows of no host yet. Start looks them up.
func NewHosts(resolver Resolver, policy HostPolicy, clock clock.WithTicker, m *metrics.Metrics) *Hosts {
	return &Hosts{
		resolver: resolver, policy: policy, metrics: m, known: map[string]*host{}, followed: map[user][]string{},
		queue: queue.New[string](firstHostRetry, HostRefresh, clock),
	}
}

// NeedLeaderElection is false: every replica serves clients of its own.
func (h *Hosts) NeedLeaderElection() bool { return false }

// Start looks hosts up until the context ends.
func (h *Hosts) Start(ctx context.Context) error {
	return queue.Serve(ctx, h.queue, hostsAtOnce, h.lookUp)
}

// Answer is what is known of a host that is followed.
func (h *Hosts) Answer(name string) HostAnswer {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := h.known[name]
	if have == nil {
		return HostAnswer{Awaited: true}
	}
	answer := have.HostAnswer
	answer.Awaited = !have.answered
	return answer
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
	found, refused, err := h.ask(limited, name)
	if ctx.Err() != nil {
		return // It was broken off, and says nothing.
	}
	h.metrics.CountLookup(err)
	for _, u := range h.note(name, found, refused, err) {
		u.tell()
	}
	if err != nil || len(found) == 0 && refused == "" {
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

// ask resolves a host, and says which of its addresses may be called and why others may not.
func (h *Hosts) ask(ctx context.Context, name string) (allowed []string, refused string, err error) {
	if refused = h.policy.refuseName(name); refused != "" {
		return nil, refused, nil
	}
	// With the dot no search domain of the pod comes into it, which would find names of the cluster.
	found, err := h.resolver.LookupHost(ctx, strings.TrimSuffix(name, ".")+".")
	if err != nil {
		return nil, "", err
	}
	allowed, refused, err = h.policy.allowedOf(ctx, name, found)
	if err != nil && ctx.Err() == nil {
		logf.FromContext(ctx).Error(err, "A host is left as it is", "host", name)
	}
	return allowed, refused, err
}

// note takes in an answer, and returns to whom it is news.
func (h *Hosts) note(name string, found []string, refused string, err error) []user {
	h.mu.Lock()
	defer h.mu.Unlock()
	have := h.known[name]
	if have == nil {
		return nil
	}
	news := !have.answered
	have.answered = true
	if err == nil && (len(found) > 0 || refused != "") {
		addresses := slices.Compact(slices.Sorted(slices.Values(found)))
		news = news || !slices.Equal(addresses, have.Addresses) || refused != have.Refused
		have.Addresses, have.Refused = addresses, refused
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
