package controllers

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/xds/cache"
	"github.com/headgate/headgate/xds/resource"
)

// xdsCatalog holds every ExposedService with spec.xds and says what a change of one changes of what is
// served: of its own, of a port that it shares, and of others whose claims it takes or leaves. It
// is pure, and equal catalogs say the same whatever the order in which they were filled.
type xdsCatalog struct {
	entries   map[types.NamespacedName]xdsEntry
	conflicts map[types.NamespacedName]resource.Problem
	ports     map[xdsPort]map[types.NamespacedName]struct{}
}

// xdsEntry is an ExposedService and what it becomes, whatever others claim.
type xdsEntry struct {
	exposure  resource.Exposure
	resources []resource.Resource
	problems  []resource.Problem
}

func newXDSEntry(exposure resource.Exposure) xdsEntry {
	resources, problems := resource.Service(exposure)
	return xdsEntry{exposure: exposure, resources: resources, problems: problems}
}

// xdsChange is what is to be set in the cache, and whose problems may be others now.
type xdsChange struct {
	resources map[cache.Owner][]cache.Resource
	judged    []types.NamespacedName
}

func newXDSCatalog() *xdsCatalog {
	return &xdsCatalog{
		entries:   map[types.NamespacedName]xdsEntry{},
		conflicts: map[types.NamespacedName]resource.Problem{},
		ports:     map[xdsPort]map[types.NamespacedName]struct{}{},
	}
}

// fill notes an ExposedService without working out what that changes: all does it once for many.
func (c *xdsCatalog) fill(key types.NamespacedName, entry xdsEntry) {
	c.leavePort(key)
	c.entries[key] = entry
	c.joinPort(key)
}

// all is everything that is to be set.
func (c *xdsCatalog) all() xdsChange {
	c.conflicts = c.findConflicts()
	keys := slices.Collect(maps.Keys(c.entries))
	ports := map[xdsPort]bool{}
	for port := range c.ports {
		ports[port] = true
	}
	return c.change(keys, ports)
}

// put takes in an ExposedService as it is now.
func (c *xdsCatalog) put(key types.NamespacedName, entry xdsEntry) xdsChange {
	before, known := c.entries[key]
	ports := map[xdsPort]bool{}
	if !known || portDiffers(before, entry) {
		c.notePort(before, ports)
		c.notePort(entry, ports)
	}
	c.fill(key, entry)
	keys := []types.NamespacedName{key}
	if !known || claimsDiffer(before, entry) {
		keys = append(keys, c.judgeClaims(key, ports)...)
	}
	return c.change(keys, ports)
}

// remove takes out an ExposedService.
func (c *xdsCatalog) remove(key types.NamespacedName) xdsChange {
	before, known := c.entries[key]
	if !known {
		return xdsChange{}
	}
	ports := map[xdsPort]bool{}
	c.notePort(before, ports)
	c.leavePort(key)
	delete(c.entries, key)
	return c.change(append(c.judgeClaims(key, ports), key), ports)
}

// judgeClaims looks again at who claims what; it returns the others whose claims stand otherwise now, and
// notes their ports.
func (c *xdsCatalog) judgeClaims(key types.NamespacedName, ports map[xdsPort]bool) []types.NamespacedName {
	before := c.conflicts
	c.conflicts = c.findConflicts()
	var changed []types.NamespacedName
	for other, entry := range c.entries {
		was, lost := before[other]
		now, loses := c.conflicts[other]
		if lost == loses && was == now {
			continue
		}
		c.notePort(entry, ports)
		if other != key {
			changed = append(changed, other)
		}
	}
	return changed
}

func (c *xdsCatalog) findConflicts() map[types.NamespacedName]resource.Problem {
	services := make([]*v1alpha1.ExposedService, 0, len(c.entries))
	for _, entry := range c.entries {
		services = append(services, entry.exposure.Service)
	}
	return resource.Conflicts(services)
}

// change collects what is to be set of some ExposedServices and ports.
func (c *xdsCatalog) change(keys []types.NamespacedName, ports map[xdsPort]bool) xdsChange {
	out := xdsChange{resources: map[cache.Owner][]cache.Resource{}, judged: keys}
	for _, key := range keys {
		out.resources[key] = nil
		if c.serves(key) {
			out.resources[key] = toCache(c.entries[key].resources)
		}
	}
	for port := range ports {
		var sharers []resource.Exposure
		for key := range c.ports[port] {
			if c.serves(key) {
				sharers = append(sharers, c.entries[key].exposure)
			}
		}
		out.resources[port.owner()] = nil
		if len(sharers) > 0 {
			out.resources[port.owner()] = toCache(resource.Port(port.namespace, port.port, sharers))
		}
	}
	return out
}

// problems are what is wrong with an ExposedService.
func (c *xdsCatalog) problems(key types.NamespacedName) []resource.Problem {
	problems := slices.Clone(c.entries[key].problems)
	if conflict, lost := c.conflicts[key]; lost {
		problems = append(problems, conflict)
	}
	return problems
}

func (c *xdsCatalog) serves(key types.NamespacedName) bool {
	entry, known := c.entries[key]
	_, lost := c.conflicts[key]
	return known && !lost && len(entry.problems) == 0
}

func (c *xdsCatalog) joinPort(key types.NamespacedName) {
	port, wanted := xdsPortOf(c.entries[key].exposure.Service)
	if !wanted {
		return
	}
	if c.ports[port] == nil {
		c.ports[port] = map[types.NamespacedName]struct{}{}
	}
	c.ports[port][key] = struct{}{}
}

func (c *xdsCatalog) leavePort(key types.NamespacedName) {
	port, had := xdsPortOf(c.entries[key].exposure.Service)
	if !had {
		return
	}
	delete(c.ports[port], key)
	if len(c.ports[port]) == 0 {
		delete(c.ports, port)
	}
}

func (c *xdsCatalog) notePort(entry xdsEntry, ports map[xdsPort]bool) {
	if port, wanted := xdsPortOf(entry.exposure.Service); wanted {
		ports[port] = true
	}
}

// claimsDiffer: claims are made by the spec and the age of an object.
func claimsDiffer(a, b xdsEntry) bool {
	x, y := a.exposure.Service, b.exposure.Service
	return x.UID != y.UID || x.Generation != y.Generation
}

// portDiffers: what is said on a port follows the spec and the decision, not the endpoints.
func portDiffers(a, b xdsEntry) bool {
	return claimsDiffer(a, b) || (len(a.problems) == 0) != (len(b.problems) == 0) ||
		decisionMoved(a.exposure.Service, b.exposure.Service)
}

// decisionMoved says whether the decision that is followed over xDS is another one.
func decisionMoved(before, after *v1alpha1.ExposedService) bool {
	return !equality.Semantic.DeepEqual(before.Status.Traffic, after.Status.Traffic) || rampOf(before) != rampOf(after)
}

// rampOf is the backend that is handed back to; empty: there is none.
func rampOf(exs *v1alpha1.ExposedService) string {
	if f := exs.Status.Failover; f != nil && f.State != nil && f.State.Ramp != nil {
		return f.State.Ramp.To
	}
	return ""
}
