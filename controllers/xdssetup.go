package controllers

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/calls"
	"github.com/headgate/headgate/controllers/index"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/xds/bootstrap"
	xdscache "github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/loadreport"
	"github.com/headgate/headgate/xds/server"
)

// XDSConfig is what the xDS server of a replica is made with.
type XDSConfig struct {
	// Server is the server's own. Its cache, clock, logger and registerer are filled in.
	Server server.Config
	// Replica is the name of this replica, that of its pod: at most 63 characters.
	Replica string
	// Namespace is that of the replicas' pods. Empty: whether another replica is gone cannot be found out.
	Namespace string
}

// setupXDS adds the feed, the server and the reports to the manager.
func setupXDS(mgr ctrl.Manager, config Config, p *parts, w *watcher, kindsChanged <-chan event.GenericEvent) (*xdsfeed.Feed, error) {
	log := mgr.GetLogger().WithName("xds")
	served := xdscache.New(xdscache.Config{Clock: config.Clock})
	wake := &queue.WakeUps{}
	reader := p.facts
	// What the leader has just written is of no concern here, and waiting for it would be.
	reader.Client, reader.Wake = mgr.GetCache(), wake
	feed := xdsfeed.New(reader, served, p.wake)
	if err := addFeedController(mgr, config, feed, w, kindsChanged, wake); err != nil {
		return nil, err
	}

	serverConfig := config.XDS.Server
	serverConfig.Cache, serverConfig.Clock, serverConfig.Log, serverConfig.Registerer = served, config.Clock, log, config.Registerer
	loads := loadreport.New(loadreport.Config{Cache: served, Clock: config.Clock, Log: log})
	serverConfig.Register = loads.Register
	xdsServer, err := server.New(serverConfig)
	if err != nil {
		return nil, err
	}
	if err := setupLoads(mgr, config, []*calls.Counter{p.calls, p.compared, p.latencies.Counter}, loads, xdsServer); err != nil {
		return nil, err
	}
	if err := config.Registerer.Register(&xdsfeed.Collector{Feed: feed}); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	plane := &xdsfeed.Plane{Server: xdsServer, Reporter: xdsfeed.NewReporter(xdsfeed.ReporterConfig{
		Feed: feed, Cache: served, Client: mgr.GetClient(), Reader: mgr.GetCache(),
		Replica: config.XDS.Replica, Clock: config.Clock, Log: log,
	})}
	if err := errors.Join(mgr.Add(plane), mgr.AddReadyzCheck("xds", feed.Ready)); err != nil {
		return nil, err
	}
	if config.XDS.Namespace == "" {
		return feed, nil
	}
	return feed, mgr.Add(&xdsfeed.GoneReplicas{
		Cached: mgr.GetCache(), Reader: mgr.GetAPIReader(), Client: mgr.GetClient(),
		Namespace: config.XDS.Namespace, Self: config.XDS.Replica, Clock: config.Clock, Log: log,
	})
}

// setupLoads has calls counted by what clients report to all replicas.
func setupLoads(mgr ctrl.Manager, config Config, counters []*calls.Counter, loads *loadreport.Server, xdsServer *server.Server) error {
	if err := loads.RegisterMetrics(config.Registerer); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	port, err := xdsfeed.PortOf(cmp.Or(config.XDS.Server.Address, fmt.Sprintf(":%d", bootstrap.Port)))
	if err != nil {
		return fmt.Errorf("address of the xDS server: %w", err)
	}
	replicas := xdsfeed.NewReplicaAddresses(xdsfeed.AddressesConfig{
		Cached: mgr.GetCache(), Pods: mgr.GetAPIReader(), Namespace: config.XDS.Namespace, Self: config.XDS.Replica,
		Port: port, Clock: config.Clock,
	})
	all := xdsfeed.Loads{Replicas: loadreport.NewReplicas(loadreport.ReplicasConfig{
		Local: loads, Credentials: xdsServer.ReplicaCredentials(), Addresses: replicas.Of,
	})}
	for _, counter := range counters {
		counter.CountLoads(all)
	}
	return nil
}

// addFeedController makes the feed a controller that runs on every replica.
func addFeedController(
	mgr ctrl.Manager, config Config, feed *xdsfeed.Feed, w *watcher, kindsChanged <-chan event.GenericEvent, wake *queue.WakeUps,
) error {
	c, err := controller.New("xds", mgr, controller.Options{
		Reconciler:              feed,
		NeedLeaderElection:      ptr.To(false),
		MaxConcurrentReconciles: config.Workers,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
	})
	if err != nil {
		return fmt.Errorf("make the xDS controller: %w", err)
	}
	w.feed = c
	if config.HostOwnership {
		if err := w.watchHostnames(c, w.feedMapper(), true); err != nil {
			return err
		}
	}
	return errors.Join(
		c.Watch(source.Kind[client.Object](mgr.GetCache(), &v1alpha1.ExposedService{}, &handler.EnqueueRequestForObject{}, xdsfeed.ServedMatters())),
		c.Watch(source.Channel(kindsChanged, w.feedMapper().All())),
		c.Watch(queue.StartWith(xdsfeed.Begin)),
		c.Watch(source.Func(wake.Start)),
	)
}

// feedKinds are the kinds that endpoints, and the right to use them, come from.
var feedKinds = []schema.GroupVersionKind{
	kube.KindService.GVK, kube.KindEndpointSlice.GVK, kube.KindImport.GVK, kube.KindGrant.GVK, kube.KindGrantBeta.GVK,
}

// watchForXDS has the feed follow a kind, if it matters to it.
func (w *watcher) watchForXDS(k kube.Kind) error {
	if w.feed == nil || !slices.Contains(feedKinds, k.GVK) {
		return nil
	}
	return w.feed.Watch(source.Kind(w.mgr.GetCache(), k.NewObject(), w.feedMapper().HandlerFor(k)))
}

// feedMapper leads to the same ExposedServices, and notes nothing: the feed waits for no names, and decides
// nothing whose latency is measured.
func (w *watcher) feedMapper() index.Mapper { return index.Mapper{Cache: w.mgr.GetCache()} }
