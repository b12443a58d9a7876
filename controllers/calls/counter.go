package calls

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/signals"
)

const (
	// lookInterval is how often calls are counted.
	lookInterval = time.Second
	// looksAtOnce bounds how many ExposedServices are counted at once.
	looksAtOnce = 8
)

// Counter counts, beside the reconciler, the calls of the ExposedServices that ask for it: a source that is slow must not
// keep anybody from seeing that a backend died. It runs on the leader only, like those who decide.
type Counter struct {
	CounterConfig

	mu      sync.Mutex
	counted map[types.NamespacedName]*countedCalls
}

// CounterConfig is what a Counter is made with.
type CounterConfig struct {
	Clock clock.WithTicker
	// Reader reads Secrets past the cache.
	Reader  client.Reader
	HTTP    *http.Client
	Metrics *metrics.Metrics
	// Asked says what an ExposedService asks to be counted by; nil: nothing.
	Asked func(*v1alpha1.ExposedService) *Source
	// Loads reads what clients report to the xDS servers; nil: there are none.
	Loads signals.LoadReader
	// Wake is told that there is something new.
	Wake *kube.WakeUps
}

// NewCounter counts nothing yet.
func NewCounter(config CounterConfig) *Counter {
	return &Counter{CounterConfig: config, counted: map[types.NamespacedName]*countedCalls{}}
}

// countedCalls are the calls of one ExposedService that nobody has looked at yet.
type countedCalls struct {
	// config tells whether the source is still what is asked for.
	config string
	// source is nil when it cannot be made; invalid says why.
	source  signals.Source
	invalid string
	query   signals.Query
	pending map[string]Count
	// unknown is why nothing is known of the calls of each backend; empty: they are known.
	unknown map[string]string
	// begun are the backends whose last look was the first one. That is no trouble: it is told only if it comes twice.
	begun  map[string]bool
	looked bool
}

// Watch counts the calls of an ExposedService from now on, or no longer when it does not ask for it.
func (c *Counter) Watch(exs *v1alpha1.ExposedService, query func() signals.Query) {
	key := client.ObjectKeyFromObject(exs)
	asked := c.Asked(exs)
	if asked == nil {
		c.Forget(key)
		return
	}
	config, where := asked.config(), query()
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil || have.config != config {
		have = &countedCalls{config: config, pending: map[string]Count{}, unknown: map[string]string{}, begun: map[string]bool{}}
		source, err := c.newSource(exs.Namespace, asked)
		if err != nil {
			have.invalid = err.Error()
		} else {
			have.source = source
		}
		c.counted[key] = have
	}
	have.query = where
}

// Forget counts nothing for an ExposedService any more.
func (c *Counter) Forget(key types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counted[key] != nil {
		delete(c.counted, key)
		c.Metrics.ForgetLooks(key)
	}
}

// credentials reads what a Prometheus server is asked with. Headgate may read no Secret unless
// somebody lets it: the error says how.
func (c *Counter) credentials(ctx context.Context, namespace string, server *prometheusServer) (signals.Credentials, error) {
	var out signals.Credentials
	var err error
	if out.Token, err = kube.SecretKey(ctx, c.Reader, namespace, server.Token); err != nil {
		return out, err
	}
	out.CA, err = kube.SecretKey(ctx, c.Reader, namespace, server.CA)
	return out, err
}

// Start counts until the context ends.
func (c *Counter) Start(ctx context.Context) error {
	ticker := c.Clock.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			c.lookAtAll(ctx)
		}
	}
}

// NeedLeaderElection: what is counted is used by the leader only.
func (c *Counter) NeedLeaderElection() bool { return true }

func (c *Counter) lookAtAll(ctx context.Context) {
	type job struct {
		key    types.NamespacedName
		source signals.Source
		query  signals.Query
	}
	var jobs []job
	c.mu.Lock()
	for key, counted := range c.counted {
		if counted.source != nil {
			jobs = append(jobs, job{key, counted.source, counted.query})
		}
	}
	c.mu.Unlock()
	var group errgroup.Group
	group.SetLimit(looksAtOnce)
	for _, job := range jobs {
		group.Go(func() error {
			reading, err := job.source.Read(ctx, job.query)
			c.Metrics.ObserveLook(job.key, job.source, err)
			if c.add(job.key, job.source, reading) {
				c.Wake.Wake(job.key)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them returns an error
}

// add takes in a reading, and says whether it is news: calls, or that the calls are no longer known,
// or known again.
func (c *Counter) add(key types.NamespacedName, source signals.Source, reading signals.Reading) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil || have.source != source {
		return false
	}
	news := !have.looked
	have.looked = true
	for name, counts := range reading.Backends {
		why := ""
		first := counts.Unknown == signals.UnknownFirstLook
		if !counts.Known() && (!first || have.begun[name]) {
			why = string(counts.Unknown) + ": " + counts.Message
		}
		have.begun[name] = first
		if (why == "") != (have.unknown[name] == "") {
			news = true
		}
		have.unknown[name] = why
		if counts.Known() {
			news = news || counts.Calls > 0
			have.pending[name] = have.pending[name].and(Count{counts: counts, bound: reading.Bound, source: reading.Source})
		}
	}
	return news
}

// Take hands out the calls since the last time.
func (c *Counter) Take(key types.NamespacedName) map[string]Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil {
		return nil
	}
	taken := have.pending
	have.pending = map[string]Count{}
	return taken
}

// GiveBack takes back what was handed out for a decision that came to nothing.
func (c *Counter) GiveBack(key types.NamespacedName, calls map[string]Count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil {
		return
	}
	for name, counted := range calls {
		if later, ok := have.pending[name]; ok {
			counted = counted.and(later)
		}
		have.pending[name] = counted
	}
}

// Condition says whether the calls of the serving backend are counted; nil: nobody asks for it, or
// nobody has looked yet.
func (c *Counter) Condition(exs *v1alpha1.ExposedService) *metav1.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[client.ObjectKeyFromObject(exs)]
	if have == nil || have.source != nil && !have.looked {
		return nil
	}
	condition := &metav1.Condition{Type: v1alpha1.ConditionSignalsAvailable}
	why := have.unknown[exs.Status.Active]
	switch {
	case have.source == nil:
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonSourceInvalid)
		condition.Message = "spec.failover.errors: " + have.invalid
	case why != "":
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonSourceUnknown)
		condition.Message = fmt.Sprintf("the calls of %s cannot be counted (%s): nothing is decided from errors", exs.Status.Active, why)
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, string(v1alpha1.ReasonSourceRead)
		condition.Message = "the calls of " + exs.Status.Active + " are counted by " + have.source.Name()
	}
	return condition
}
