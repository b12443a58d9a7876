package exposure

import (
	"maps"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/refs"
	"github.com/headgate/headgate/gateway"
)

// grants are the calls that were given to ExposedServices: of two that run at the same time, before either has a route,
// only one must be given them. It is memory only: after a restart the routes say who has what.
type grants struct {
	mu    sync.Mutex
	given map[types.NamespacedName]refs.Claims
	// hosts lead to who was given calls at a host, and covered to who was given calls at a host under a wildcard.
	hosts, covered map[string]names
	// waiting are who was refused calls that somebody was given.
	waiting map[types.NamespacedName]names
}

type names = map[types.NamespacedName]bool

// claim gives an ExposedService what it wants, or says who has it. Without use nothing is given: it cannot use it. freed are
// those who waited for what it had.
func (g *grants) claim(c claimant, rivals []claimant, use bool) (problem *gateway.Problem, freed []types.NamespacedName) {
	key := client.ObjectKeyFromObject(c.exs)
	g.mu.Lock()
	defer g.mu.Unlock()
	c.granted = g.given[key]
	rivals = g.withGrants(c, rivals)
	problem = routeConflict(c, rivals)
	if problem == nil && use {
		return nil, g.set(key, c.wants)
	}
	if problem != nil {
		for _, rival := range rivals {
			if rival.granted.Gateway != "" {
				put(&g.waiting, client.ObjectKeyFromObject(rival.exs), key)
			}
		}
	}
	return problem, g.set(key, refs.Claims{})
}

// withGrants are the rivals with what they were given, and those who were given something that is wanted though neither their
// specs nor their routes say so: a run of theirs is under way.
func (g *grants) withGrants(c claimant, rivals []claimant) []claimant {
	seen := names{client.ObjectKeyFromObject(c.exs): true}
	out := slices.Clone(rivals)
	for i := range out {
		key := client.ObjectKeyFromObject(out[i].exs)
		out[i].granted, seen[key] = g.given[key], true
	}
	add := func(found names) {
		for key := range found {
			if granted := g.given[key]; !seen[key] && len(c.wants.Contests(granted)) > 0 {
				seen[key] = true
				out = append(out, claimant{
					exs:     &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}},
					granted: granted,
				})
			}
		}
	}
	for _, host := range slices.Concat(c.wants.HostKeys(), c.wants.CoverKeys()) {
		add(g.hosts[host])
	}
	for _, wildcard := range c.wants.WideKeys() {
		add(g.covered[wildcard])
	}
	return out
}

// release takes back what was given. It returns who waited for it.
func (g *grants) release(key types.NamespacedName) []types.NamespacedName {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.set(key, refs.Claims{})
}

// set replaces what was given, and returns who waited for some of it that is given no longer.
func (g *grants) set(key types.NamespacedName, claims refs.Claims) []types.NamespacedName {
	before, given := g.given[key]
	for _, host := range before.HostKeys() {
		remove(g.hosts, host, key)
	}
	for _, wildcard := range before.CoverKeys() {
		remove(g.covered, wildcard, key)
	}
	delete(g.given, key)
	if claims.Gateway != "" {
		if g.given == nil {
			g.given = map[types.NamespacedName]refs.Claims{}
		}
		g.given[key] = claims
		for _, host := range claims.HostKeys() {
			put(&g.hosts, host, key)
		}
		for _, wildcard := range claims.CoverKeys() {
			put(&g.covered, wildcard, key)
		}
	}
	if !given || claims.Cover(before) {
		return nil
	}
	freed := slices.Collect(maps.Keys(g.waiting[key]))
	delete(g.waiting, key)
	return freed
}

// remove takes a name out of a set of them.
func remove[K comparable](sets map[K]names, of K, name types.NamespacedName) {
	delete(sets[of], name)
	if len(sets[of]) == 0 {
		delete(sets, of)
	}
}

// put adds a name to a set of them.
func put[K comparable](sets *map[K]names, of K, name types.NamespacedName) {
	if *sets == nil {
		*sets = map[K]names{}
	}
	if (*sets)[of] == nil {
		(*sets)[of] = names{}
	}
	(*sets)[of][name] = true
}
