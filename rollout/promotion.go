package rollout

import (
	"fmt"
	"slices"
	"time"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

const (
	// mostPrevious is how many revisions are remembered that were stable before.
	mostPrevious = 10
	// fastTrackTime is for how long a revision that was stable is known well enough to need no proof.
	fastTrackTime = 24 * time.Hour
	// downTime is for how long stable is without a ready pod before a canary need not be compared with it.
	downTime = 30 * time.Second
)

// waived: no proof is asked of this revision.
func waived(l *look) (string, bool) {
	why := l.waiver()
	if why == "" || l.ownCanary() || l.firstObstacle(beforeWaiver) != "" {
		return "", false
	}
	return fmt.Sprintf("%s gets all calls as it gets its pods, without more proof: %s", l.status.Revision, why), true
}

// beforeWaiver are what even a revision without proof waits for.
var beforeWaiver = []obstacle{paused, unknownWorkload, unseen, notReady, refused}

// notReady: no pod of the canary is.
func notReady(l *look) string { return l.waitsForPods(1) }

// waiver says why no proof is asked of the revision; nothing: it is.
func (l *look) waiver() string {
	s, w := &l.status, l.seen.Workload
	switch {
	case l.seen.Promote != "" && l.seen.Promote == s.Revision:
		return "the annotation " + v1alpha1.AnnotationPromote + " was set" + l.by(v1alpha1.AnnotationPromote)
	case s.Suspicions > 0:
		return "" // Whatever it was before, it is suspected now.
	case l.settings.fastTrack && s.Revision == w.Revision && slices.ContainsFunc(w.Previous, l.wasStable):
		return "it was stable within the last " + fastTrackTime.String()
	case l.unused():
		return "there is nothing to compare it with, because " + l.away
	case l.isDown():
		return "there is nothing to compare it with, because stable has had no ready pod since " + clock(s.StableDownSince.Time)
	}
	return ""
}

// wasStable: the revision was stable a short time ago.
func (l *look) wasStable(revision string) bool {
	return slices.ContainsFunc(l.status.Previous, func(p v1alpha1.PreviousRevision) bool {
		return p.Revision == revision && l.now.Sub(p.Until.Time) < fastTrackTime
	})
}

// noteStable remembers since when stable has no ready pod although its ReplicaSet is to have some.
func (l *look) noteStable() {
	s, w := &l.status, l.seen.Workload
	switch {
	case l.ownCanary() || s.Phase == idle || s.Phase == none || l.scaledDown() || w.Known && w.Stable.Hash != "" && (w.Stable.Ready > 0 || w.Stable.Wants <= 0):
		s.StableDownSince = nil
	case w.Known && w.Stable.Hash != "" && s.StableDownSince == nil:
		s.StableDownSince = micro(l.now)
	}
}

// stableIsDown: stable has no ready pod, as far as is known.
func (l *look) stableIsDown() bool { return l.status.StableDownSince != nil }

// isDown: it has had none for so long that it does not come back by itself.
func (l *look) isDown() bool {
	return l.stableIsDown() && l.now.Sub(l.status.StableDownSince.Time) >= downTime
}

// waive goes on without the steps that are left.
func (l *look) waive() {
	l.status.Waiver = text.Cut(l.waiver(), 256)
	l.nextPart()
}

// releasable: the revision has all the pods that it can have while the workload is held, and the calls that they can carry.
func releasable(l *look) (string, bool) {
	w := l.seen.Workload
	if l.ownCanary() || !w.Known || !w.Found || w.Replicas <= 0 || l.status.Replicas < w.most() ||
		l.status.Weight < w.carry(w.most()) || l.firstObstacle(beforeRelease) != "" {
		return "", false
	}
	return fmt.Sprintf("%s has %s of the calls and %d ready pods: %s is released", l.status.Revision, percentOf(l.status.Weight), l.seen.Canary.Ready, l.status.Target), true
}

// promoted: the workload runs the revision with all of its pods; or another pod template is asked for by now, and this revision, which is
// proved and has the calls, is what that one is to be compared with.
func promoted(l *look) (string, bool) {
	w, s := l.seen.Workload, &l.status
	if s.LiveSince == nil || s.Weight < allParts || w.Known && w.Found && w.Replicas <= 0 {
		return "", false
	}
	if l.desired != "" && l.desired != s.Revision {
		return fmt.Sprintf("%s has all calls, and %s is asked for by now", s.Revision, l.desired), l.seen.Canary.Known && l.seen.Canary.Ready > 0
	}
	return fmt.Sprintf("%s runs %s with %d pods", s.Target, s.Revision, w.Available), w.complete() && w.Revision == s.Revision
}

// endPromotion makes the revision the stable one. It stays where it is: it is the slots that change their roles.
func (l *look) endPromotion() {
	l.takeAsStable()
	l.exchange = true
	l.finish()
	l.setWeight(0)
}

// takeAsStable: the revision is the stable one from now on.
func (l *look) takeAsStable() {
	s := &l.status
	if s.Stable != "" && s.Stable != s.Revision {
		s.Previous = append([]v1alpha1.PreviousRevision{{Revision: s.Stable, Until: *micro(l.now)}}, s.Previous...)
	}
	s.Stable = s.Revision
	s.Previous = slices.DeleteFunc(s.Previous, func(p v1alpha1.PreviousRevision) bool { return p.Revision == s.Stable })
	s.Previous = slices.CompactFunc(s.Previous, func(a, b v1alpha1.PreviousRevision) bool { return a.Revision == b.Revision })
	s.Previous = s.Previous[:min(len(s.Previous), mostPrevious)]
}

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
