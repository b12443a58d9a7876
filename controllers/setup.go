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
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
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
	"github.com/headgate/headgate/controllers/clusterips"
	"github.com/headgate/headgate/controllers/deployments"
	"github.com/headgate/headgate/controllers/discovery"
	"github.com/headgate/headgate/controllers/exposure"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/metrics"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/controllers/report"
	"github.com/headgate/headgate/controllers/stripped"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/internal/dial"
	"github.com/headgate/headgate/signals"
	"github.com/headgate/headgate/webhook"
)

// Name is Headgate's name where programs are asked for one: it reports events and holds leases.
const Name = "headgate"

// Bounds on how fast a controller tries again what has failed.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// reconcileTimeout ends a run that waits for something that does not come, such as a cache that
// has lost its connection.
const reconcileTimeout = time.Minute

// sourceConnections is how many connections to one source of call counts are kept for the next look.
const sourceConnections = 16

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
	// Overrides are the kinds that spec.overrides may change; nil: those whose overrides stay in their namespace.
	Overrides []v1alpha1.OverrideKind
	// HostOwnership has ExposedServices have only host names of their namespaces (annotation headgate.dev/hostnames).
	HostOwnership bool
	// Hosts says which hosts fqdn backends may name. Whose of the cluster an address is filled in, unless it is set.
	Hosts facts.HostPolicy
	// Clock tells the time; nil: the system's.
	Clock clock.WithTicker
	// Transport leads to the sources of call counts; nil: by Dial, whatever proxy the environment names.
	Transport http.RoundTripper
	// Dial connects to what users name: sources of call counts and webhooks of rollouts; nil: to anybody but this pod and what is
	// link-local.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Prometheus says which Prometheus servers ExposedServices may have asked.
	Prometheus calls.ServersConfig
	// Resolver looks up the hosts of fqdn backends; nil: the system's.
	Resolver facts.Resolver
	// Registerer takes the metrics; nil: the registry that the manager serves.
	Registerer prometheus.Registerer
	// XDS is what the xDS server is made with; nil: there is none.
	XDS *XDSConfig
	// Running, if set, is told of every run of the controller of ExposedServices; what it returns is called at the end (for tests).
	Running func(types.NamespacedName) (ended func())
}

func (c Config) withDefaults() Config {
	if c.Workers == 0 {
		c.Workers = defaultWorkers
	}
	if c.Overrides == nil {
		c.Overrides = gateway.DefaultOverrides()
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
// without what nobody reads, and reads that see one's own writes where that works. The caller adds the rest.
func ManagerOptions(namespaces []string) (ctrl.Options, error) {
	scheme, err := kube.NewScheme()
	if err != nil {
		return ctrl.Options{}, fmt.Errorf("build the scheme: %w", err)
	}
	stripper := stripped.New()
	options := ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultTransform: stripper.Strip,
			ByObject: map[client.Object]cache.ByObject{
				&v1alpha1.ExposedService{}:   {Transform: exposure.KeepSpeakers(stripper.Strip)},
				&appsv1.Deployment{}:         {Transform: oneAfterTheOther(deployments.KeepPausers, stripper.StripDeployment)},
				&corev1.Service{}:            {Transform: stripper.StripService},
				&discoveryv1.EndpointSlice{}: {Transform: stripper.StripSlice},
				&corev1.Node{}:               {Transform: clusterips.StripNode},
				facts.NewNamespace():         {Transform: stripper.StripNamespace},
			},
		},
		Client:    client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: ptr.To(kube.SeesOwnWrites(namespaces))}},
		NewClient: kube.NewFreshReads,
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

func oneAfterTheOther(first, second toolscache.TransformFunc) toolscache.TransformFunc {
	return func(object any) (any, error) {
		object, err := first(object)
		if err != nil {
			return nil, err
		}
		return second(object)
	}
}

// Setup adds the controllers to a manager that was made with ManagerOptions. It asks the API server
// which kinds there are.
func Setup(ctx context.Context, mgr ctrl.Manager, config Config) error {
	_, err := setup(ctx, mgr, config)
	return err
}

func setup(ctx context.Context, mgr ctrl.Manager, config Config) (*exposure.Reconciler, error) {
	config = config.withDefaults()
	p, err := newParts(mgr, config)
	if err != nil {
		return nil, err
	}
	claims := &index.Claims{}
	if err := index.AddExposedServices(ctx, index.NewIndexer(mgr.GetCache()), claims); err != nil {
		return nil, err
	}
	w := &watcher{mgr: mgr}
	kindsChanged := make(chan event.GenericEvent, 1)
	changed := []chan<- event.GenericEvent{kindsChanged}
	var feed *xdsfeed.Feed
	if config.XDS != nil {
		xdsKindsChanged := make(chan event.GenericEvent, 1)
		changed = append(changed, xdsKindsChanged)
		if feed, err = setupXDS(mgr, config, p, w, xdsKindsChanged); err != nil {
			return nil, fmt.Errorf("set up xDS: %w", err)
		}
	}
	r := exposure.New(exposure.Config{
		Objects: p.objects, Clock: config.Clock, Facts: p.facts, Waiters: index.NewWaiters(), Claims: claims, XDS: feed,
		Calls: p.calls, Compared: p.compared, Latencies: p.latencies, Report: report.NewWriter(p.objects.Client, p.objects.Events, config.Clock),
		Queries: calls.Queries{Reader: mgr.GetClient(), ProxyIndex: index.ByProxies}, Deployments: p.deployments, Namespaces: config.Namespaces,
		Running: config.Running,
	})
	if err := w.addExposure(config, r, kindsChanged, p.wake); err != nil {
		return nil, err
	}
	for _, runnable := range []manager.Runnable{p.facts.Hosts, p.facts.Probes, p.calls, p.compared, p.latencies, p.deployments.Webhooks, p.deployments.Config, p.deployments.Inspector} {
		if err := mgr.Add(runnable); err != nil {
			return nil, fmt.Errorf("add who works beside the controllers: %w", err)
		}
	}
	watched, err := w.watchServed(ctx, p.objects)
	if err != nil {
		return nil, err
	}
	return r, addKindsController(mgr, &discovery.Reconciler{
		Cache: mgr.GetCache(), Mapper: mgr.GetRESTMapper(), Kinds: p.objects.Kinds, Clock: config.Clock,
		Watch: w.watch, Watched: watched, Changed: changed, Metrics: p.objects.Metrics,
	})
}

// parts are what the controllers are made of.
type parts struct {
	objects         kube.Objects
	facts           facts.Reader
	calls, compared *calls.Counter
	latencies       *calls.Latencies
	deployments     *deployments.Follower
	// wake asks the exposure controller for runs.
	wake *queue.WakeUps
}

func newParts(mgr ctrl.Manager, config Config) (*parts, error) {
	m := metrics.New()
	if err := m.Register(config.Registerer, mgr.GetCache()); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	configs, err := client.NewWithWatch(mgr.GetConfig(), client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	var off []kube.Kind
	if config.NoRollouts {
		off = kube.RolloutKinds()
	}
	wake := &queue.WakeUps{}
	objects := kube.Objects{
		Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Kinds: kube.NewServedKinds(off), Metrics: m,
		Events: kube.Events{Recorder: mgr.GetEventRecorder(Name)}, Settled: kube.NewSettled(),
	}
	hosts := config.Hosts
	if hosts.Owner == nil {
		hosts.Owner = clusterips.New(mgr.GetCache(), mgr.GetAPIReader(), config.Clock, config.Namespaces).Owner
	}
	sources := &http.Client{Transport: config.Transport}
	scraper := signals.NewScraper(signals.ScraperConfig{Client: sources, Clock: config.Clock, Scraped: m.ObserveScrape})
	servers := calls.NewServers(config.Prometheus, sources)
	counting := func(asked func(*v1alpha1.ExposedService) *calls.Source) calls.Config {
		return calls.Config{
			Clock: config.Clock, HTTP: sources, Prometheus: servers, Scraper: scraper, Metrics: m, Asked: asked, Wake: wake.Wake,
			Secret: func(ctx context.Context, namespace string, ref *corev1.SecretKeySelector) ([]byte, error) {
				return kube.SecretKey(ctx, mgr.GetAPIReader(), namespace, ref)
			},
		}
	}
	return &parts{
		objects: objects, wake: wake,
		facts: facts.Reader{
			Client: mgr.GetClient(), Kinds: objects.Kinds, Clock: config.Clock, Namespaces: config.Namespaces, Wake: wake, Platform: gateway.Platform{Overrides: config.Overrides, HostOwnership: config.HostOwnership},
			Probes: facts.NewProbes(mgr.GetAPIReader(), config.Clock), Hosts: facts.NewHosts(config.Resolver, hosts, config.Clock, m),
		},
		calls: calls.NewCounter(counting(calls.ErrorSource)), compared: calls.NewCounter(counting(calls.ComparedSource)),
		latencies: calls.NewLatencies(counting(calls.HedgedSource)),
		deployments: &deployments.Follower{
			Objects: objects, Config: deployments.NewConfigTracker(configs, wake),
			Inspector: deployments.NewInspector(mgr.GetAPIReader(), mgr.GetClient(), config.Clock, wake),
			Webhooks: deployments.NewWebhooks(
				mgr.GetAPIReader(), webhook.Client{Clock: config.Clock, Dial: config.Dial}, config.Clock, m, wake),
		},
	}, nil
}

// watcher starts the watches of the controllers.
type watcher struct {
	mgr      ctrl.Manager
	exposure controller.Controller
	mapper   index.Mapper
	// feed is the controller of the xDS feed; nil: there is none.
	feed controller.Controller
}

// addExposure adds the controller of ExposedServices, and watches what every cluster has: ExposedServices, for
// themselves and for those that they may be in the way of, and the news that a kind has come or gone.
func (w *watcher) addExposure(config Config, r *exposure.Reconciler, kindsChanged <-chan event.GenericEvent, wake *queue.WakeUps) error {
	var err error
	w.exposure, err = controller.New("exposure", w.mgr, controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: config.Workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		// A new leader finds its caches full.
		EnableWarmup: ptr.To(true),
	})
	if err != nil {
		return fmt.Errorf("make the exposure controller: %w", err)
	}
	w.mapper = index.Mapper{Cache: w.mgr.GetCache(), Claims: r.Claims, Waiters: r.Waiters, Noted: r.Noted}
	return errors.Join(
		w.exposure.Watch(source.Kind[client.Object](w.mgr.GetCache(), &v1alpha1.ExposedService{}, &handler.EnqueueRequestForObject{},
			predicate.Or(index.DecisionMatters(), index.ClientsMatter(), index.PeopleSpoke(), r.Report.Matters()))),
		w.exposure.Watch(source.Kind[client.Object](w.mgr.GetCache(), &v1alpha1.ExposedService{}, w.mapper.Rivals(), index.RivalsMatter())),
		w.exposure.Watch(source.Channel(kindsChanged, w.mapper.All())),
		w.exposure.Watch(source.Func(wake.Start)),
		w.watchHostnames(w.exposure, w.mapper, config.HostOwnership),
	)
}

// watchHostnames looks again at who may have which host names when they come to belong to another namespace: where that is enforced, at all.
func (w *watcher) watchHostnames(c controller.Controller, mapper index.Mapper, enforced bool) error {
	users := mapper.All()
	if !enforced {
		users = handler.EnqueueRequestsFromMapFunc(mapper.InNamespace)
	}
	return c.Watch(source.Kind[client.Object](w.mgr.GetCache(), facts.NewNamespace(), users, index.HostnamesMatter()))
}

// watchServed watches the kinds that are there now, so that the first run waits for them to be in
// the cache; it returns which they are.
func (w *watcher) watchServed(ctx context.Context, objects kube.Objects) (map[schema.GroupVersionKind]bool, error) {
	watched := map[schema.GroupVersionKind]bool{}
	definitions := map[string]bool{}
	for _, k := range kube.AllKinds {
		if objects.Kinds.IsOff(k) {
			continue
		}
		served := !k.Optional()
		// One version of a kind is enough: the first in the list.
		if k.Optional() && !definitions[k.CRD] {
			var err error
			if served, err = discovery.IsServed(w.mgr.GetRESTMapper(), k); err != nil {
				return nil, err
			}
			definitions[k.CRD] = served
		}
		if k.Optional() {
			objects.Metrics.SetServed(k.GVK, served)
		}
		if !served {
			continue
		}
		if err := w.watch(ctx, k); err != nil {
			return nil, err
		}
		objects.Kinds.Set(k, true)
		watched[k.GVK] = true
	}
	return watched, nil
}

func (w *watcher) watch(ctx context.Context, k kube.Kind) error {
	if err := index.AddKind(ctx, index.NewIndexer(w.mgr.GetCache()), k); err != nil {
		return err
	}
	var predicates []predicate.Predicate
	if k.GVK == kube.KindGateway.GVK {
		predicates = append(predicates, index.GatewayMatters())
	}
	if err := w.exposure.Watch(source.Kind(w.mgr.GetCache(), k.NewObject(), w.mapper.HandlerFor(k), predicates...)); err != nil {
		return err
	}
	return w.watchForXDS(k)
}

func addKindsController(mgr ctrl.Manager, r *discovery.Reconciler) error {
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
	definitions := source.Kind[client.Object](mgr.GetCache(), discovery.NewDefinition(),
		&handler.EnqueueRequestForObject{}, predicate.NewPredicateFuncs(discovery.DefinesOptionalKind))
	if err := c.Watch(definitions); err != nil {
		return fmt.Errorf("watch CustomResourceDefinitions: %w", err)
	}
	return nil
}
