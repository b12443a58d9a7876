package rollout

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
	"github.com/headgate/headgate/rollout/judge"
)

// failed: the canary is worse than is tolerated, or cannot run. It takes nobody's cooperation.
func failed(l *look) (string, bool) {
	if l.status.Phase == releasing && (l.seen.Workload.Stable.Ready <= 0 || l.kept() > 0) {
		return "", false // There is nothing left to go back to.
	}
	if f := l.failure(); f != nil {
		return fmt.Sprintf("%s is rolled back: %s%s", l.status.Revision, f.message, l.onlyConfig()), true
	}
	return "", false
}

// onlyConfig says what people have to know when nothing but configuration has changed: Headgate cannot put that back.
func (l *look) onlyConfig() string {
	if l.ownCanary() || TemplateOf(l.status.Revision) != TemplateOf(l.status.Stable) || l.status.Revision == l.status.Stable {
		return ""
	}
	return "; only its ConfigMaps and Secrets have changed: put them back, for every pod that starts reads them as they are"
}

func (l *look) fail() {
	f := l.failure()
	l.status.Failed = &v1alpha1.FailedRevision{
		Revision: l.status.Revision, Reason: f.reason, Message: text.Cut(f.message+l.onlyConfig(), mostMessage), Time: *micro(l.now), Retry: l.retry(),
	}
	l.takeOut()
}

// takeOut takes the calls from the canary: all of them, if stable has the pods for it.
func (l *look) takeOut() { l.setWeight(min(l.status.Weight, l.kept())) }

// suspected: the canary looks worse than is tolerated, from too few moments to be sure.
func suspected(l *look) (string, bool) {
	if l.status.Evidence == nil || l.status.Weight == 0 || l.judged.Decision != judge.Suspect {
		return "", false
	}
	return fmt.Sprintf("%s looks worse than is tolerated and gets no calls for %s: %s", l.status.Revision, recheckTime, l.numbers()), true
}

func (l *look) suspect() {
	l.status.Suspicions++
	l.takeOut()
}

// rechecked: what was counted until it had no calls any more is judged, and did not suffice.
func rechecked(l *look) (string, bool) {
	return "not sure: it is looked at again, from the first step on",
		l.status.Weight == 0 && l.liveFor(recheckTime) && l.now.Sub(l.status.Since.Time) >= recheckTime
}

// withdrawn: the rollout is not asked for any more.
func withdrawn(l *look) (string, bool) {
	if l.asked {
		return fmt.Sprintf("%s is rolled out instead of %s", l.settings.target, l.status.Target), l.withdrawn()
	}
	return "spec.rollout was removed", true
}

func deleted(l *look) (string, bool) {
	w := l.seen.Workload
	return l.status.Target + " was deleted", !l.ownCanary() && w.Known && !w.Found
}

// reverted: the revision that the first backend runs is asked for again.
func reverted(l *look) (string, bool) {
	return fmt.Sprintf("%s is asked for again instead of %s", l.status.Stable, l.status.Revision),
		l.desired != "" && l.desired == l.status.Stable && !l.goesThrough()
}

// replaced: another revision is asked for.
func replaced(l *look) (string, bool) {
	return fmt.Sprintf("%s is asked for instead of %s", l.desired, l.status.Revision),
		l.desired != "" && l.desired != l.status.Stable && l.desired != l.status.Revision && !l.goesThrough()
}

// goesThrough: the revision was released, and becomes stable whatever is asked for by now: it has all calls, or Kubernetes still gives it more
// pods. Held again before that it would never have all.
func (l *look) goesThrough() bool {
	s, w := &l.status, l.seen.Workload
	return s.Phase == releasing && (s.Weight == allParts || !w.Known || !w.Held || !w.Settled)
}

// interrupted: the first backend does not serve alone, or has no pods.
func interrupted(l *look) (string, bool) {
	if l.away != "" && !l.unused() && !(l.left && l.isDown()) {
		return "suspended, because " + l.away, true
	}
	return scaledToZero(l)
}

// scaledToZero: the workload is to have no pods, and none of a version that is not proved is to come first when it has some again.
func scaledToZero(l *look) (string, bool) {
	return "suspended, because " + l.status.Target + " is scaled to zero", l.scaledDown()
}

// lost: the canary has weight and no ready pod. It tries again from the first step: an eviction is no failure, and a pod that crashes again
// and again says so itself.
func lost(l *look) (string, bool) {
	if l.status.Weight == 0 || !l.dead() || l.status.Phase == releasing && l.seen.Workload.Stable.Ready <= 0 {
		return "", false
	}
	return fmt.Sprintf("the canary lost its last ready pod with %s of the calls; starts again at the first step", percentOf(l.status.Weight)), true
}

func (l *look) lose() {
	l.status.Lost++
	l.restart()
}

func dropped(l *look) (string, bool) {
	return "the canary has no ready pod any more and gets no calls", l.status.Weight > 0 && l.dead()
}

// gone: the canary's weight is zero, and its last calls have ended.
func gone(l *look) (string, bool) { return "the canary's last calls have ended", l.drained() }

// begun: there are pods of a version that is not to run, because somebody has resumed the workload, nobody held it in time, or Kubernetes had
// no other version to start when it was scaled from zero.
func begun(l *look) (string, bool) {
	w, s := l.seen.Workload, &l.status
	waits := s.Stable != "" && l.desired != "" && l.desired != s.Stable && !l.withdrawn() && l.traffic.CanaryHash == ""
	if !waits || !w.Held || !w.Settled || w.Begun <= 0 || !l.seen.Canary.Known || !l.distinct() || !l.rejected() && (l.runsIt() || w.Stable.Ready <= 0) {
		return "", false
	}
	return fmt.Sprintf("pods of %s in %s: %d, and it is not to run; they are taken back", l.desired, s.Target, w.Begun), true
}

// takeBack treats the pods as those of a canary that has failed: it has the calls for which stable has no pods yet.
func (l *look) takeBack() {
	s := &l.status
	known := s.Revision == l.desired && !l.dead()
	s.Revision, s.Replicas = l.desired, l.seen.Workload.most()
	if known {
		l.setWeight(l.uncovered())
	}
}

func (l *look) endRollback() {
	s := &l.status
	s.Step, s.StepStarted, s.LiveSince, s.Replicas, s.Verdicts, s.Waiver = 0, nil, nil, 0, nil, ""
	s.StableDownSince, s.PodsNotReadySince = nil, nil
}

func (l *look) finish() {
	l.endRollback()
	l.status.Evidence, l.status.Plan, l.status.Suspicions = nil, nil, 0
}

// removable: what was made for the rollout is gone, and the workload is given up.
func removable(l *look) (string, bool) {
	w, c := l.seen.Workload, l.seen.Canary
	return l.status.Target + " is not rolled out by Headgate any more",
		l.withdrawn() && (l.ownCanary() || w.Known && (!w.Found || !w.Held && !w.Guarded) && c.Known && l.traffic.CanaryHash == "")
}
