package xdsfeed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/facts"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/queue"
	"github.com/headgate/headgate/gateway"
	xdscache "github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// awaitLimit is how long an ExposedService may wait for what is looked up for it for the first time, such as the
// addresses of a host, before it is served without. Nobody else waits longer for it, whatever becomes of it.
const awaitLimit = 10 * time.Second

// Feed keeps what is served over xDS as the ExposedServices, the decisions in their statuses and the endpoints
// of their backends have it. It runs on every replica, decides nothing and writes nothing: equal
// informer caches make equal resources.
type Feed struct {
	facts facts.Reader
	cache *xdscache.Cache
	// set serves resources; it is the cache's own.
	set func(map[xdscache.Owner][]xdscache.Resource) error
	// judged tells the controller that writes the status of what has become of an ExposedService.
	judged *queue.WakeUps

	mu      sync.Mutex
	catalog *catalog
	// probes are the last known of each backend: unknown ones leave things as they are.
	probes map[types.NamespacedName]map[string]gateway.Probe
	// tried are since when ExposedServices are looked at that are not served yet.
	tried map[types.NamespacedName]time.Time
	// unpublished are what the cache has not taken of the last change of an ExposedService, and why.
	unpublished map[types.NamespacedName]map[xdscache.Owner]error
	// awaited are the ExposedServices that have not been read since the start; nil: it is not known yet
	// which there are.
	awaited map[types.NamespacedName]bool
	// read are those that were, before it was known.
	read map[types.NamespacedName]bool
	// opened: all have been read once, and clients are served.
	opened chan struct{}
}

// New makes a feed that knows nothing yet. judged is woken for ExposedServices whose problems are others.
func New(reader facts.Reader, cache *xdscache.Cache, judged *queue.WakeUps) *Feed {
	return &Feed{
		facts: reader, cache: cache, judged: judged,
		set: func(resources map[xdscache.Owner][]xdscache.Resource) error {
			_, err := cache.Update(resources)
			return err
		},
		catalog: newCatalog(), probes: map[types.NamespacedName]map[string]gateway.Probe{},
		tried:       map[types.NamespacedName]time.Time{},
		unpublished: map[types.NamespacedName]map[xdscache.Owner]error{},
		read:        map[types.NamespacedName]bool{}, opened: make(chan struct{}),
	}
}

// Begin is the request that comes once, when everything that is watched has been read, and again until clients are
// served.
var Begin = ctrl.Request{}

// Reconcile brings what is served of one ExposedService up to date.
func (f *Feed) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if req == Begin {
		rest, err := f.begin(ctx)
		return ctrl.Result{RequeueAfter: rest}, err
	}
	f.try(req.NamespacedName)
	exs, err := kube.Get[v1alpha1.ExposedService](ctx, f.facts.Client, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if exs == nil || exs.Spec.XDS == nil {
		f.facts.Forget(req.NamespacedName)
		return ctrl.Result{}, f.remove(req.NamespacedName)
	}
	found, err := f.gather(ctx, exs)
	if err != nil {
		// What is served of it stays as it is. What is not served yet is tried again, and after awaitLimit nobody else waits for
		// it.
		return ctrl.Result{}, err
	}
	if rest := f.rest(req.NamespacedName, found.Awaited); rest > 0 {
		return ctrl.Result{RequeueAfter: rest}, nil
	}
	if err := f.put(req.NamespacedName, newEntry(exposureFrom(exs, found.Facts))); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: found.Again}, nil
}

// try notes since when an ExposedService is looked at that is not served yet.
func (f *Feed) try(key types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, served := f.catalog.entries[key]; served {
		return
	}
	if _, tried := f.tried[key]; !tried {
		f.tried[key] = f.facts.Clock.Now()
	}
}

// rest is how long an ExposedService waits for what is looked up for the first time; 0: no longer.
func (f *Feed) rest(key types.NamespacedName, awaited bool) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, tried := f.tried[key]
	if !awaited || !tried {
		return 0
	}
	return max(0, awaitLimit-f.facts.Clock.Since(since))
}

// gather reads what the resources of an ExposedService depend on.
func (f *Feed) gather(ctx context.Context, exs *v1alpha1.ExposedService) (facts.Found, error) {
	own, err := f.ownServices(ctx, exs)
	if err != nil {
		return facts.Found{}, err
	}
	found, err := f.facts.Read(ctx, exs, facts.Asked{XDS: true, Own: func(name string) *corev1.Service { return own[name] }})
	if err != nil {
		return found, err
	}
	if unknown := f.rememberProbes(exs, &found); unknown && !allForbidden(found.Errs) {
		// Whether an endpoint is checked must be known when it is first served: Envoy makes it anew when that changes.
		found.Awaited = true
	}
	if !f.isOpen() && gateway.Resolve(exs, found.Facts).HasUnknownHost() {
		// Clients that come to this replica may know the host from another one, or from before: they keep it for as long as
		// they are not told of others.
		found.Awaited = true
	}
	return found, nil
}

// ownServices reads the Services that Headgate made: those for a Gateway know the pods of a Service that is gone, and those of slots
// the pods of each version.
func (f *Feed) ownServices(ctx context.Context, exs *v1alpha1.ExposedService) (map[string]*corev1.Service, error) {
	var names []string
	if exs.Spec.Gateway != nil {
		for _, b := range exs.Spec.Backends {
			names = append(names, gateway.ServiceName(exs, b.Name))
		}
	}
	if gateway.Slotted(exs) {
		names = append(names, gateway.SlotServiceName(exs, v1alpha1.SlotBlue), gateway.SlotServiceName(exs, v1alpha1.SlotGreen))
	}
	slices.Sort(names)
	out := map[string]*corev1.Service{}
	for _, name := range slices.Compact(names) {
		name := types.NamespacedName{Namespace: exs.Namespace, Name: name}
		own, err := kube.Get[corev1.Service](ctx, f.facts.Client, name)
		if err != nil {
			return nil, err
		}
		if own != nil && kube.OwnershipOf(own, exs) == kube.Ours {
			out[name.Name] = own
		}
	}
	return out, nil
}

// rememberProbes puts the last known probe where it is unknown now, because the backend has no pods or because
// they could not be read. It says whether one that could not be read was never known.
func (f *Feed) rememberProbes(exs *v1alpha1.ExposedService, found *facts.Found) (unknown bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := client.ObjectKeyFromObject(exs)
	last, now := f.probes[key], map[string]gateway.Probe{}
	for name, known := range found.Backends {
		if known.Probe.State == gateway.ProbeUnknown {
			known.Probe = last[name]
			found.Backends[name] = known
		}
		now[name] = known.Probe
		unknown = unknown || known.Probe.State == gateway.ProbeUnknown && len(found.Errs) > 0
	}
	for slot, known := range found.Slots {
		// No backend has such a name.
		if known.Probe.State == gateway.ProbeUnknown {
			known.Probe = last[string(slot)]
			found.Slots[slot] = known
		}
		now[string(slot)] = known.Probe
	}
	f.probes[key] = now
	return unknown
}

// allForbidden: pods that may not be read never will be, and are not checked.
func allForbidden(errs []error) bool {
	return !slices.ContainsFunc(errs, func(err error) bool { return !apierrors.IsForbidden(err) })
}

// begin notes which ExposedServices there are: when all of them have been read, clients are served. Until then it
// returns when to come again: nobody is waited for longer than awaitLimit.
func (f *Feed) begin(ctx context.Context) (again time.Duration, err error) {
	if f.isOpen() {
		f.mu.Lock()
		defer f.mu.Unlock()
		// What was not taken when clients were first served.
		return 0, f.publish(Begin.NamespacedName, catalogChange{})
	}
	var list v1alpha1.ExposedServiceList
	if err := f.facts.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("list ExposedServices: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.awaited == nil {
		f.awaited = map[types.NamespacedName]bool{}
		for i := range list.Items {
			if key := client.ObjectKeyFromObject(&list.Items[i]); !f.read[key] {
				f.awaited[key] = true
			}
		}
		f.read = nil
	}
	f.giveUp()
	if err := f.open(Begin.NamespacedName); err != nil || len(f.awaited) == 0 {
		return 0, err
	}
	return beginAgain, nil
}

// beginAgain is how often those are looked for that clients have waited for long enough.
const beginAgain = time.Second

// giveUp waits no longer for those that could not be read for awaitLimit, and a moment: those that could would be taken
// away and given back. Who has not been looked at yet is waited for: it is only late.
func (f *Feed) giveUp() {
	for key := range f.awaited {
		if since, tried := f.tried[key]; tried && f.facts.Clock.Since(since) >= awaitLimit+beginAgain {
			delete(f.awaited, key)
		}
	}
}

func (f *Feed) put(key types.NamespacedName, entry catalogEntry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tried, key)
	if f.isOpen() {
		before, known := f.catalog.entries[key]
		problems := f.catalog.problems(key)
		change := f.catalog.put(key, entry)
		if known && !claimsDiffer(before, entry) && slices.Equal(problems, f.catalog.problems(key)) {
			change.judged = nil // it was endpoints, or the decision
		}
		return f.publish(key, change)
	}
	f.catalog.fill(key, entry)
	return f.arrived(key)
}

func (f *Feed) remove(key types.NamespacedName) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.probes, key)
	delete(f.tried, key)
	change := f.catalog.remove(key)
	if f.isOpen() {
		return f.publish(key, change)
	}
	return f.arrived(key)
}

// arrived notes that an ExposedService has been read.
func (f *Feed) arrived(key types.NamespacedName) error {
	if f.awaited == nil {
		f.read[key] = true
		return nil
	}
	delete(f.awaited, key)
	return f.open(key)
}

// open serves everything, once there is nothing left to wait for. key is the request that came last.
func (f *Feed) open(key types.NamespacedName) error {
	if len(f.awaited) > 0 || f.isOpen() {
		return nil
	}
	err := f.publish(key, f.catalog.all())
	f.cache.Synced()
	close(f.opened)
	return err
}

func (f *Feed) isOpen() bool {
	select {
	case <-f.opened:
		return true
	default:
		return false
	}
}

// publish sets what has changed, as a whole. What the cache refuses must not hold up the rest; it is set again with
// the next change of the same ExposedService, which the error leads to.
func (f *Feed) publish(key types.NamespacedName, change catalogChange) error {
	defer f.judged.Wake(change.judged...)
	resources := f.catalog.resourcesOf(f.unpublished[key])
	maps.Copy(resources, change.resources)
	delete(f.unpublished, key)
	if len(resources) == 0 {
		return nil
	}
	if f.set(resources) == nil {
		return nil
	}
	refused := map[xdscache.Owner]error{}
	for owner, own := range resources {
		if err := f.set(map[xdscache.Owner][]xdscache.Resource{owner: own}); err != nil {
			refused[owner] = fmt.Errorf("serve %s over xDS: %w", owner, err)
		}
	}
	if len(refused) > 0 {
		f.unpublished[key] = refused
		f.judged.Wake(key)
	}
	return errors.Join(slices.Collect(maps.Values(refused))...)
}

// problems are those of the catalog, and what the cache has not taken. Nothing of that is lost: clients have what they had.
func (f *Feed) problems(key types.NamespacedName) []resource.Problem {
	problems := f.catalog.problems(key)
	refused := f.unpublished[key]
	for _, owner := range slices.SortedFunc(maps.Keys(refused), compareNames) {
		problems = append(problems, resource.Problem{
			Reason: v1alpha1.ReasonNotAccepted, Partial: true,
			Message: fmt.Sprintf("clients keep what they had, because what the spec makes cannot be served (%v): change what this is about, and report it", refused[owner]),
		})
	}
	return problems
}

func compareNames(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }

// Served is what this replica serves of an ExposedService.
type Served struct {
	// Generation is that of the spec; 0: it has not been read, or has no spec.xds.
	Generation int64
	// Revision is that of the decision; 0: there was none.
	Revision int64
	// Problems are why nothing is served, or not all of it, if anything is wrong.
	Problems []resource.Problem
	// Hosts are the hosts that it has, and Port is the one on which Envoys take calls for them.
	Hosts []string
	Port  v1alpha1.PortNumber
	// Status says where it is live.
	Status xdscache.Status
}

// Served says what is served of an ExposedService, and where it is live.
func (f *Feed) Served(key types.NamespacedName) Served {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry, known := f.catalog.entries[key]
	if !known || !f.isOpen() {
		return Served{}
	}
	out := Served{
		Generation: entry.exposure.Service.Generation, Problems: f.problems(key), Status: f.cache.Status(key),
	}
	out.Hosts, out.Port = f.catalog.hosts(key)
	if traffic := entry.exposure.Service.Status.Traffic; traffic != nil {
		out.Revision = traffic.Revision
	}
	return out
}

// Ready is nil when clients are served.
func (f *Feed) Ready(*http.Request) error {
	if !f.isOpen() {
		return errors.New("the xDS server does not know all ExposedServices yet")
	}
	return nil
}
