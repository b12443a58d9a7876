package rollout

import "github.com/headgate/headgate/api/v1alpha1"

// resize gives the canary the pods that its weight takes, or that of the step that is prepared.
func (l *look) resize() {
	s := &l.status
	w := l.seen.Workload
	if l.ownCanary() || !w.Known || !w.Found {
		return
	}
	switch s.Phase {
	case v1alpha1.RolloutPreparing, v1alpha1.RolloutStepping, v1alpha1.RolloutAwaitingApproval:
		want := size(max(s.Weight, l.step().weight), w, s.Replicas)
		if s.Suspicions > 0 {
			// Its pods are warm by now. New ones could be suspected for being new.
			want = max(want, min(s.Replicas, max(w.Replicas, 1)))
		}
		if s.LiveSince == nil {
			// The data plane may still serve a larger weight than the status has.
			want = max(want, min(s.Replicas, max(w.Replicas, 1)))
		}
		s.Replicas = want
	case v1alpha1.RolloutPromoting:
		s.Replicas = size(s.Weight, w, s.Replicas)
	case v1alpha1.RolloutSuspended:
		if l.drained() {
			s.Replicas = min(s.Replicas, max(w.Replicas, 0))
		}
	}
}

// size is how many pods a weight takes: its share of the workload's ready pods, at least one, at most as many as the workload is
// to have. While the workload lacks ready pods the canary keeps the pods that it has, for it has more to do then, not less.
func size(weight int32, w Workload, before int32) int32 {
	share := (int64(max(w.Ready, 0))*int64(weight) + allParts - 1) / allParts
	want := int32(max(share, 1)) //nolint:gosec // at most w.Ready
	if w.Ready < w.Replicas {
		want = max(want, before)
	}
	return min(want, max(w.Replicas, 1))
}
