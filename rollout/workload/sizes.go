package workload

import (
	"math"
	"slices"
	"time"
)

// Role is what a ReplicaSet is to a rollout.
type Role int

const (
	// RoleOther is a version that is neither: it is to lose its pods.
	RoleOther Role = iota
	// RoleStable is the stable version.
	RoleStable
	// RoleCanary is the canary.
	RoleCanary
)

// ReplicaSet is one of a held Deployment's.
type ReplicaSet struct {
	Name    string
	Created time.Time
	Role    Role
	// Replicas is how many pods it is to have.
	Replicas int32
	// Most is what the Deployment's controller has noted on it last: the Deployment's size with surge.
	Most int32
}

// Scale is how the pods of a held Deployment are to be shared out.
type Scale struct {
	// Replicas is how many pods the Deployment is to have, Surge how many more its strategy allows.
	Replicas, Surge int32
	// Canary is how many of them the canary is to have. It never gets all of two or more.
	Canary int32
}

// Size is how many pods a ReplicaSet is to have. It is written with Notes.
type Size struct {
	Name     string
	Replicas int32
}

const (
	// writesAhead is how many writes Sizes looks ahead. No state needs more.
	writesAhead = 3
	// controls is how many syncs of the controller follow a write, at most: one shares out, and one gives what is left alone all.
	controls = 2
	// intolerable is how many pods that are moved weigh as much as one that is untested.
	intolerable = 1000
)

// Sizes is the next write on the way to a canary of the wanted size, to others without pods, and to a stable version that has the rest;
// nil: it is so, or the Deployment's controller has yet to act.
//
// The controller of a paused Deployment goes on scaling (`scale` in pkg/controller/deployment/sync.go), and undoes most writes:
//
//  1. The only ReplicaSet with pods gets the full size. Its notes are left alone if it has that.
//  2. If the one with the Deployment's template has the full size, by its notes too, and is available, all others lose their pods. Only
//     stable can be that, because all others are marked; it is then what is wanted, and Sizes need not know.
//  3. Otherwise the sum is made the size with surge: if the notes say that it was another one, by proportion; and then the largest gains
//     what is missing, or loses what is too much. Of equal ones the newest gains, and the oldest loses.
//
// So a write moves pods between what is written and what is the largest then. A write holds that leads to the wanted sizes by these rules,
// at once or with others after it. Each is followed by the controller, and no version that is untested has more pods on the way than
// before or than wanted. Where stable has lost all pods, and several others have some, there may be no such way: one of those then gets the
// pods of the others first.
func Sizes(want Scale, sets []ReplicaSet) *Size {
	p := newPlan(want, sets)
	if p == nil {
		return nil
	}
	if stale := p.stale(); stale != nil {
		return stale
	}
	if !p.atRest(p.sets) || p.reached(p.sets) {
		return nil
	}
	for _, p.strict = range []bool{true, false} {
		for writes := 1; writes <= writesAhead; writes++ {
			if first, _ := p.search(p.sets, writes); first != nil {
				return first
			}
		}
	}
	return nil
}

// plan is what Sizes works on: the stable set, the canary and all others that have pods.
type plan struct {
	size, total int32
	sets        []ReplicaSet
	// goal is how many pods each is to have.
	goal []int32
	// others is how many of the others have pods.
	others int
	// strict: no untested version may get more pods than it has or is to have.
	strict bool
}

// newPlan is nil if nothing can be planned: the Deployment has no pods, or no stable version.
func newPlan(want Scale, sets []ReplicaSet) *plan {
	p := &plan{size: want.Replicas, total: want.Replicas + want.Surge}
	canary := min(max(want.Canary, 0), p.size-1)
	stable := -1
	for _, set := range sets {
		switch {
		case set.Role == RoleStable:
			stable = len(p.sets)
		case set.Role == RoleCanary, set.Replicas > 0:
		default:
			continue
		}
		p.sets = append(p.sets, set)
	}
	if p.size <= 0 || stable < 0 {
		return nil
	}
	p.goal = make([]int32, len(p.sets))
	p.goal[stable] = p.size
	for i := range p.sets {
		switch {
		case p.sets[i].Role == RoleCanary && canary > 0:
			p.goal[i], p.goal[stable] = canary, p.total-canary
		case p.sets[i].Role == RoleOther:
			p.others++
		}
	}
	return p
}

// stale corrects the note by which the controller shares out what a change of the size gives or takes, where it does not do so itself.
func (p *plan) stale() *Size {
	active := p.active(p.sets)
	if len(active) != 1 {
		return nil
	}
	set := &p.sets[active[0]]
	if set.Most == p.total || set.Replicas != p.size {
		return nil
	}
	return &Size{Name: set.Name, Replicas: set.Replicas}
}

// atRest: the controller has nothing to do.
func (p *plan) atRest(sets []ReplicaSet) bool {
	after := slices.Clone(sets)
	p.control(after)
	return same(after, sets)
}

// reached: the sizes are as they are to be. As long as others have pods it is enough that one of them has lost its own.
func (p *plan) reached(sets []ReplicaSet) bool {
	others, exact := 0, true
	for i := range sets {
		if sets[i].Role == RoleOther && sets[i].Replicas > 0 {
			others++
		}
		exact = exact && sets[i].Replicas == p.goal[i]
	}
	if p.others > 0 {
		return others < p.others
	}
	return exact
}

// search is the first of so many writes that lead to the goal, and how many pods are started and ended on the way, which are as few as can
// be.
func (p *plan) search(sets []ReplicaSet, writes int) (first *Size, moved int32) {
	for i := range sets {
		for _, size := range p.candidates(sets, i) {
			after, ok := p.play(sets, i, size)
			if !ok {
				continue
			}
			cost := movement(sets, after) + intolerable*p.growth(sets, after)
			switch {
			case first != nil && cost >= moved:
				continue
			case p.reached(after):
			case writes > 1:
				next, more := p.search(after, writes-1)
				if next == nil || first != nil && cost+more >= moved {
					continue
				}
				cost += more
			default:
				continue
			}
			first, moved = &Size{Name: sets[i].Name, Replicas: size}, cost
		}
	}
	return first, moved
}

// candidates are the writes to a set that may lead to something: what it is to have, and what makes it larger or smaller than another by
// one, or as large.
func (p *plan) candidates(sets []ReplicaSet, of int) []int32 {
	set := &sets[of]
	sizes := []int32{p.goal[of], p.goal[of] - 1, 0, set.Replicas - 1, p.total}
	for i := range sets {
		if other := sets[i].Replicas; i != of && other > 0 {
			sizes = append(sizes, other-1, other, other+1, set.Replicas+other)
		}
	}
	var out []int32
	for i, size := range sizes {
		if size >= 0 && size != set.Replicas && !slices.Contains(sizes[:i], size) {
			out = append(out, size)
		}
	}
	return out
}

// play is what comes of a write, and whether that may be.
func (p *plan) play(sets []ReplicaSet, i int, size int32) ([]ReplicaSet, bool) {
	after := slices.Clone(sets)
	p.scale(&after[i], size)
	if !p.bearable(sets, after) {
		return nil, false
	}
	for range controls {
		p.control(after)
		if !p.bearable(sets, after) {
			return nil, false
		}
	}
	return after, p.atRest(after) && !same(after, sets)
}

// bearable: pods are left, and no untested version has got more than it may.
func (p *plan) bearable(before, after []ReplicaSet) bool {
	pods := false
	for i := range after {
		pods = pods || after[i].Replicas > 0
	}
	return pods && !(p.strict && p.growth(before, after) > 0)
}

// growth is how many pods untested versions have got that they had not and are not to have.
func (p *plan) growth(before, after []ReplicaSet) (n int32) {
	for i := range after {
		if after[i].Role != RoleStable {
			n += max(0, after[i].Replicas-max(before[i].Replicas, p.goal[i]))
		}
	}
	return n
}

// control does what the controller does.
func (p *plan) control(sets []ReplicaSet) {
	active := p.active(sets)
	switch {
	case len(active) == 0:
	case len(active) == 1:
		if set := &sets[active[0]]; set.Replicas != p.size {
			p.scale(set, p.size)
		}
	default:
		p.share(sets, active)
	}
}

// share makes the sum what it is to be. What the notes say of the sum before comes first.
func (p *plan) share(sets []ReplicaSet, active []int) {
	missing := p.total
	for _, i := range active {
		missing -= sets[i].Replicas
	}
	slices.SortFunc(active, func(a, b int) int {
		if d := sets[b].Replicas - sets[a].Replicas; d != 0 {
			return int(d)
		}
		if missing > 0 {
			return byAge(sets[b], sets[a])
		}
		return byAge(sets[a], sets[b])
	})
	left := missing
	for _, i := range active {
		part := int32(0)
		if most := sets[i].Most; left != 0 && most > 0 {
			part = int32(math.Round(float64(sets[i].Replicas)*float64(p.total)/float64(most))) - sets[i].Replicas
			if missing > 0 {
				part = min(part, left)
			} else {
				part = max(part, left)
			}
		}
		left -= part
		p.scale(&sets[i], sets[i].Replicas+part)
	}
	p.scale(&sets[active[0]], max(0, sets[active[0]].Replicas+left))
}

func (p *plan) scale(set *ReplicaSet, replicas int32) {
	set.Replicas, set.Most = replicas, p.total
}

func (p *plan) active(sets []ReplicaSet) []int {
	var out []int
	for i := range sets {
		if sets[i].Replicas > 0 {
			out = append(out, i)
		}
	}
	return out
}

// same: the sets have the same sizes and notes.
func same(a, b []ReplicaSet) bool {
	return slices.EqualFunc(a, b, func(x, y ReplicaSet) bool {
		return x.Replicas == y.Replicas && x.Most == y.Most
	})
}

// byAge orders sets as the controller does, the older ones first.
func byAge(a, b ReplicaSet) int {
	if d := a.Created.Compare(b.Created); d != 0 {
		return d
	}
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// movement is how many pods are started and ended.
func movement(before, after []ReplicaSet) (n int32) {
	for i := range before {
		n += max(before[i].Replicas-after[i].Replicas, after[i].Replicas-before[i].Replicas)
	}
	return n
}
