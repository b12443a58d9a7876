package rollout

import "github.com/headgate/headgate/api/v1alpha1"

// A held Deployment has as many pods as in a rolling update: its replicas and maxSurge. They are shared between stable and canary, so that
// no pod ever has more calls than its fair share in a rolling update, in which maxUnavailable of the replicas may be missing:
//
//	size   the canary's share of all pods: what it is to have at a weight
//	need   the pods without which a weight is not given to it, or left to stable
//	carry  the weight that so many ready pods can have
//
// A weight and the pods for it so rise in turns: pods as far as stable can do without them at the present weight, then the weight that they
// can carry. That is also the order in which a promotion goes, up to all calls.

// all is how many pods there may be.
func (w Workload) all() int32 { return w.Replicas + w.Surge }

// least is how many pods carry all calls in a rolling update.
func (w Workload) least() int32 { return max(w.Replicas-w.Unavailable, 1) }

// most is how many pods a canary has that is not promoted: stable keeps one, because Kubernetes gives all to the only version with pods.
func (w Workload) most() int32 { return max(w.Replicas-1, 1) }

// size is how many pods a weight takes.
func (w Workload) size(weight int32) int32 {
	return min(max(portionUp(w.all(), weight), 1), w.most())
}

// need is how many ready pods a weight asks for.
func (w Workload) need(weight int32) int32 {
	return min(portionUp(w.least(), weight), w.most())
}

// carry is the weight that ready pods can have.
func (w Workload) carry(ready int32) int32 {
	if ready >= w.need(allParts) && w.least() <= w.most() {
		return allParts
	}
	return int32(min(int64(max(ready, 0))*allParts/int64(w.least()), allParts)) //nolint:gosec // at most allParts
}

// portionUp is a share of a number of pods, rounded up. A weight may be one part less than what was meant, because it was rounded itself.
func portionUp(of, weight int32) int32 {
	if weight < allParts {
		weight = max(weight-1, 0)
	}
	return int32((int64(max(of, 0))*int64(weight) + allParts - 1) / allParts) //nolint:gosec // at most of
}

// goal is the weight that the canary is on its way to.
func (l *look) goal() int32 {
	switch l.status.Phase {
	case v1alpha1.RolloutPreparing, v1alpha1.RolloutStepping, v1alpha1.RolloutAwaitingApproval:
		return max(l.status.Weight, l.step().weight)
	case v1alpha1.RolloutPromoting:
		return allParts
	}
	return l.status.Weight
}

// resize gives the canary the pods that the weight takes which it is on its way to, as far as stable can do without them. Before the
// data plane serves the present weight nobody knows how many those are.
func (l *look) resize() {
	s, w := &l.status, l.seen.Workload
	if l.ownCanary() || !w.Known || !w.Found || w.Replicas <= 0 {
		return
	}
	switch s.Phase {
	case v1alpha1.RolloutPreparing, v1alpha1.RolloutStepping, v1alpha1.RolloutAwaitingApproval, v1alpha1.RolloutPromoting:
		want := w.size(l.goal())
		if s.LiveSince == nil {
			s.Replicas = min(max(s.Replicas, 1), w.most())
			return
		}
		spare := w.all() - portionUp(w.least(), allParts-s.Weight)
		if l.stableIsDown() {
			spare = want // It has no calls to lose.
		}
		s.Replicas = min(want, max(spare, s.Replicas, 1))
	case v1alpha1.RolloutRechecking, v1alpha1.RolloutRollingBack, v1alpha1.RolloutSuspended:
		s.Replicas = min(s.Replicas, w.most())
		if s.LiveSince != nil {
			// Stable gets its own back as soon as it has the calls. What the canary has left has to end.
			s.Replicas = min(s.Replicas, max(w.need(s.Weight), w.Surge, 1))
		}
	}
}

// follow lets the weight follow the pods: up in a promotion, down while a canary is taken out and stable gets its pods back. Between two
// steps it rises to that of the next one as far as there are pods for it.
func (l *look) follow() {
	s, w := &l.status, l.seen.Workload
	if l.ownCanary() || !w.Known || !w.Found || !l.seen.Canary.Known {
		return
	}
	switch s.Phase {
	case v1alpha1.RolloutPreparing:
		proved := s.Step <= 1 || l.verdictOf(s.Step-1) != nil
		if proved && l.usable() < w.need(l.step().weight) && l.firstObstacle(beforeMore) == "" {
			l.raise(min(l.step().weight, w.carry(l.usable())))
		}
	case v1alpha1.RolloutPromoting:
		if l.firstObstacle(beforeMore) == "" {
			l.raise(w.carry(l.usable()))
		}
	case v1alpha1.RolloutReleasing:
		if ready := l.seen.Canary.Ready; ready > 0 && l.status.LiveSince != nil {
			l.raise(int32(int64(ready) * allParts / int64(ready+max(w.Stable.Ready, 0)))) //nolint:gosec // at most allParts
		}
	case v1alpha1.RolloutRechecking, v1alpha1.RolloutRollingBack, v1alpha1.RolloutSuspended:
		l.setWeight(min(s.Weight, l.kept()))
	}
}

// usable is how many pods of the canary are taken for good: ready for minReadySeconds, as in a rolling update.
func (l *look) usable() int32 {
	if l.ownCanary() {
		return l.seen.Canary.Ready
	}
	return l.seen.Canary.Available
}

// raise gives the canary more weight, if it is more.
func (l *look) raise(weight int32) {
	if weight > l.status.Weight {
		l.setWeight(weight)
	}
}

// kept is the weight that a canary which is taken out keeps, because stable has not the pods for it yet: a pod of stable has up to twice its
// fair share. With the usual settings it is nothing even at the end of a promotion.
func (l *look) kept() int32 {
	w := l.seen.Workload
	if l.ownCanary() || !w.Known || !w.Found || w.Stable.Hash == "" || l.traffic.CanaryHash == "" || l.dead() {
		return 0
	}
	return l.uncovered()
}

// uncovered is the weight for which stable has no pods.
func (l *look) uncovered() int32 {
	w := l.seen.Workload
	return allParts - int32(min(2*int64(w.carry(w.Stable.Ready)), allParts)) //nolint:gosec // at most allParts
}
