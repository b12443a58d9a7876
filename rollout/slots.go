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
		ended := l.seen.Canary.Known && l.seen.Canary.Endpoints == 0 && l.seen.Canary.Wants == 0 && !w.Stable.Marked
		if out.CanaryHash != "" && (!w.Known || w.Found) && ended || w.Known && !w.Found {
			out.StableHash, out.CanaryHash = "", ""
		}
	case (out.StableHash == "" || out.CanaryHash == "") && l.distinct():
		out.StableHash, out.CanaryHash = w.Stable.Hash, w.Next
	}
}

// distinct: the pods of both versions can be told apart.
func (l *look) distinct() bool {
	w := l.seen.Workload
	return w.Stable.Hash != "" && w.Next != "" && w.Stable.Hash != w.Next
}
