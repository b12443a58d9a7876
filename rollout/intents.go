package rollout

import "github.com/headgate/headgate/api/v1alpha1"

// Intents is what the followers are to make true. Each follows its part at every look, whatever the others do; none acts before
// the status of the same outcome is written.
type Intents struct {
	// Target is what they are about, as in the status.
	Target string
	// Workload is what is to become of spec.paused.
	Workload WorkloadIntent
	// Config is the value of the annotation headgate.dev/config that the pod template is to have when it is released; empty: none. While
	// the workload is held its pods stay as they are, and so does the annotation.
	Config string
	// Undo says that the workload, which is held, is to lose the pods of its pod template that Kubernetes has made of it.
	Undo   bool
	Canary CanaryIntent
	// Weight is the canary's share of the calls of the first backend, in parts of 1,000,000.
	Weight int32
	// Ask are the webhooks that are to be asked about the revision and the step, of so many.
	Ask      []string
	Revision string
	Step     int32
	Steps    int
}

// WorkloadIntent is what is to become of the workload's spec.paused.
type WorkloadIntent string

const (
	// WorkloadAsIs touches nothing: too little is known.
	WorkloadAsIs WorkloadIntent = "AsIs"
	// WorkloadHeld pauses it: a changed pod template is not rolled out.
	WorkloadHeld WorkloadIntent = "Held"
	// WorkloadReleased unpauses it: Kubernetes rolls its pod template out.
	WorkloadReleased WorkloadIntent = "Released"
	// WorkloadGivenUp gives up all fields of it.
	WorkloadGivenUp WorkloadIntent = "GivenUp"
)

// CanaryIntent is the canary Deployment and Service that are to be. With a canary Service of the user's own it is empty.
type CanaryIntent struct {
	// Present says that there is to be one. Otherwise Deployment and Service are deleted; the weight is zero, is served, and the
	// last calls have ended.
	Present bool
	// Revision is the one whose pod template it is to have: the workload's, while that is its revision. Empty: the template that
	// it has, whatever the workload's has become.
	Revision string
	// Replicas is how many pods it is to have.
	Replicas int32
}

// intents are what the status comes to.
func (l *look) intents() Intents {
	s := &l.status
	out := Intents{
		Target: s.Target, Workload: l.workloadIntent(), Canary: l.canaryIntent(), Weight: s.Weight,
		Config: l.config(), Undo: l.undoes(), Revision: s.Revision, Step: s.Step, Steps: len(l.settings.steps),
	}
	if l.leaving() && l.firstObstacle(beforeWebhooks) == "" {
		out.Ask = l.unanswered()
	}
	return out
}

// config is the hash of the configuration that the workload's pods are to have been started with.
func (l *look) config() string {
	switch {
	case l.ownCanary():
		return ""
	case l.status.Phase == v1alpha1.RolloutPromoting:
		return ConfigOf(l.status.Revision)
	}
	return ConfigOf(l.status.Stable)
}

func (l *look) workloadIntent() WorkloadIntent {
	s := &l.status
	switch {
	case l.ownCanary(), s.Target == "":
		return WorkloadAsIs
	case l.withdrawn():
		if s.Phase == v1alpha1.RolloutIdle {
			return WorkloadGivenUp
		}
		return WorkloadHeld
	case l.desired == "":
		return WorkloadAsIs
	case l.seen.Workload.PausedBy != "":
		return WorkloadAsIs
	case s.Stable == "":
		return l.holdToAdopt()
	case s.Phase == v1alpha1.RolloutPromoting:
		return WorkloadReleased
	case l.desired == s.Stable && l.seen.Workload.Settled && l.seen.Workload.Others > 0:
		// A promotion was broken off and the template put back: Kubernetes takes the pods back.
		return WorkloadReleased
	}
	return WorkloadHeld
}

// undoes: Kubernetes has begun to roll out what failed, or what came in the middle of a promotion and is untested, before the workload
// was held. Configuration cannot be undone: pods that are made anew read it as it is.
func (l *look) undoes() bool {
	w, stable := l.seen.Workload, l.status.Stable
	return l.workloadIntent() == WorkloadHeld && w.Held && w.Settled && w.Begun > 0 && !l.withdrawn() &&
		l.desired != "" && stable != "" && TemplateOf(l.desired) != TemplateOf(stable)
}

// holdToAdopt holds a Deployment that has rolled out what it has, so that nothing changes while that is taken for stable. If a new pod
// template was faster and has gone into some pods already, they are neither: Kubernetes rolls it out, as it does before Headgate comes.
func (l *look) holdToAdopt() WorkloadIntent {
	w := l.seen.Workload
	switch {
	case !w.Known || !w.Found || !w.Settled:
		return WorkloadAsIs
	case w.Others == 0:
		return WorkloadHeld
	case w.Held && w.Running == "":
		return WorkloadReleased
	}
	return WorkloadAsIs
}

func (l *look) canaryIntent() CanaryIntent {
	s := &l.status
	switch {
	case l.ownCanary():
		return CanaryIntent{}
	case s.Phase == phaseNone:
		return CanaryIntent{}
	case s.Phase == v1alpha1.RolloutIdle:
		// A failed canary stays without pods, for people to look at.
		kept := s.Failed != nil && !l.withdrawn() && (l.desired == "" || l.desired == s.Failed.Revision)
		return CanaryIntent{Present: kept}
	case s.Phase == v1alpha1.RolloutRollingBack, s.Phase == v1alpha1.RolloutHandingOver:
		return CanaryIntent{Present: true, Replicas: s.Replicas}
	}
	return CanaryIntent{Present: true, Revision: s.Revision, Replicas: s.Replicas}
}
