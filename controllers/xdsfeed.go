package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	xdscache "github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// xdsFeed keeps what is served over xDS as the ExposedServices, the decisions in their statuses and the endpoints
// of their backends have it. It runs on every replica, decides nothing and writes nothing: equal
// informer caches make equal resources.
type xdsFeed struct {
	facts factReader
	cache *xdscache.Cache
	// judged tells the controller that writes the status of what has become of an ExposedService.
	judged *wakeUps

	mu      sync.Mutex
	catalog *xdsCatalog
	// probes are the last known of each backend: unknown ones leave things as they are.
	probes map[types.NamespacedName]map[string]gateway.Probe
	// awaited are the ExposedServices that have not been read since the start; nil: it is not known yet
	// which there are.
	awaited map[types.NamespacedName]bool
	// read are those that were, before it was known.
	read map[types.NamespacedName]bool
	// opened: all have been read once, and clients are served.
	opened chan struct{}
}

func newXDSFeed(facts factReader, cache *xdscache.Cache, judged *wakeUps) *xdsFeed {
	return &xdsFeed{
		facts: facts, cache: cache, judged: judged,
		catalog: newXDSCatalog(), probes: map[types.NamespacedName]map[string]gateway.Probe{},
		read: map[types.NamespacedName]bool{}, opened: make(chan struct{}),
	}
}

// xdsBegin is the request that comes once, when everything that is watched has been read.
var xdsBegin = ctrl.Request{}

// Reconcile brings what is served of one ExposedService up to date.
func (f *xdsFeed) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if req == xdsBegin {
		return ctrl.Result{}, f.begin(ctx)
	}
	exs, err := get[v1alpha1.ExposedService](ctx, f.facts.client, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if exs == nil || exs.Spec.XDS == nil {
		return ctrl.Result{}, f.remove(req.NamespacedName)
	}
	s, err := f.gather(ctx, exs)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := f.put(req.NamespacedName, newXDSEntry(exposureFrom(exs, s.facts))); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: s.again}, errors.Join(s.errs...)
}

// gather reads what the resources of an ExposedService depend on.
func (f *xdsFeed) gather(ctx context.Context, exs *v1alpha1.ExposedService) (*scope, error) {
	s := &scope{log: logf.FromContext(ctx), exs: exs, live: map[gateway.Ref]client.Object{}}
	if err := f.readOwnServices(ctx, s); err != nil {
		return nil, err
	}
	if err := f.facts.readGrants(ctx, s); err != nil {
		return nil, err
	}
	if err := f.facts.readBackends(ctx, s); err != nil {
		return nil, err
	}
	if unknown := f.rememberProbes(s); unknown && !allForbidden(s.errs) {
		// Whether an endpoint is checked must be known when it is first served: Envoy makes it anew when that changes.
		return nil, errors.Join(s.errs...)
	}
	return s, nil
}

// readOwnServices reads the Services that Headgate made for a Gateway: they know the pods of a Service that is gone.
func (f *xdsFeed) readOwnServices(ctx context.Context, s *scope) error {
	if s.exs.Spec.Gateway == nil {
		return nil
	}
	for _, b := range s.exs.Spec.Backends {
		name := types.NamespacedName{Namespace: s.exs.Namespace, Name: gateway.ServiceName(s.exs, b.Name)}
		own, err := get[corev1.Service](ctx, f.facts.client, name)
		if err != nil {
			return err
		}
		if own != nil {
			s.live[kindService.ref(own)] = own
		}
	}
	return nil
}

// rememberProbes puts the last known probe where it is unknown now, because the backend has no pods or because
// they could not be read. It says whether one that could not be read was never known.
func (f *xdsFeed) rememberProbes(s *scope) (unknown bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := client.ObjectKeyFromObject(s.exs)
	last, now := f.probes[key], map[string]gateway.Probe{}
	for name, facts := range s.facts.Backends {
		if facts.Probe.State == gateway.ProbeUnknown {
			facts.Probe = last[name]
			s.facts.Backends[name] = facts
		}
		now[name] = facts.Probe
		unknown = unknown || facts.Probe.State == gateway.ProbeUnknown && len(s.errs) > 0
	}
	f.probes[key] = now
	return unknown
}

// allForbidden: pods that may not be read never will be, and are not checked.
func allForbidden(errs []error) bool {
	return !slices.ContainsFunc(errs, func(err error) bool { return !apierrors.IsForbidden(err) })
}

// begin notes which ExposedServices there are: when all of them have been read, clients are served.
func (f *xdsFeed) begin(ctx context.Context) error {
	var list v1alpha1.ExposedServiceList
	if err := f.facts.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list ExposedServices: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.awaited != nil {
		return nil
	}
	f.awaited = map[types.NamespacedName]bool{}
	for i := range list.Items {
		if key := client.ObjectKeyFromObject(&list.Items[i]); !f.read[key] {
			f.awaited[key] = true
		}
	}
	f.read = nil
	return f.open()
}

func (f *xdsFeed) put(key types.NamespacedName, entry xdsEntry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isOpen() {
		before, known := f.catalog.entries[key]
		problems := f.catalog.problems(key)
		change := f.catalog.put(key, entry)
		if known && !claimsDiffer(before, entry) && slices.Equal(problems, f.catalog.problems(key)) {
			change.judged = nil // it was endpoints, or the decision
		}
		return f.publish(change)
	}
	f.catalog.fill(key, entry)
	return f.arrived(key)
}

func (f *xdsFeed) remove(key types.NamespacedName) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.probes, key)
	change := f.catalog.remove(key)
	if f.isOpen() {
		return f.publish(change)
	}
	return f.arrived(key)
}

// arrived notes that an ExposedService has been read.
func (f *xdsFeed) arrived(key types.NamespacedName) error {
	if f.awaited == nil {
		f.read[key] = true
		return nil
	}
	delete(f.awaited, key)
	return f.open()
}

// open serves everything, once there is nothing left to wait for.
func (f *xdsFeed) open() error {
	if len(f.awaited) > 0 || f.isOpen() {
		return nil
	}
	err := f.publish(f.catalog.all())
	f.cache.Synced()
	close(f.opened)
	return err
}

func (f *xdsFeed) isOpen() bool {
	select {
	case <-f.opened:
		return true
	default:
		return false
	}
}

// publish sets what has changed, as a whole. What the cache refuses must not hold up the rest.
func (f *xdsFeed) publish(change xdsChange) error {
	defer f.judged.wake(change.judged...)
	if len(change.resources) == 0 {
		return nil
	}
	if _, err := f.cache.Update(change.resources); err == nil {
		return nil
	}
	var errs []error
	for owner, resources := range change.resources {
		if _, err := f.cache.Set(owner, resources); err != nil {
			errs = append(errs, fmt.Errorf("serve %s over xDS: %w", owner, err))
		}
	}
	return errors.Join(errs...)
}

// xdsServed is what this replica serves of an ExposedService.
type xdsServed struct {
	// generation is that of the spec; 0: it has not been read, or has no spec.xds.
	generation int64
	// revision is that of the decision; 0: there was none.
	revision int64
	// problems are why nothing is served, if anything is wrong.
	problems []resource.Problem
	// status says where it is live.
	status xdscache.Status
}

// served says what is served of an ExposedService, and where it is live.
func (f *xdsFeed) served(key types.NamespacedName) xdsServed {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry, known := f.catalog.entries[key]
	if !known || !f.isOpen() {
		return xdsServed{}
	}
	out := xdsServed{
		generation: entry.exposure.Service.Generation, problems: f.catalog.problems(key), status: f.cache.Status(key),
	}
	if traffic := entry.exposure.Service.Status.Traffic; traffic != nil {
		out.revision = traffic.Revision
	}
	return out
}

// ready is nil when clients are served.
func (f *xdsFeed) ready(*http.Request) error {
	if !f.isOpen() {
		return errors.New("the xDS server does not know all ExposedServices yet")
	}
	return nil
}
