package rollout

import "github.com/headgate/headgate/api/v1alpha1"

// slots says which slot has which version, and by which pod-template-hashes their Services select. While there may be pods of two versions
// both have one. At rest none has: whatever becomes of the workload then is served.
func (l *look) slots(out *v1alpha1.TrafficStatus) {
	w := l.seen.Workload
	switch {
	case l.ownCanary() && out.Slot == "" && out.StableHash == "" && out.CanaryHash == "":
	case l.exchange:
		// The pods of the version before end where they are.
		out.Slot, out.StableHash, out.CanaryHash = out.Slot.Other(), out.CanaryHash, out.StableHash
		if out.Slot == v1alpha1.SlotBlue {
			out.Slot = ""
		}
	case l.ownCanary() || l.status.Phase == none || l.status.Phase == idle:
		// What is marked is looked after while there are hashes.
		ended := l.seen.Canary.Known && l.seen.Canary.Endpoints == 0 && !w.Stable.Marked
		if out.CanaryHash != "" && (!w.Known || w.Found) && ended || w.Known && !w.Found {
			out.StableHash, out.CanaryHash = "", ""
		} else if out.CanaryHash == "" && l.begun() {
			// They get no calls, and are taken back.
			out.StableHash, out.CanaryHash = w.Stable.Hash, w.Next
		}
	case (out.StableHash == "" || out.CanaryHash == "") && l.distinct():
		out.StableHash, out.CanaryHash = w.Stable.Hash, w.Next
	}
}

// begun: there are pods of a version that is not to run, because somebody has resumed the workload, or nobody held it in time.
func (l *look) begun() bool {
	w := l.seen.Workload
	waits := l.status.Phase == idle && l.status.Stable != "" && l.desired != "" && l.desired != l.status.Stable && !l.withdrawn()
	return waits && w.Held && w.Settled && w.Begun > 0 && w.Stable.Ready > 0 && !l.runsIt() && l.distinct()
}

// distinct: the pods of both versions can be told apart.
func (l *look) distinct() bool {
	w := l.seen.Workload
	return w.Stable.Hash != "" && w.Next != "" && w.Stable.Hash != w.Next
}
