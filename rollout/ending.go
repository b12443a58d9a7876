package rollout

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
	"github.com/headgate/headgate/rollout/judge"
)

// failed: the canary is worse than is tolerated, or cannot run. It takes nobody's cooperation.
func failed(l *look) (string, bool) {
	if f := l.failure(); f != nil {
		return fmt.Sprintf("%s is rolled back: %s%s%s", l.status.Revision, f.message, l.mixture(), l.onlyConfig()), true
	}
	return "", false
}

// mixture says what becomes of the workload's own pods when a promotion is broken off.
func (l *look) mixture() string {
	w := l.seen.Workload
	if l.status.Phase != promoting || l.ownCanary() || w.Begun == 0 || l.onlyConfig() != "" {
		return ""
	}
	return fmt.Sprintf("; %s loses the %d pods of it that it has already", l.status.Target, w.Begun)
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

// takeOut takes all calls from the canary.
func (l *look) takeOut() { l.setWeight(0) }

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
	return "not sure: it is looked at again, from the first step on", l.liveFor(recheckTime) && l.now.Sub(l.status.Since.Time) >= recheckTime
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
		l.desired != "" && l.desired == l.status.Stable
}

// replaced: another revision is asked for.
func replaced(l *look) (string, bool) {
	return fmt.Sprintf("%s is asked for instead of %s", l.desired, l.status.Revision),
		l.desired != "" && l.desired != l.status.Stable && l.desired != l.status.Revision
}

// interrupted: the first backend does not serve alone, or has no pods.
func interrupted(l *look) (string, bool) {
	if l.away != "" {
		return "suspended, because " + l.away, true
	}
	return "suspended, because " + l.status.Target + " is scaled to zero", l.scaledDown()
}

// lost: the canary has weight and no ready pod. It takes none from the workload, and tries again from the first step; an eviction is no
// failure. While the workload takes the revision itself, the canary is only dropped.
func lost(l *look) (string, bool) {
	if l.status.Weight == 0 || !l.dead() || l.status.Phase == promoting && !l.ownCanary() {
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

func droppedInPromotion(l *look) (string, bool) {
	why, due := dropped(l)
	return why, due && !l.ownCanary()
}

// gone: the canary's weight is zero, and its last calls have ended.
func gone(l *look) (string, bool) { return "the canary's last calls have ended", l.drained() }

func (l *look) endRollback() {
	s := &l.status
	s.Step, s.StepStarted, s.LiveSince, s.Replicas, s.Verdicts = 0, nil, nil, 0, nil
}

func (l *look) finish() {
	l.endRollback()
	l.status.Evidence, l.status.Plan, l.status.Suspicions = nil, nil, 0
}

// removable: what was made for the rollout is gone, and the workload is given up.
func removable(l *look) (string, bool) {
	w, c := l.seen.Workload, l.seen.Canary
	return l.status.Target + " is not rolled out by Headgate any more",
		l.withdrawn() && (l.ownCanary() || w.Known && (!w.Found || !w.Held) && c.Known && !c.Found)
}
