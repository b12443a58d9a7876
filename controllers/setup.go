package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/internal/dial"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/webhook"
)

// Name is Headgate's name where programs are asked for one: it reports events and holds leases.
const Name = "headgate"

// Bounds on how fast a failing ExposedService is tried again.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// reconcileTimeout ends a run that waits for something that does not come, such as a cache that
// has lost its connection.
const reconcileTimeout = time.Minute

const (
	// sourceConnections is how many connections to one source are kept for the next look.
	sourceConnections = 16
	// callsWaiting is how many may wait in line to wake the reconciler, which takes them at once.
	callsWaiting = 64
)

// defaultWorkers is how many ExposedServices are worked on at once.
const defaultWorkers = 4

// Config is what the controllers are made with. The zero value is right in production.
type Config struct {
	// Namespaces limit where Headgate looks; empty: everywhere.
	Namespaces []string
	// Workers is how many ExposedServices are worked on at once; 0: 4.
	Workers int
	// NoRollouts leaves Deployments alone, and all that only their rollouts need: there are no rights to them.
	NoRollouts bool
	// Clock tells the time; nil: the system's.
	Clock clock.WithTicker
	// Transport leads to the sources of call counts; nil: by Dial, whatever proxy the environment names.
	Transport http.RoundTripper
	// Dial connects to what users name: sources of call counts and webhooks of rollouts; nil: to anybody but this pod and what is
	// link-local.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver looks up the hosts of fqdn backends; nil: the system's.
	Resolver Resolver
	// Registerer takes the metrics; nil: the registry that the manager serves.
	Registerer prometheus.Registerer
	// XDS is what the xDS server is made with; nil: there is none.
	XDS *XDSConfig
}

func (c Config) withDefaults() Config {
	if c.Workers == 0 {
		c.Workers = defaultWorkers
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.Dial == nil {
		c.Dial = dial.Public
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{DialContext: c.Dial, MaxIdleConnsPerHost: sourceConnections, IdleConnTimeout: time.Minute}
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Registerer == nil {
		c.Registerer = ctrlmetrics.Registry
	}
	return c
}

// ManagerOptions are the options of a manager that the controllers work with: its scheme, a cache
// without what nobody reads, and reads that see one's own writes. The caller adds the rest.
func ManagerOptions(namespaces []string) (ctrl.Options, error) {
	scheme, err := NewScheme()
	if err != nil {
		return ctrl.Options{}, fmt.Errorf("build the scheme: %w", err)
	}
	options := ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject:         map[client.Object]cache.ByObject{&appsv1.Deployment{}: {Transform: keepPausers}},
		},
		Client:    client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(true)}},
		NewClient: newFreshReads,
	}
	options.Controller.ReconciliationTimeout = reconcileTimeout
	for _, namespace := range namespaces {
		if options.Cache.DefaultNamespaces == nil {
			options.Cache.DefaultNamespaces = map[string]cache.Config{}
		}
		options.Cache.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options, nil
}

// Setup adds the controllers to a manager that was made with ManagerOptions. It asks the API server
// which kinds there are.
func Setup(ctx context.Context, mgr ctrl.Manager, config Config) error {
	_, err := setup(ctx, mgr, config)
	return err
}

func setup(ctx context.Context, mgr ctrl.Manager, config Config) (*exposureReconciler, error) {
	config = config.withDefaults()
	r, err := newExposureReconciler(mgr, config)
	if err != nil {
		return nil, err
	}
	if err := addExposedServiceIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	exposure, err := controller.New("exposure", mgr, controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: config.Workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		// A new leader finds its caches full.
		EnableWarmup: ptr.To(true),
	})
	if err != nil {
		return nil, fmt.Errorf("make the exposure controller: %w", err)
	}
	w := &watcher{mgr: mgr, exposure: exposure, mapper: mapper{
		cache: mgr.GetCache(), names: r.names, stirred: r.stirred, clock: config.Clock,
	}}
	kindsChanged := make(chan event.GenericEvent, 1)
	changed := []chan<- event.GenericEvent{kindsChanged}
	if err := w.watchAlways(kindsChanged, r.callsCounted); err != nil {
		return nil, err
	}
	if config.XDS != nil {
		xdsKindsChanged := make(chan event.GenericEvent, 1)
		changed = append(changed, xdsKindsChanged)
		if err := setupXDS(mgr, config, r, w, xdsKindsChanged); err != nil {
			return nil, fmt.Errorf("set up xDS: %w", err)
		}
	}
	for _, runnable := range []manager.Runnable{r.calls, r.compared, r.webhooks, r.config} {
		if err := mgr.Add(runnable); err != nil {
			return nil, fmt.Errorf("add who counts calls, asks webhooks and watches configuration: %w", err)
		}
	}
	watched, err := w.watchServed(ctx, r)
	if err != nil {
		return nil, err
	}
	return r, addKindsController(mgr, &kindsReconciler{
		cache: mgr.GetCache(), mapper: mgr.GetRESTMapper(), kinds: r.kinds, clock: config.Clock,
		watch: w.watch, watched: watched, changed: changed, metrics: r.metrics,
	})
}

func newExposureReconciler(mgr ctrl.Manager, config Config) (*exposureReconciler, error) {
	m := newMetrics()
	if err := m.register(config.Registerer, mgr.GetCache()); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	callsCounted := make(chan event.GenericEvent, callsWaiting)
	sources := &http.Client{Transport: config.Transport}
	scraper := signals.NewScraper(signals.ScraperConfig{Client: sources, Clock: config.Clock, Scraped: m.observeScrape})
	counter := func(asked func(*v1alpha1.ExposedService) *calls.Source) *calls.Counter {
		return calls.NewCounter(calls.Config{
			Clock: config.Clock, HTTP: sources, Scraper: scraper, Metrics: m, Asked: asked, Wake: callsCounted,
			Secret: func(ctx context.Context, namespace string, ref *corev1.SecretKeySelector) ([]byte, error) {
				return secretKey(ctx, mgr.GetAPIReader(), namespace, ref)
			},
		})
	}
	configs, err := client.NewWithWatch(mgr.GetConfig(), client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	var off []kind
	if config.NoRollouts {
		off = rolloutKinds()
	}
	kinds := newServedKinds(off)
	return &exposureReconciler{
		calls: counter(calls.ErrorSource), compared: counter(calls.ComparedSource),
		queries: calls.Queries{Reader: mgr.GetClient(), ProxyIndex: indexProxies},
		config:  newConfigTracker(configs, callsCounted),
		webhooks: newWebhookAsker(
			mgr.GetAPIReader(), webhook.Client{Clock: config.Clock, Dial: config.Dial}, config.Clock, m, callsCounted),
		callsCounted: callsCounted, stirred: newStirred(),
		client: mgr.GetClient(), reader: mgr.GetAPIReader(), clock: config.Clock,
		kinds: kinds, names: newTakenNames(), metrics: m,
		facts: factReader{
			client: mgr.GetClient(), kinds: kinds, clock: config.Clock,
			probes: newProbeReader(mgr.GetAPIReader()), hosts: newHostResolver(config.Resolver, config.Clock, m),
		},
		namespaces: config.Namespaces,
		events:     eventWriter{recorder: mgr.GetEventRecorder(Name)},
	}, nil
}

// watcher starts the watches of the exposure controller.
type watcher struct {
	mgr      ctrl.Manager
	exposure controller.Controller
	mapper   mapper
	// feed is the controller of the xDS feed; nil: there is none.
	feed controller.Controller
}

// watchAlways watches what every cluster has: ExposedServices, for themselves and for those that
// they may be in the way of, the news that a kind has come or gone, and that calls were counted.
func (w *watcher) watchAlways(kindsChanged, callsCounted <-chan event.GenericEvent) error {
	specChanged := predicate.GenerationChangedPredicate{}
	return errors.Join(
		w.exposure.Watch(source.Kind[client.Object](w.mgr.GetCache(), &v1alpha1.ExposedService{}, &handler.EnqueueRequestForObject{},
			predicate.Or(decisionMatters(), clientsMatter(), peopleSpoke()))),
		w.exposure.Watch(source.Kind[client.Object](w.mgr.GetCache(), &v1alpha1.ExposedService{}, w.mapper.rivals(), specChanged)),
		w.exposure.Watch(source.Channel(kindsChanged, w.mapper.all())),
		w.exposure.Watch(source.Channel(callsCounted, &handler.EnqueueRequestForObject{})),
	)
}

// watchServed watches the kinds that are there now, so that the first run waits for them to be in
// the cache; it returns which they are.
func (w *watcher) watchServed(ctx context.Context, r *exposureReconciler) (map[schema.GroupVersionKind]bool, error) {
	watched := map[schema.GroupVersionKind]bool{}
	definitions := map[string]bool{}
	for _, k := range allKinds {
		if r.kinds.isOff(k) {
			continue
		}
		served := !k.optional()
		// One version of a kind is enough: the first in the list.
		if k.optional() && !definitions[k.crd] {
			var err error
			if served, err = isServed(w.mgr.GetRESTMapper(), k); err != nil {
				return nil, err
			}
			definitions[k.crd] = served
		}
		if k.optional() {
			r.metrics.setServed(k, served)
		}
		if !served {
			continue
		}
		if err := w.watch(ctx, k); err != nil {
			return nil, err
		}
		r.kinds.set(k, true)
		watched[k.gvk] = true
	}
	return watched, nil
}

func (w *watcher) watch(ctx context.Context, k kind) error {
	if err := addKindIndexes(ctx, w.mgr.GetFieldIndexer(), k); err != nil {
		return err
	}
	var predicates []predicate.Predicate
	if k.gvk == kindGateway.gvk {
		predicates = append(predicates, gatewayMatters())
	}
	if err := w.exposure.Watch(source.Kind(w.mgr.GetCache(), k.newObject(), w.mapper.handlerFor(k), predicates...)); err != nil {
		return err
	}
	return w.watchForXDS(k)
}

func addKindsController(mgr ctrl.Manager, r *kindsReconciler) error {
	c, err := controller.New("kinds", mgr, controller.Options{
		Reconciler: r,
		// It writes nothing, and a new leader must not begin with what it knew at its start.
		NeedLeaderElection:      ptr.To(false),
		MaxConcurrentReconciles: 1,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
	})
	if err != nil {
		return fmt.Errorf("make the kinds controller: %w", err)
	}
	definitions := source.Kind[client.Object](mgr.GetCache(), newDefinition(),
		&handler.EnqueueRequestForObject{}, predicate.NewPredicateFuncs(definesOptionalKind))
	if err := c.Watch(definitions); err != nil {
		return fmt.Errorf("watch CustomResourceDefinitions: %w", err)
	}
	return nil
}
