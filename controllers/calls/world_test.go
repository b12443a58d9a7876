package calls

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) ObserveLook(types.NamespacedName, signals.Source, error) {}
func (noMetrics) ForgetLooks(types.NamespacedName)                        {}

// newCounter makes a Counter of the calls that spec.failover.errors asks for, by a clock that stands still.
func newCounter(t *testing.T, wake func(...types.NamespacedName)) *Counter {
	t.Helper()
	fake := clocktesting.NewFakeClock(noon)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	web := &http.Client{Transport: transport}
	return NewCounter(Config{
		Clock: fake, HTTP: web, Prometheus: NewServers(ServersConfig{Addresses: true}, web), Metrics: noMetrics{}, Asked: ErrorSource, Wake: wake,
		Scraper: signals.NewScraper(signals.ScraperConfig{Client: web, Clock: fake, Timeout: 5 * time.Second}),
		Secret:  func(context.Context, string, *corev1.SecretKeySelector) ([]byte, error) { return nil, nil },
	})
}

func (c *Counter) pass(d time.Duration) { c.config.Clock.(*clocktesting.FakeClock).Step(d) }

// counting is an ExposedService whose calls are counted by the default source.
func counting(namespace, name string) *v1alpha1.ExposedService {
	return &v1alpha1.ExposedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ExposedServiceSpec{
			Gateway:  &v1alpha1.Gateway{},
			Backends: []v1alpha1.Backend{{Name: "primary"}, {Name: "backup"}},
			Failover: &v1alpha1.Failover{Errors: &v1alpha1.ErrorBound{MaxPercent: "5"}},
		},
	}
}

// scripted is a source whose looks a test decides about.
type scripted struct {
	signals.Source

	read func(ctx context.Context, query signals.Query) (signals.Reading, error)
}

func (*scripted) Name() string { return "Envoy" }

func (s *scripted) Read(ctx context.Context, query signals.Query) (signals.Reading, error) {
	return s.read(ctx, query)
}

// replace has the calls of an ExposedService counted by a source of the test's.
func (c *Counter) replace(exs *v1alpha1.ExposedService, source signals.Source) {
	c.Watch(exs, func() signals.Query { return signals.Query{} })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counted[client.ObjectKeyFromObject(exs)].source = source
}

// TestSilentSourcesCostTheirOwnersOnly: beside 64 sources that never answer, in the same namespace and in others, one that does is read
// in every interval.
func TestSilentSourcesCostTheirOwnersOnly(t *testing.T) {
	for name, namespace := range map[string]func(i int) string{
		"in its own namespace": func(int) string { return "shop" },
		"in another":           func(int) string { return "noisy" },
		"each in its own":      func(i int) string { return fmt.Sprint("noisy-", i) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			c := newCounter(t, func(...types.NamespacedName) {})
			var mu sync.Mutex
			asked := map[int]int{}
			for i := range 64 {
				c.replace(counting(namespace(i), fmt.Sprint("silent-", i)), &scripted{read: func(ctx context.Context, _ signals.Query) (signals.Reading, error) {
					mu.Lock()
					asked[i]++
					mu.Unlock()
					<-ctx.Done()
					return signals.Reading{}, ctx.Err()
				}})
			}
			read := make(chan struct{})
			c.replace(counting("shop", "good"), &scripted{read: func(context.Context, signals.Query) (signals.Reading, error) {
				read <- struct{}{}
				return signals.Reading{}, nil
			}})
			for range 20 {
				c.lookAtAll(ctx)
				<-read // A test that waits for ever has failed.
				c.until(t, "its look is over", func() bool { return !c.counted[types.NamespacedName{Namespace: "shop", Name: "good"}].looking })
			}
			cancel()
			c.turns.wait()
			for i, n := range asked {
				if n != 1 {
					t.Errorf("source %d was asked again before it had answered: %d times", i, n)
				}
			}
		})
	}
}

// until waits until something is so, under the lock of the Counter.
func (c *Counter) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		so := is()
		c.mu.Unlock()
		if so {
			return
		}
	}
	t.Fatal("never: " + what)
}
