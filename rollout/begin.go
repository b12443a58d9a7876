package rollout

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

// added: the spec has a rollout, and the status has none.
func added(l *look) (string, bool) {
	return "new versions of " + l.settings.target + " are shipped step by step", l.asked
}

func (l *look) add() {
	l.status = v1alpha1.RolloutStatus{Target: l.settings.target}
}

// stableGone: the workload was deleted. If it comes back, whatever it runs then is stable.
func stableGone(l *look) (string, bool) {
	w := l.seen.Workload
	return l.status.Target + " does not exist any more", !l.withdrawn() && !l.ownCanary() && l.status.Stable != "" && w.Known && !w.Found
}

func (l *look) forgetStable() { l.status.Stable, l.status.Failed = "", nil }

// adoptable: what the workload runs becomes known. A rollout of Kubernetes' own that is under way is left to end first.
func adoptable(l *look) (string, bool) {
	revision := l.adopted()
	if l.runsIt() {
		return fmt.Sprintf("%s runs %s with all its pods already, and not %s", l.status.Target, revision, l.status.Stable), revision != ""
	}
	return l.status.Target + " runs " + revision, revision != ""
}

// adopted is the revision to adopt as stable, or nothing.
func (l *look) adopted() string {
	w := l.seen.Workload
	if l.withdrawn() || l.ownCanary() || !w.Known || !w.Found || !w.Settled {
		return ""
	}
	switch stable := l.status.Stable; {
	case stable == "" && !w.Held && !w.Guarded && w.PausedBy == "":
		// A pod template that comes before it is held would go into pods of what is taken for stable.
		return ""
	case stable == "" && w.Others == 0:
		return w.Revision
	case stable == "":
		return w.Running // Somebody, perhaps an earlier Headgate, holds a newer pod template back.
	case stable != "" && TemplateOf(stable) == TemplateOf(w.Revision) && (ConfigOf(stable) == "") != (ConfigOf(w.Revision) == ""):
		return w.Revision // trackConfig was turned on or off: the same version has another name now.
	case l.runsIt() && l.rejected() && w.Held:
		// Nobody has resumed it: Kubernetes had no other version to start. It is taken back.
		return ""
	case l.runsIt() && (w.Held || w.Guarded || l.rejected() && w.PausedBy == "") && w.complete():
		return w.Revision
	}
	return ""
}

// runsIt: all pods of the workload are of a new revision already. Somebody has resumed it while nobody looked, or a new API server gives
// every pod template another hash. A canary of it would be compared with itself. Until all pods are ready what has begun may still be
// taken back. Before it is settled this is what was the case before the
// last change, which may be that it was held or that the revision is new.
func (l *look) runsIt() bool {
	w, s := l.seen.Workload, &l.status
	return w.Known && w.Found && w.Others == 0 && w.Running == w.Revision && s.Stable != "" && w.Revision != s.Stable
}

func (l *look) adopt() {
	l.status.Stable = l.adopted()
	if l.status.Failed != nil && l.status.Failed.Revision == l.status.Stable {
		l.status.Failed = nil // It is what runs now, whatever it was.
	}
	l.exchange = l.traffic.CanaryHash != "" && l.traffic.CanaryHash == l.seen.Workload.Next
}

// restarted: somebody wants all pods replaced, and nothing else.
func restarted(l *look) (string, bool) {
	w := l.seen.Workload
	return fmt.Sprintf("%s differs from %s by the time of a restart alone: Kubernetes replaces the pods of %s", l.desired, l.status.Stable, l.status.Target),
		l.settings.restarts == v1alpha1.RestartRelease && w.Known && w.Restart && !l.withdrawn() && w.PausedBy == "" && !l.settings.paused &&
			l.desired != "" && l.status.Stable != "" && l.desired != l.status.Stable && l.traffic.CanaryHash == ""
}

func (l *look) releaseRestart() { l.status.Stable, l.status.Failed = l.desired, nil }

// putBack: the pod template of a revision that failed was put back. If it comes again it is tried again.
func putBack(l *look) (string, bool) {
	return "the stable revision " + l.status.Stable + " is asked for again",
		!l.withdrawn() && l.status.Failed != nil && l.desired != "" && l.desired == l.status.Stable
}

func (l *look) clearFailure() { l.status.Failed = nil }

// startable: there is a new revision, and nothing keeps it.
func startable(l *look) (string, bool) {
	if l.withdrawn() || l.desired == "" || l.desired == l.status.Stable || l.unstartable() != "" {
		return "", false
	}
	if l.aborted() {
		return "", false
	}
	steps := fmt.Sprintf("in %d steps", len(l.settings.steps))
	if l.settings.chosen {
		steps = "in steps that the traffic decides"
	}
	if l.status.Stable == "" {
		return fmt.Sprintf("%s is to be shipped, %s", l.desired, steps), true
	}
	return fmt.Sprintf("%s is to take the place of %s, %s", l.desired, l.status.Stable, steps), true
}

// unstartable says what keeps a new revision from being shipped.
func (l *look) unstartable() string {
	switch {
	case l.status.Stable == "" && !l.ownCanary():
		return "waits until " + l.status.Target + " has rolled out what it has"
	case l.rejected():
		return l.desired + " was rolled back and is not tried again; change it, or the annotation " + v1alpha1.AnnotationRetry
	case l.runsIt() && !l.seen.Workload.Settled:
		return l.desired + " waits until the controller of " + l.status.Target + " has seen it"
	case l.runsIt() && l.seen.Workload.PausedBy == "":
		return l.status.Target + " runs " + l.desired + " with all its pods already: it is stable as soon as it is held and all are available"
	case l.settings.paused:
		return "paused before " + l.desired
	case l.seen.Workload.PausedBy != "":
		return l.desired + " waits: " + l.pausedBySomebody()
	case l.away != "" && !l.unused():
		return l.desired + " waits: " + l.away
	case l.scaledDown():
		return l.desired + " waits: " + l.status.Target + " is scaled to zero"
	case !l.ownCanary() && l.traffic.CanaryHash != "":
		return l.desired + " waits until the pods of the version before have ended"
	case !l.ownCanary() && !l.seen.Workload.Settled:
		return l.desired + " waits until the controller of " + l.status.Target + " has seen it"
	case !l.ownCanary() && !l.seen.Workload.Held:
		return l.desired + " waits until " + l.status.Target + " is held"
	case !l.ownCanary() && !l.distinct():
		return l.desired + " waits until the ReplicaSet of " + l.status.Stable + " is known" + because(l.seen.Canary.Why)
	}
	return ""
}

// rejected: the revision was rolled back and is not tried again.
func (l *look) rejected() bool {
	failed := l.status.Failed
	return failed != nil && failed.Revision == l.desired && failed.Retry == l.retry()
}

// pausedBySomebody says that somebody else has paused the workload, which is theirs to end, and how.
func (l *look) pausedBySomebody() string {
	return fmt.Sprintf("%s was paused by %s: resume it (spec.paused: false), and Headgate ships what it holds", l.status.Target, l.seen.Workload.PausedBy)
}

// retry is the value of the annotation, as the status holds it.
func (l *look) retry() string { return text.Cut(l.seen.Retry, 256) }

func (l *look) start() {
	s := &l.status
	if s.Revision != l.desired {
		s.Attempt = 0
	}
	s.Revision, s.Failed, s.Lost, s.Suspicions, s.Evidence, s.Plan = l.desired, nil, 0, 0, l.newEvidence(), nil
	l.settings = settingsOf(l.spec, nil)
	l.restart()
}

// upgraded: the rollout was begun by a version of Headgate that ran the canary in a Deployment of its own. That one goes, and the
// pods that Kubernetes may have made of the revision are the canary.
func upgraded(l *look) (string, bool) {
	return "it was begun by an earlier version of Headgate, with a canary beside the Deployment: starts again at the first step",
		!l.ownCanary() && l.traffic.StableHash == "" && !l.withdrawn() && l.desired == l.status.Revision && l.distinct()
}

func (l *look) upgrade() {
	l.status.Replicas = 0
	l.restart()
}

// upgradedAtTheEnd: only a canary of the user's own hands its share over.
func upgradedAtTheEnd(l *look) (string, bool) {
	return "it was begun by an earlier version of Headgate, whose canary is no longer needed", !l.ownCanary()
}

// restart goes to the first step. What speaks against the revision stays.
func (l *look) restart() {
	s := &l.status
	s.Step, s.StepStarted, s.Verdicts, s.Waiver = 1, nil, nil, ""
	s.Attempt++
	l.setWeight(0)
	l.askAfresh()
}

// resumable: the first backend serves alone again, with pods.
func resumable(l *look) (string, bool) {
	why := "starts again at the first step"
	back := l.away == ""
	if l.left && l.isDown() {
		why, back = "stable has had no ready pod since "+clock(l.status.StableDownSince.Time)+", so that nothing is left to wait for: "+why, true
	}
	return why, back && !l.scaledDown() && l.desired != "" && !l.settings.paused
}
