package controllers

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
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
func setupXDS(mgr ctrl.Manager, config Config, r *exposureReconciler, w *watcher, kindsChanged <-chan event.GenericEvent) error {
	log := mgr.GetLogger().WithName("xds")
	served := xdscache.New(xdscache.Config{Clock: config.Clock})
	judged := &wakeUps{}
	if err := w.exposure.Watch(source.Func(judged.start)); err != nil {
		return err
	}
	facts := r.facts
	// What the leader has just written is of no concern here, and waiting for it would be.
	facts.client = mgr.GetCache()
	r.xds = newXDSFeed(facts, served, judged)
	if err := addFeedController(mgr, config, r.xds, w, kindsChanged); err != nil {
		return err
	}

	serverConfig := config.XDS.Server
	serverConfig.Cache, serverConfig.Clock, serverConfig.Log, serverConfig.Registerer = served, config.Clock, log, config.Registerer
	loads := loadreport.New(loadreport.Config{Cache: served, Clock: config.Clock, Log: log})
	serverConfig.Register = loads.Register
	xdsServer, err := server.New(serverConfig)
	if err != nil {
		return err
	}
	if err := setupLoads(mgr, config, []*calls.Counter{r.calls, r.compared}, loads, xdsServer); err != nil {
		return err
	}
	if err := config.Registerer.Register(&xdsCollector{feed: r.xds}); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	plane := &xdsPlane{server: xdsServer, reporter: &xdsReporter{
		feed: r.xds, cache: served, client: mgr.GetClient(), reader: mgr.GetCache(),
		replica: config.XDS.Replica, clock: config.Clock, log: log, reports: map[types.NamespacedName]*xdsReport{},
	}}
	if err := errors.Join(mgr.Add(plane), mgr.AddReadyzCheck("xds", r.xds.ready)); err != nil {
		return err
	}
	if config.XDS.Namespace == "" {
		return nil
	}
	return mgr.Add(&goneReplicas{
		cached: mgr.GetCache(), reader: mgr.GetAPIReader(), client: mgr.GetClient(),
		namespace: config.XDS.Namespace, self: config.XDS.Replica, clock: config.Clock, log: log,
	})
}

// setupLoads has calls counted by what clients report to all replicas.
func setupLoads(mgr ctrl.Manager, config Config, counters []*calls.Counter, loads *loadreport.Server, xdsServer *server.Server) error {
	if err := loads.RegisterMetrics(config.Registerer); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	port, err := portOf(cmp.Or(config.XDS.Server.Address, fmt.Sprintf(":%d", bootstrap.Port)))
	if err != nil {
		return fmt.Errorf("address of the xDS server: %w", err)
	}
	replicas := &replicaAddresses{
		cached: mgr.GetCache(), pods: mgr.GetAPIReader(), namespace: config.XDS.Namespace, self: config.XDS.Replica,
		port: port, clock: config.Clock, known: map[string]podAddress{},
	}
	all := xdsLoads{loadreport.NewReplicas(loadreport.ReplicasConfig{
		Local: loads, Credentials: xdsServer.ReplicaCredentials(), Addresses: replicas.of,
	})}
	for _, counter := range counters {
		counter.CountLoads(all)
	}
	return nil
}

// addFeedController makes the feed a controller that runs on every replica.
func addFeedController(mgr ctrl.Manager, config Config, feed *xdsFeed, w *watcher, kindsChanged <-chan event.GenericEvent) error {
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
	return errors.Join(
		c.Watch(source.Kind[client.Object](mgr.GetCache(), &v1alpha1.ExposedService{}, &handler.EnqueueRequestForObject{}, servedMatters())),
		c.Watch(source.Channel(kindsChanged, w.feedMapper().all())),
		c.Watch(startWith(xdsBegin)),
	)
}

// feedKinds are the kinds that endpoints, and the right to use them, come from.
var feedKinds = []schema.GroupVersionKind{
	kindService.gvk, kindEndpointSlice.gvk, kindImport.gvk, kindGrant.gvk, kindGrantBeta.gvk,
}

// watchForXDS has the feed follow a kind, if it matters to it.
func (w *watcher) watchForXDS(k kind) error {
	if w.feed == nil || !slices.Contains(feedKinds, k.gvk) {
		return nil
	}
	return w.feed.Watch(source.Kind(w.mgr.GetCache(), k.newObject(), w.feedMapper().handlerFor(k)))
}

// feedMapper leads to the same ExposedServices, and notes nothing: the feed waits for no names, and decides
// nothing whose latency is measured.
func (w *watcher) feedMapper() mapper {
	return mapper{cache: w.mgr.GetCache(), names: newTakenNames(), clock: w.mapper.clock}
}
