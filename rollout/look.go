package rollout

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/rollout/judge"
)

// phaseNone is that of an ExposedService without a rollout.
const phaseNone v1alpha1.RolloutPhase = ""

// look is what one look knows, and the status that it works on. Rules only read it; what a transition does changes the status.
type look struct {
	now      time.Time
	spec     *v1alpha1.Rollout
	settings settings
	// asked: the spec has a rollout.
	asked bool
	seen  Observation
	// desired is the revision that the first backend is to run; empty: not known.
	desired string
	// away says why the first backend does not serve alone; empty: it does.
	away string
	// left: another backend serves, and nobody has pinned it: the first one was left because it is worse, and has no calls.
	left bool

	status v1alpha1.RolloutStatus
	// traffic is the decision that the data plane follows before this look.
	traffic v1alpha1.TrafficStatus
	// judged is what the evidence says.
	judged judge.Verdict
	// counted: calls were taken in.
	counted bool
	// passed: the verdict on the present step was recorded before this look.
	passed bool
	// exchange: the slots exchange their roles.
	exchange bool
}

// newLook puts together what was decided, what was remembered and what was observed.
func newLook(spec *v1alpha1.ExposedServiceSpec, previous *v1alpha1.ExposedServiceStatus, seen Observation, now time.Time) *look {
	l := &look{
		now: now, spec: spec.Rollout, asked: spec.Rollout != nil, seen: seen, away: away(spec, previous), left: left(spec, previous, &seen.Workload),
		traffic: ptr.Deref(previous.Traffic, v1alpha1.TrafficStatus{}),
	}
	if previous.Rollout != nil {
		l.status = *previous.Rollout.DeepCopy()
		l.resume()
		l.forgetFuture()
	}
	l.settings = settingsOf(l.spec, l.status.Plan)
	l.noteRemoval()
	l.desired = l.desiredRevision()
	l.passed = l.verdictOf(l.status.Step) != nil
	l.confirmLive()
	l.noteStable()
	l.notePods()
	l.measure()
	l.takeCalls()
	return l
}

// desiredRevision is what the first backend is to run, if that is known.
func (l *look) desiredRevision() string {
	switch {
	case l.settings.ownCanary:
		return l.settings.revision
	case l.seen.Workload.Known && l.seen.Workload.Found:
		return l.seen.Workload.Revision
	}
	return ""
}

// away says why the first backend does not serve alone. It knows no words for a status without decision: nothing starts then.
func away(spec *v1alpha1.ExposedServiceSpec, status *v1alpha1.ExposedServiceStatus) string {
	first := spec.Backends[0].Name
	switch {
	case status.Active == "":
		return "it is not decided yet which backend serves"
	case status.Active != first:
		return status.Active + " serves instead of " + first
	case status.Failover != nil && status.Failover.State != nil && status.Failover.State.Ramp != nil:
		return "calls move between " + first + " and " + status.Failover.State.Ramp.To
	}
	return ""
}

// noteRemoval remembers what is to become of what is held when spec.rollout is gone.
func (l *look) noteRemoval() {
	if l.status.Phase == phaseNone || l.withdrawn() {
		return
	}
	l.status.OnRemoval = ""
	if l.settings.onRemoval != v1alpha1.RemovalKeepStable {
		l.status.OnRemoval = l.settings.onRemoval
	}
}

// left says whether another backend serves because the first one is worse.
func left(spec *v1alpha1.ExposedServiceSpec, status *v1alpha1.ExposedServiceStatus, seen *Workload) bool {
	pinned := spec.Failover != nil && spec.Failover.Pin != ""
	moving := status.Failover != nil && status.Failover.State != nil && status.Failover.State.Ramp != nil
	return status.Active != "" && status.Active != spec.Backends[0].Name && !pinned && !moving && !comesBack(spec, status, seen)
}

// comesBack: the first backend had no pods, and has all of them by now, as after a scaling from zero. It serves again when they have been ready for
// long enough, and its version is then to be compared with.
func comesBack(spec *v1alpha1.ExposedServiceSpec, status *v1alpha1.ExposedServiceStatus, seen *Workload) bool {
	if !seen.Known || seen.Stable.Wants <= 0 || seen.Stable.Ready < seen.Stable.Wants || status.Failover == nil || status.Failover.State == nil {
		return false
	}
	return slices.ContainsFunc(status.Failover.State.Backends, func(m v1alpha1.BackendMemory) bool {
		return m.Name == spec.Backends[0].Name && m.HealthySince != nil && m.Cause != string(v1alpha1.FaultCallsFail)
	})
}

// unused: the first backend has been left, and no call of its canary's can be why: that has had none.
func (l *look) unused() bool {
	s := &l.status
	first := s.Phase == idle || s.Phase == preparing && s.Step <= 1 && s.Weight == 0 && s.Suspicions == 0
	return l.left && !l.ownCanary() && first
}

// forgetFuture lets times ahead of now, which are from a clock that has been put back since, count as now.
func (l *look) forgetFuture() {
	s := &l.status
	s.Since = *micro(earlier(s.Since.Time, l.now))
	times := []**metav1.MicroTime{&s.StepStarted, &s.LiveSince, &s.StableDownSince, &s.PodsNotReadySince}
	if s.Evidence != nil {
		if s.Evidence.CountedUntil == nil {
			s.Evidence.CountedUntil = micro(l.now) // Somebody has written the status who does not count.
		}
		times = append(times, &s.Evidence.CountedUntil)
	}
	for _, t := range times {
		if *t != nil {
			*t = micro(earlier((*t).Time, l.now))
		}
	}
}

// confirmLive takes in whether the data plane serves the canary's weight.
func (l *look) confirmLive() {
	s := &l.status
	switch d := l.seen.DataPlane; {
	case !d.Known:
	case d.Weight != s.Weight:
		s.LiveSince = nil
	case s.LiveSince == nil && s.Phase != phaseNone && s.Phase != v1alpha1.RolloutIdle:
		s.LiveSince = micro(l.now)
	}
}

// withdrawn: the rollout that the status is about is no longer asked for.
func (l *look) withdrawn() bool { return !l.asked || l.settings.target != l.status.Target }

// ownCanary says that the canary is the user's own Service. The status is asked, for it may be about another target than the spec.
func (l *look) ownCanary() bool { return strings.HasPrefix(l.status.Target, "Service/") }

// step is the present step, or the last one if the spec has fewer by now.
func (l *look) step() step { return l.settings.steps[l.stepIndex()] }

func (l *look) stepIndex() int {
	return min(max(int(l.status.Step), 1), len(l.settings.steps)) - 1
}

func (l *look) lastStep() bool { return int(l.status.Step) >= len(l.settings.steps) }

// dead: the canary is known to have no ready pod.
func (l *look) dead() bool {
	return l.seen.Canary.Known && (!l.seen.Canary.Found || l.seen.Canary.Ready <= 0)
}

// scaledDown: the workload is to have no pods.
func (l *look) scaledDown() bool {
	w := l.seen.Workload
	return !l.ownCanary() && w.Known && w.Found && w.Replicas <= 0
}

// setWeight gives the canary a weight, which no data plane serves yet.
func (l *look) setWeight(weight int32) {
	if l.status.Weight != weight {
		l.status.Weight, l.status.LiveSince = weight, nil
	}
}

// liveFor says whether the weight has been served for so long.
func (l *look) liveFor(d time.Duration) bool {
	return l.status.LiveSince != nil && l.now.Sub(l.status.LiveSince.Time) >= d
}

// drained: the canary's weight is zero, and the last calls have ended.
func (l *look) drained() bool { return l.status.Weight == 0 && l.liveFor(drainTime) }
