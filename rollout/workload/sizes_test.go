package workload

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// paused is a paused Deployment with the part of Kubernetes' controller that still works on it: `scale` in
// pkg/controller/deployment/sync.go, with what it calls in util/deployment_util.go.
type paused struct {
	size, surge int32
	sets        []fullSet
}

// fullSet is a ReplicaSet with all that the controller looks at.
type fullSet struct {
	ReplicaSet

	// isNew: its pod template is the Deployment's.
	isNew              bool
	available, desired int32
}

// known is what Sizes knows of them.
func (p *paused) known() []ReplicaSet {
	var out []ReplicaSet
	for _, set := range p.sets {
		out = append(out, set.ReplicaSet)
	}
	return out
}

// sync is one sync of the controller; it says whether something has changed.
func (p *paused) sync() bool {
	before := slices.Clone(p.sets)
	p.scale()
	return !slices.Equal(before, p.sets)
}

func (p *paused) scale() {
	if at := p.activeOrLatest(); at != nil {
		p.scaleReplicaSet(at, p.size, false)
		return
	}
	if p.isSaturated() {
		for i := range p.sets {
			if !p.sets[i].isNew && p.sets[i].Replicas > 0 {
				p.scaleReplicaSet(&p.sets[i], 0, false)
			}
		}
		return
	}
	var all []*fullSet
	var total int32
	for i := range p.sets {
		if p.sets[i].Replicas > 0 {
			all = append(all, &p.sets[i])
			total += p.sets[i].Replicas
		}
	}
	allowed := int32(0)
	if p.size > 0 {
		allowed = p.size + p.surge
	}
	toAdd := allowed - total
	switch {
	case toAdd > 0:
		slices.SortFunc(all, func(a, b *fullSet) int { return bySize(a, b, -1) })
	case toAdd < 0:
		slices.SortFunc(all, func(a, b *fullSet) int { return bySize(a, b, 1) })
	}
	added, sizes := int32(0), map[string]int32{}
	for _, set := range all {
		proportion := int32(0)
		if toAdd != 0 {
			proportion = p.proportion(set, toAdd, added)
		}
		sizes[set.Name] = set.Replicas + proportion
		added += proportion
	}
	for i, set := range all {
		if i == 0 && toAdd != 0 {
			sizes[set.Name] = max(0, sizes[set.Name]+toAdd-added)
		}
		p.scaleReplicaSet(set, sizes[set.Name], true)
	}
}

// bySize orders the larger before the smaller, and equal ones by their age times a sign.
func bySize(a, b *fullSet, sign int) int {
	if a.Replicas != b.Replicas {
		return int(b.Replicas - a.Replicas)
	}
	if d := a.Created.Compare(b.Created); d != 0 {
		return sign * d
	}
	if a.Name < b.Name {
		return -sign
	}
	return sign
}

func (p *paused) activeOrLatest() *fullSet {
	var active, latest *fullSet
	n := 0
	for i := range p.sets {
		set := &p.sets[i]
		if set.Replicas > 0 {
			active = set
			n++
		}
		if latest == nil || !latest.isNew && (set.isNew || set.Created.After(latest.Created)) {
			latest = set
		}
	}
	switch n {
	case 0:
		return latest
	case 1:
		return active
	}
	return nil
}

func (p *paused) isSaturated() bool {
	return slices.ContainsFunc(p.sets, func(s fullSet) bool {
		return s.isNew && s.Replicas == p.size && s.desired == p.size && s.available == p.size
	})
}

func (p *paused) proportion(set *fullSet, toAdd, added int32) int32 {
	if toAdd == added {
		return 0
	}
	fraction, allowed := p.fraction(set), toAdd-added
	if toAdd > 0 {
		return min(fraction, allowed)
	}
	return max(fraction, allowed)
}

func (p *paused) fraction(set *fullSet) int32 {
	if p.size == 0 {
		return -set.Replicas
	}
	before := set.Most
	if before <= 0 {
		for _, s := range p.sets {
			before += s.Replicas // the pods that there are
		}
	}
	return int32(float64(set.Replicas*(p.size+p.surge))/float64(before)+0.5) - set.Replicas
}

func (p *paused) scaleReplicaSet(set *fullSet, to int32, force bool) {
	if !force && set.Replicas == to {
		return
	}
	set.Replicas, set.available = to, min(set.available, to)
	set.desired, set.Most = p.size, p.size+p.surge
}

// write applies what Sizes says.
func (p *paused) write(size *Size) {
	set := &p.sets[slices.IndexFunc(p.sets, func(s fullSet) bool { return s.Name == size.Name })]
	set.Replicas, set.available = size.Replicas, min(set.available, size.Replicas)
	set.desired, set.Most = p.size, p.size+p.surge
}

func (p *paused) String() string {
	text := fmt.Sprintf("%d+%d:", p.size, p.surge)
	for _, set := range p.sets {
		text += fmt.Sprintf(" %s %d/%d", set.Name, set.available, set.Replicas)
		if set.isNew {
			text += "*"
		}
	}
	return text
}

// check says whether no untested set has more than it had or is to have.
func (p *paused) check(before []fullSet, canary int32) error {
	for i, set := range p.sets {
		most := before[i].Replicas
		if set.Role == RoleCanary {
			most = max(most, min(canary, p.size-1))
		}
		if set.Role != RoleStable && set.Replicas > most {
			return fmt.Errorf("%s has %d pods, and may have %d", set.Name, set.Replicas, most)
		}
	}
	return nil
}

// settle lets the controller work until it has nothing to do.
func (p *paused) settle(each func()) {
	for range 20 {
		if !p.sync() {
			return
		}
		each()
	}
	panic("the controller finds no end: " + p.String())
}

func (p *paused) converge(t failer, canary int32, between func()) {
	var path []string
	p.settle(func() {}) // What the controller does before anything is wanted is its own.
	outnumbered := p.outnumbered()
	for range 40 {
		before := slices.Clone(p.sets)
		check := func() {
			path = append(path, p.String())
			if err := p.check(before, canary); err != nil && !outnumbered {
				t.Fatalf("%v; wanted %d:\n%s", err, canary, path)
			}
		}
		p.settle(check)
		size := Sizes(Scale{p.size, p.surge, canary}, p.known())
		if size == nil {
			p.reached(t, canary)
			return
		}
		path = append(path, fmt.Sprintf("write %+v", *size))
		before = slices.Clone(p.sets)
		p.write(size)
		check()
		p.settle(check)
		between()
	}
	t.Fatalf("no end; wanted %d:\n%s", canary, path)
}

// outnumbered: two versions that are untested have pods, and stable no more than each of them.
func (p *paused) outnumbered() bool {
	var stable int32
	for _, set := range p.sets {
		if set.Role == RoleStable {
			stable = set.Replicas
		}
	}
	n := 0
	for _, set := range p.sets {
		if set.Role != RoleStable && set.Replicas > 0 && stable <= set.Replicas {
			n++
		}
	}
	return n > 1
}

func (p *paused) reached(t failer, canary int32) {
	rest, want := p.size, int32(0)
	for _, set := range p.sets {
		if set.Role == RoleCanary {
			want = min(canary, p.size-1)
		}
	}
	if want > 0 {
		rest = p.size + p.surge - want
	}
	for _, set := range p.sets {
		expected := map[Role]int32{RoleStable: rest, RoleCanary: want}[set.Role]
		if set.Replicas != expected {
			t.Fatalf("%s has %d pods, and is to have %d: %s, wanted %d", set.Name, set.Replicas, expected, p, canary)
		}
	}
}

type failer interface {
	Fatalf(format string, args ...any)
}

// From wherever a rolling update or the controller has left the pods, the sizes become what is wanted, and nothing that is untested has
// more pods on the way than before or than wanted.
func TestSizesConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &paused{size: rapid.OneOf(rapid.Int32Range(2, 12), rapid.Int32Range(2, 300)).Draw(t, "size")}
		p.surge = rapid.Int32Range(0, p.size).Draw(t, "surge")
		// A stable version that has the Deployment's template takes the pods of all others by itself.
		canary, stays := rapid.Int32Range(0, p.size+1).Draw(t, "canary"), rapid.Bool().Draw(t, "stable template")
		if stays {
			canary = 0
		}
		p.sets = drawSets(t, p, stays)
		p.converge(t, canary, func() {
			for i := range p.sets {
				p.sets[i].available = rapid.Int32Range(p.sets[i].available, p.sets[i].Replicas).Draw(t, "available")
			}
		})
	})
}

// Whatever an autoscaler does, it takes stable no more than a pod beside its share: nothing untested gets all.
func TestAScaledDeploymentKeepsItsShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &paused{size: rapid.OneOf(rapid.Int32Range(2, 12), rapid.Int32Range(2, 300)).Draw(t, "size")}
		percent := rapid.Int32Range(0, 100).Draw(t, "maxSurge")
		surge := func(size int32) int32 { return (size*percent + 99) / 100 }
		p.surge = surge(p.size)
		canary := rapid.Int32Range(1, p.size-1).Draw(t, "canary")
		for i, n := range []int32{p.size + p.surge - canary, canary} {
			p.sets = append(p.sets, fullSet{available: n, desired: p.size, ReplicaSet: ReplicaSet{
				Name: "sc"[i : i+1], Role: []Role{RoleStable, RoleCanary}[i], Replicas: n, Created: time.Unix(int64(i), 0), Most: p.size + p.surge,
			}})
		}
		share := float64(canary) / float64(p.size+p.surge)
		p.size = rapid.Int32Range(2, 2*p.size).Draw(t, "scaled to")
		p.surge = surge(p.size)
		path := []string{p.String()}
		p.settle(func() {
			path = append(path, p.String())
			for i := range p.sets {
				p.sets[i].available = p.sets[i].Replicas
			}
		})
		if got, may := p.sets[1].Replicas, share*float64(p.size+p.surge)+1; float64(got) > may || p.sets[0].Replicas == 0 && may < float64(p.size+p.surge) {
			t.Fatalf("the canary has %d pods, and may have %.1f: %s", got, may, path)
		}
	})
}

// drawSets are the sets of a Deployment that was held in the middle of what it did.
func drawSets(t *rapid.T, p *paused, stays bool) []fullSet {
	roles := []Role{RoleStable, RoleCanary}
	for range rapid.IntRange(0, 2).Draw(t, "others") {
		roles = append(roles, RoleOther)
	}
	ages := rapid.Permutation([]int{0, 1, 2, 3}[:len(roles)]).Draw(t, "ages")
	var out []fullSet
	left := p.size + p.surge
	for i, role := range roles {
		n := rapid.Int32Range(0, min(left, p.size)).Draw(t, "pods")
		left -= n
		desired, most := p.size, p.size+p.surge
		if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
			desired, most = rapid.Int32Range(0, 20).Draw(t, "desired"), rapid.Int32Range(0, 20).Draw(t, "most")
		}
		out = append(out, fullSet{isNew: stays && role == RoleStable, available: rapid.Int32Range(0, n).Draw(t, "ready"), desired: desired, ReplicaSet: ReplicaSet{
			Name: fmt.Sprintf("%c%d", "osc"[role], i), Role: role, Replicas: n, Most: most,
			Created: time.Unix(int64(ages[i]/rapid.IntRange(1, 2).Draw(t, "same second")), 0),
		}})
	}
	return out
}

// Every state of up to six pods, in either order of age.
func TestSizesOfSmallDeployments(t *testing.T) {
	for size := int32(2); size <= 6; size++ {
		for surge := range int32(4) {
			for stable := int32(0); stable <= size+surge; stable++ {
				for other := int32(0); other <= size+surge-stable; other++ {
					for canary := range size {
						for order := range 6 {
							p := &paused{size: size, surge: surge}
							ages := [][]int64{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}[order]
							for i, n := range []int32{stable, size + surge - stable - other, other} {
								p.sets = append(p.sets, fullSet{available: n, desired: size, ReplicaSet: ReplicaSet{
									Name: []string{"stable", "canary", "other"}[i], Role: []Role{RoleStable, RoleCanary, RoleOther}[i],
									Replicas: n, Created: time.Unix(ages[i], 0), Most: size + surge,
								}})
							}
							p.converge(t, canary, func() {
								for i := range p.sets {
									p.sets[i].available = p.sets[i].Replicas
								}
							})
						}
					}
				}
			}
		}
	}
}
