package calls

import (
	"context"
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/rollout"
	"github.com/headgate/headgate/signals"
)

const (
	// lookInterval is how often calls are counted.
	lookInterval = time.Second
	// reportInterval is how long counts wait at most, when nothing hangs on them. Sources' readings hold for longer than that.
	reportInterval = 10 * time.Second
)

// Config is what a Counter is made with.
type Config struct {
	Clock clock.WithTicker
	// HTTP asks pods.
	HTTP *http.Client
	// Prometheus are the Prometheus servers that may be asked.
	Prometheus *Servers
	// Scraper reads the statistics of proxies, for all counters.
	Scraper *signals.Scraper
	// Secret reads a key of a Secret; nil: none is named.
	Secret func(ctx context.Context, namespace string, ref *corev1.SecretKeySelector) ([]byte, error)
	// Metrics are told of every look.
	Metrics Metrics
	// Asked says what an ExposedService asks to be counted by; nil: nothing.
	Asked func(*v1alpha1.ExposedService) *Source
	// Wake tells the reconciler that there is something new.
	Wake func(...types.NamespacedName)

	// work, if set, is told how busy backends are, and says whether that is news. Nothing else is taken in of the looks.
	work func(types.NamespacedName, signals.Work) bool
}

// Metrics are told of looks at sources.
type Metrics interface {
	// ObserveLook is told of each look, and of its error.
	ObserveLook(key types.NamespacedName, source signals.Source, err error)
	// ForgetLooks is told that an ExposedService is no longer looked at.
	ForgetLooks(key types.NamespacedName)
}

// Counter counts, beside the reconciler, the calls of the ExposedServices that ask for it: a source that is slow must not
// keep anybody from seeing that a backend died. It runs on the leader only, like those who decide.
type Counter struct {
	config Config
	turns  *turns
	seed   maphash.Seed

	mu sync.Mutex
	// loads reads what clients report to the xDS servers; nil: there are none.
	loads   signals.LoadReader
	counted map[types.NamespacedName]*counted
}

// NewCounter makes a Counter.
func NewCounter(config Config) *Counter {
	return &Counter{config: config, turns: newTurns(), seed: maphash.MakeSeed(), counted: map[types.NamespacedName]*counted{}}
}

// CountLoads has the Counter read what clients report to the xDS servers.
func (c *Counter) CountLoads(loads signals.LoadReader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loads = loads
}

// counted are the calls of one ExposedService.
type counted struct {
	// config tells whether the source is still what is asked for.
	config string
	// source is nil when it cannot be made; invalid says why, and begins with the path of a field.
	source  signals.Source
	invalid string
	// target is the server that the source asks; empty: it shares none.
	target  string
	query   signals.Query
	pending Counts
	// unknown is why nothing is known of the calls of each backend; empty: they are known.
	unknown map[string]reason
	// unsaid are the backends that have become unknown while counts of theirs waited, which were taken instead of the reason: it is to be
	// told at the next look.
	unsaid map[string]bool
	// begun are the backends whose last look was the first one. That is no trouble: it is told only if it comes twice.
	begun  map[string]bool
	looked bool
	// looking: a look is under way, or waits for its turn.
	looking bool

	// foresight takes the counts in from the last decision on; nil: every look with calls matters.
	foresight *failover.Foresight
	// due: somebody has to decide, and has not yet. Reported is the interval of the last time that somebody did.
	due      bool
	reported int64
}

// Watch counts the calls of an ExposedService from now on, or no longer when it does not ask for it. The query is made
// before anything is locked: it may have to ask the API server.
func (c *Counter) Watch(exs *v1alpha1.ExposedService, query func() signals.Query) {
	key := client.ObjectKeyFromObject(exs)
	asked := c.config.Asked(exs)
	if asked == nil {
		c.Forget(key)
		return
	}
	config, where := asked.config(), query()
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil || have.config != config {
		have = &counted{
			config: config, pending: Counts{}, unknown: map[string]reason{},
			unsaid: map[string]bool{}, begun: map[string]bool{},
		}
		var err error
		if have.source, have.target, err = c.newSource(exs.Namespace, asked); err != nil {
			have.invalid = err.Error()
		}
		c.counted[key] = have
	}
	have.query = where
}

// Forget drops an ExposedService.
func (c *Counter) Forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counted[key] != nil {
		delete(c.counted, key)
		c.config.Metrics.ForgetLooks(key)
	}
}

// Start counts until the context ends.
func (c *Counter) Start(ctx context.Context) error {
	ticker := c.config.Clock.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			c.turns.wait()
			return nil
		case <-ticker.C():
			c.lookAtAll(ctx)
		}
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: what is counted is used by the leader only.
func (*Counter) NeedLeaderElection() bool { return true }

// lookAtAll has each ExposedService looked at whose last look is over. It waits for nobody: while a look hangs, what was
// counted before it is reported as if nothing did, before it is too old to count.
func (c *Counter) lookAtAll(ctx context.Context) {
	var due []types.NamespacedName
	c.mu.Lock()
	for key, have := range c.counted {
		switch {
		case have.source == nil:
			continue
		case have.looking:
			if c.isDue(key, have, false) {
				due = append(due, key)
			}
			continue
		}
		have.looking = true
		c.turns.take(turn{namespace: key.Namespace, target: have.target, run: func() { c.look(ctx, key, have) }})
	}
	c.mu.Unlock()
	if len(due) > 0 {
		c.config.Wake(due...)
	}
}

func (c *Counter) look(ctx context.Context, key types.NamespacedName, have *counted) {
	c.mu.Lock()
	query, gone := have.query, c.counted[key] != have
	c.mu.Unlock()
	if gone || ctx.Err() != nil {
		return
	}
	reading, err := have.source.Read(ctx, query)
	c.config.Metrics.ObserveLook(key, have.source, err)
	if c.add(key, have, reading) {
		c.config.Wake(key)
	}
}

// add takes in a reading, and says whether somebody has to decide by it.
func (c *Counter) add(key types.NamespacedName, have *counted, reading signals.Reading) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	have.looking = false
	if c.counted[key] != have {
		return false
	}
	if c.config.work != nil {
		return c.config.work(key, reading.Work)
	}
	news := have.take(reading)
	return c.isDue(key, have, have.hear(reading, c.config.Clock.Now()) || news)
}

// reason is why nothing is known of the calls of a backend. The zero value: they are known.
type reason struct {
	kind    signals.Unknown
	message string
}

func (r reason) String() string {
	if r.kind == "" {
		return ""
	}
	return string(r.kind) + ": " + r.message
}

// take takes in a reading, and says whether calls are known that were not, or the other way round, or unknown for another reason.
func (h *counted) take(reading signals.Reading) bool {
	news := !h.looked
	h.looked = true
	for name, counts := range reading.Backends {
		var why reason
		first := counts.Unknown == signals.UnknownFirstLook
		if !counts.Known() && (!first || h.begun[name]) {
			why = reason{counts.Unknown, counts.Message}
		}
		h.begun[name] = first
		if why.kind != h.unknown[name].kind || why.kind != "" && h.unsaid[name] {
			news = true
		}
		delete(h.unsaid, name)
		h.unknown[name] = why
		if counts.Known() {
			h.pending.add(name, Count{counts: counts, bound: reading.Bound, source: reading.Source})
		}
	}
	return news
}

// hear says whether the counts of a look make a difference to who decides.
func (h *counted) hear(reading signals.Reading, now time.Time) bool {
	calls := map[string]failover.Calls{}
	some := false
	for name, counts := range reading.Backends {
		if counts.Known() {
			calls[name] = Count{counts: counts, bound: reading.Bound, source: reading.Source}.forFailover()
			some = some || hasEnded(counts)
		}
	}
	if h.foresight == nil {
		return some
	}
	// What is due is not taken in by the foresight, and goes on being due until somebody has decided.
	return !h.due && h.foresight.Hear(calls, now)
}

// isDue says whether the reconciler is to be woken: because of news, because it was and has not decided yet, or to report
// what has come together.
func (c *Counter) isDue(key types.NamespacedName, have *counted, news bool) bool {
	waiting := have.hasCalls()
	have.due = news || waiting && (have.due || have.foresight != nil && c.interval(key) != have.reported)
	return have.due
}

func (h *counted) hasCalls() bool {
	for _, looks := range h.pending {
		for _, look := range looks {
			if hasEnded(look.counts) {
				return true
			}
		}
	}
	return false
}

// hasEnded says whether calls have ended. Those that were given up say as much as others.
func hasEnded(counts signals.Counts) bool { return counts.Calls > 0 || counts.Cancelled > 0 }

// interval counts report intervals. Each ExposedService has its own beginning, so that not all report in the same second.
func (c *Counter) interval(key types.NamespacedName) int64 {
	phase := int64(maphash.Comparable(c.seed, key) % uint64(reportInterval))
	return (c.config.Clock.Now().UnixNano() + phase) / int64(reportInterval)
}

// Take hands out the calls since the last time.
func (c *Counter) Take(key types.NamespacedName) Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil {
		return nil
	}
	taken := have.pending
	for name := range taken {
		have.unsaid[name] = have.unknown[name].kind != ""
	}
	have.pending, have.due = Counts{}, false
	return taken
}

// GiveBack takes back what was handed out for a decision that came to nothing.
func (c *Counter) GiveBack(key types.NamespacedName, counts Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil {
		return
	}
	for name, earlier := range counts {
		later := have.pending[name]
		delete(have.pending, name)
		have.pending.add(name, append(earlier, later...)...)
	}
	have.due = true
}

// Decided tells what was decided by the calls that were handed out, which are taken in by it: the status, and the endpoints that
// were seen. From here on somebody is woken when calls make a difference, and not at each look that has some. It says
// whether those do that were counted since.
func (c *Counter) Decided(exs *v1alpha1.ExposedService, seen failover.Observation) bool {
	status := v1alpha1.ExposedServiceStatus{
		Active: exs.Status.Active, Traffic: rollout.Gather(exs.Status.Traffic), Backends: exs.Status.Backends,
		History: exs.Status.History, Failover: exs.Status.Failover,
	}
	foresight := failover.Foresee(
		&v1alpha1.ExposedServiceSpec{Backends: exs.Spec.Backends, Failover: exs.Spec.Failover}, *status.DeepCopy(), seen)
	c.mu.Lock()
	defer c.mu.Unlock()
	key := client.ObjectKeyFromObject(exs)
	have := c.counted[key]
	if have == nil {
		return false
	}
	have.foresight, have.reported = foresight, c.interval(key)
	have.due = have.hearPending(c.config.Clock.Now())
	return have.due
}

// hearPending has the foresight hear all looks that nobody has taken yet, one after the other.
func (h *counted) hearPending(now time.Time) bool {
	for i := 0; ; i++ {
		calls := map[string]failover.Calls{}
		for name, looks := range h.pending {
			if i < len(looks) {
				calls[name] = looks[i].forFailover()
			}
		}
		if len(calls) == 0 {
			return false
		}
		if h.foresight.Hear(calls, now) {
			return true
		}
	}
}
