package xdsfeed

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/hedging"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// catalog holds every ExposedService with spec.xds and says what a change of one changes of what is
// served: of its own, of a port that it shares, and of others whose claims it takes or leaves. It
// is pure, and equal catalogs say the same whatever the order in which they were filled.
type catalog struct {
	entries map[types.NamespacedName]catalogEntry
	lost    map[types.NamespacedName]resource.Lost
	ports   map[sharedPort]map[types.NamespacedName]struct{}
}

// catalogEntry is an ExposedService and what it becomes, without the hosts that it has lost.
type catalogEntry struct {
	exposure  resource.Exposure
	resources []resource.Resource
	problems  []resource.Problem
}

func newEntry(exposure resource.Exposure) catalogEntry {
	resources, problems := resource.Service(exposure)
	return catalogEntry{exposure: exposure, resources: resources, problems: problems}
}

// catalogChange is what is to be set in the cache, and whose problems may be others now.
type catalogChange struct {
	resources map[cache.Owner][]cache.Resource
	judged    []types.NamespacedName
}

func newCatalog() *catalog {
	return &catalog{
		entries: map[types.NamespacedName]catalogEntry{},
		lost:    map[types.NamespacedName]resource.Lost{},
		ports:   map[sharedPort]map[types.NamespacedName]struct{}{},
	}
}

// fill notes an ExposedService without working out what that changes: all does it once for many.
func (c *catalog) fill(key types.NamespacedName, entry catalogEntry) {
	c.leavePort(key)
	c.entries[key] = entry
	c.joinPort(key)
}

// all is everything that is to be set.
func (c *catalog) all() catalogChange {
	c.judgeClaims()
	keys := slices.Collect(maps.Keys(c.entries))
	ports := map[sharedPort]bool{}
	for port := range c.ports {
		ports[port] = true
	}
	return c.change(keys, ports)
}

// put takes in an ExposedService as it is now.
func (c *catalog) put(key types.NamespacedName, entry catalogEntry) catalogChange {
	before, known := c.entries[key]
	ports := map[sharedPort]bool{}
	if !known || portDiffers(before, entry) {
		c.notePort(before, ports)
		c.notePort(entry, ports)
	}
	c.fill(key, entry)
	keys := []types.NamespacedName{key}
	if !known || claimsDiffer(before, entry) {
		keys = append(keys, c.rejudge(key, ports)...)
	}
	c.without(key)
	return c.change(keys, ports)
}

// remove takes out an ExposedService.
func (c *catalog) remove(key types.NamespacedName) catalogChange {
	before, known := c.entries[key]
	if !known {
		return catalogChange{}
	}
	ports := map[sharedPort]bool{}
	c.notePort(before, ports)
	c.leavePort(key)
	delete(c.entries, key)
	return c.change(append(c.rejudge(key, ports), key), ports)
}

// judgeClaims finds out who has lost which hosts.
func (c *catalog) judgeClaims() {
	services := make([]*v1alpha1.ExposedService, 0, len(c.entries))
	for _, entry := range c.entries {
		services = append(services, entry.exposure.Service)
	}
	c.lost = resource.Conflicts(services)
	for key := range c.entries {
		c.without(key)
	}
}

// rejudge looks again at who claims what; it returns the others whose claims stand otherwise now, and
// notes their ports.
func (c *catalog) rejudge(key types.NamespacedName, ports map[sharedPort]bool) []types.NamespacedName {
	before := c.lost
	c.judgeClaims()
	var changed []types.NamespacedName
	for other, entry := range c.entries {
		was, now := before[other], c.lost[other]
		if slices.Equal(was.Hosts, now.Hosts) && was.Problem == now.Problem {
			continue
		}
		c.notePort(entry, ports)
		if other != key {
			changed = append(changed, other)
		}
	}
	return changed
}

// without makes the resources of an ExposedService anew, if those that are there are not without the hosts that it has lost.
func (c *catalog) without(key types.NamespacedName) {
	entry, lost := c.entries[key], c.hostsLost(key)
	if slices.Equal(entry.exposure.Lost, lost) {
		return
	}
	entry.exposure.Lost = lost
	c.entries[key] = newEntry(entry.exposure)
}

// hostsLost are the hosts that an ExposedService claims and does not get: those that another one has, and those that do not belong to its namespace.
func (c *catalog) hostsLost(key types.NamespacedName) []string {
	lost, foreign := c.lost[key].Hosts, c.entries[key].exposure.Foreign
	if len(foreign) == 0 {
		return lost
	}
	out := slices.Concat(lost, foreign)
	slices.Sort(out)
	return slices.Compact(out)
}

// change collects what is to be set of some ExposedServices and ports.
func (c *catalog) change(keys []types.NamespacedName, ports map[sharedPort]bool) catalogChange {
	out := catalogChange{resources: map[cache.Owner][]cache.Resource{}, judged: keys}
	for _, key := range keys {
		out.resources[key] = c.own(key)
	}
	for port := range ports {
		out.resources[port.owner()] = c.shared(port)
	}
	return out
}

// resourcesOf is what is to be set under some names.
func (c *catalog) resourcesOf(owners map[cache.Owner]error) map[cache.Owner][]cache.Resource {
	out := make(map[cache.Owner][]cache.Resource, len(owners))
	for owner := range owners {
		if port, isPort := portOfOwner(owner); isPort {
			out[owner] = c.shared(port)
		} else {
			out[owner] = c.own(owner)
		}
	}
	return out
}

// own is what is to be set of an ExposedService.
func (c *catalog) own(key types.NamespacedName) []cache.Resource {
	if !c.serves(key) {
		return nil
	}
	return toCache(c.entries[key].resources)
}

// shared is what is to be set of a port.
func (c *catalog) shared(port sharedPort) []cache.Resource {
	var sharers []resource.Exposure
	for key := range c.ports[port] {
		if c.serves(key) {
			sharers = append(sharers, c.entries[key].exposure)
		}
	}
	if len(sharers) == 0 {
		return nil
	}
	return toCache(resource.Port(port.namespace, port.port, sharers))
}

// problems are what is wrong with an ExposedService.
func (c *catalog) problems(key types.NamespacedName) []resource.Problem {
	problems := slices.Clone(c.entries[key].problems)
	if lost, loses := c.lost[key]; loses {
		problems = append(problems, lost.Problem)
	}
	return problems
}

func (c *catalog) serves(key types.NamespacedName) bool {
	entry, known := c.entries[key]
	return known && len(entry.problems) == 0
}

// hosts are those that an ExposedService has, and the port on which it has them.
func (c *catalog) hosts(key types.NamespacedName) ([]string, v1alpha1.PortNumber) {
	if !c.serves(key) {
		return nil, 0
	}
	exs := c.entries[key].exposure.Service
	return resource.HostsOf(exs, c.hostsLost(key)), ptr.Deref(exs.Spec.XDS.Port, 0)
}

func (c *catalog) joinPort(key types.NamespacedName) {
	port, wanted := portOfSpec(c.entries[key].exposure.Service)
	if !wanted {
		return
	}
	if c.ports[port] == nil {
		c.ports[port] = map[types.NamespacedName]struct{}{}
	}
	c.ports[port][key] = struct{}{}
}

func (c *catalog) leavePort(key types.NamespacedName) {
	port, had := portOfSpec(c.entries[key].exposure.Service)
	if !had {
		return
	}
	delete(c.ports[port], key)
	if len(c.ports[port]) == 0 {
		delete(c.ports, port)
	}
}

func (c *catalog) notePort(entry catalogEntry, ports map[sharedPort]bool) {
	if port, wanted := portOfSpec(entry.exposure.Service); wanted {
		ports[port] = true
	}
}

// claimsDiffer: claims are made by the spec and the age of an object, and by the hosts that it has.
func claimsDiffer(a, b catalogEntry) bool {
	x, y := a.exposure.Service, b.exposure.Service
	return x.UID != y.UID || x.Generation != y.Generation || !sameHosts(x.Status.XDS, y.Status.XDS)
}

func sameHosts(a, b *v1alpha1.XDSStatus) bool {
	a, b = cmp.Or(a, &v1alpha1.XDSStatus{}), cmp.Or(b, &v1alpha1.XDSStatus{})
	return a.Port == b.Port && slices.Equal(a.Hosts, b.Hosts)
}

// portDiffers: what is said on a port follows the spec and the decision, not the endpoints.
func portDiffers(a, b catalogEntry) bool {
	return claimsDiffer(a, b) || (len(a.problems) == 0) != (len(b.problems) == 0) ||
		DecisionMoved(a.exposure.Service, b.exposure.Service)
}

// DecisionMoved says whether the decision that is followed over xDS is another one.
func DecisionMoved(before, after *v1alpha1.ExposedService) bool {
	return !equality.Semantic.DeepEqual(before.Status.Traffic, after.Status.Traffic) || rampOf(before) != rampOf(after) ||
		gateway.Slotted(before) != gateway.Slotted(after) || resource.IsPromoting(before) != resource.IsPromoting(after) ||
		hedging.Delay(before.Status.Hedging) != hedging.Delay(after.Status.Hedging) ||
		!equality.Semantic.DeepEqual(before.Status.CheckInterval, after.Status.CheckInterval)
}

// rampOf is the backend that is handed back to; empty: there is none.
func rampOf(exs *v1alpha1.ExposedService) string {
	if f := exs.Status.Failover; f != nil && f.State != nil && f.State.Ramp != nil {
		return f.State.Ramp.To
	}
	return ""
}
