package rollout

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
)

// promoted: the workload runs the revision with all of its pods.
func promoted(l *look) (string, bool) {
	w := l.seen.Workload
	return fmt.Sprintf("%s runs %s with %d pods; the canary hands its share over", l.status.Target, l.status.Revision, w.Available),
		!l.ownCanary() && w.complete() && w.Revision == l.status.Revision
}

// takeAsStable: the revision is the stable one from now on.
func (l *look) takeAsStable() { l.status.Stable = l.status.Revision }

// servesAll: the user's own canary has everything.
func servesAll(l *look) (string, bool) {
	return fmt.Sprintf("%s has all calls; change the first backend to it, and set the annotation %s to it", l.status.Revision, v1alpha1.AnnotationSwapped),
		l.ownCanary() && l.status.LiveSince != nil
}

func swapped(l *look) (string, bool) {
	return "the first backend runs " + l.status.Revision + "; the canary hands its share over",
		l.seen.Swapped == l.status.Revision
}

// handsOver: the share has been served beside pods that are all of the revision for a while, and the next one is smaller.
func handsOver(l *look) (string, bool) {
	why := "the canary gives its last calls back"
	if keeps := smaller(l.status.Weight); keeps > 0 {
		why = fmt.Sprintf("the canary keeps %s of the calls", percentOf(keeps))
	}
	return why, l.status.Weight > 0 && l.liveFor(handOverTime) && l.now.Sub(l.status.Since.Time) >= handOverTime
}

func (l *look) handOver() { l.setWeight(smaller(l.status.Weight)) }

// smaller is a quarter of a share, or nothing if that is less than a percent: the workload's pods are warm by then.
func smaller(weight int32) int32 {
	if weight /= 4; weight >= allParts/100 {
		return weight
	}
	return 0
}
