package rollout

import "github.com/headgate/headgate/api/v1alpha1"

// Intents is what the followers are to make true. Each follows its part at every look, whatever the others do; none acts before
// the status of the same outcome is written.
type Intents struct {
	// Target is what they are about, as in the status.
	Target string
	// Workload is what is to become of spec.paused.
	Workload WorkloadIntent
	// Config is the value of the annotation headgate.dev/config that the pod template is to have; empty: none. It makes the configuration
	// of a revision a part of its pod template. It is set only while the workload is held.
	Config string
	Canary CanaryIntent
	// Protect is the pod-template-hash that the selector of the user's own Service is to have; empty: none.
	Protect string
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
	// WorkloadAtRest is for a workload that runs what it has: a changed pod template is held by the admission policy in the write that
	// changes it. Where that is not in force the workload is paused.
	WorkloadAtRest WorkloadIntent = "AtRest"
	// WorkloadHeld pauses it: a changed pod template is not rolled out.
	WorkloadHeld WorkloadIntent = "Held"
	// WorkloadReleased unpauses it: Kubernetes rolls the pod template of Revision out.
	WorkloadReleased WorkloadIntent = "Released"
	// WorkloadGivenUp gives up all fields of it.
	WorkloadGivenUp WorkloadIntent = "GivenUp"
	// WorkloadLeftHeld gives up all fields of it but spec.paused, which stays.
	WorkloadLeftHeld WorkloadIntent = "LeftHeld"
)

// CanaryIntent is the canary's ReplicaSet that is to be. With a canary Service of the user's own it is empty.
type CanaryIntent struct {
	// Present says that there is to be one: that of the pod template of Revision, with Hash. Otherwise what was a canary loses its pods and
	// is deleted, unless it is of the stable revision; its weight is zero, is served, and the last calls have ended.
	Present  bool
	Revision string
	Hash     string
	// Replicas is how many pods it is to have.
	Replicas int32
	// Apart says that it is not the Deployment's: a Deployment of one pod would take the stable one away for it. It belongs to the
	// ExposedService until it is handed over.
	Apart bool
	// StableHash is the pod-template-hash by which the Service of the stable side selects before the canary may have pods.
	StableHash string
}

// intents are what the status comes to, and the slots of the traffic.
func (l *look) intents(traffic *v1alpha1.TrafficStatus) Intents {
	s := &l.status
	out := Intents{
		Target: s.Target, Workload: l.workloadIntent(), Weight: s.Weight,
		Config: l.config(), Revision: s.Revision, Step: s.Step, Steps: len(l.settings.steps),
	}
	if traffic != nil && !l.ownCanary() {
		out.Canary = l.canaryIntent(traffic)
		if l.settings.protect && !l.withdrawn() {
			out.Protect = traffic.StableHash
		}
	}
	if l.leaving() && l.firstObstacle(beforeWebhooks) == "" {
		out.Ask = l.unanswered()
	}
	return out
}

// config is the hash of the configuration that the pod template is to name.
func (l *look) config() string {
	switch {
	case l.ownCanary():
		return ""
	case l.desired != "":
		return ConfigOf(l.desired)
	}
	return ConfigOf(l.status.Stable)
}

func (l *look) workloadIntent() WorkloadIntent {
	s, w := &l.status, l.seen.Workload
	switch {
	case l.ownCanary(), s.Target == "":
		return WorkloadAsIs
	case l.withdrawn():
		switch {
		case s.Phase == releasing:
			return l.release()
		case s.Phase != idle || l.traffic.CanaryHash != "":
			return WorkloadHeld
		case s.OnRemoval == v1alpha1.RemovalRelease || s.Stable == "" || l.desired == "" || l.desired == s.Stable:
			return WorkloadGivenUp
		}
		return WorkloadLeftHeld
	case l.desired == "":
		return WorkloadAsIs
	case w.PausedBy != "":
		return WorkloadAsIs
	case s.Stable == "":
		return l.holdToAdopt()
	case s.Phase == releasing:
		return l.release()
	case s.Phase != idle || l.desired != s.Stable:
		return WorkloadHeld
	case l.traffic.CanaryHash == "" && w.Settled && w.Others > 0:
		// The stable pod template is back, and Kubernetes has pods of another one to replace; or all pods are to be restarted.
		return WorkloadReleased
	}
	return WorkloadAtRest
}

// release releases the workload, unless another pod template came meanwhile.
func (l *look) release() WorkloadIntent {
	if l.desired != l.status.Revision {
		return WorkloadHeld
	}
	return WorkloadReleased
}

// holdToAdopt holds a Deployment that has rolled out what it has, so that nothing changes while that is taken for stable. If a new pod
// template was faster and has gone into some pods already, they are neither: Kubernetes rolls it out, as it does before Headgate comes.
func (l *look) holdToAdopt() WorkloadIntent {
	w := l.seen.Workload
	switch {
	case !w.Known || !w.Found || !w.Settled:
		return WorkloadAsIs
	case w.Others == 0:
		return WorkloadAtRest
	case w.Held && w.Running == "":
		return WorkloadReleased
	}
	return WorkloadAsIs
}

// canaryIntent is the canary that is to be. Without pods of the workload there is none, so that it is not the first to come back.
func (l *look) canaryIntent(traffic *v1alpha1.TrafficStatus) CanaryIntent {
	s, w := &l.status, l.seen.Workload
	out := CanaryIntent{StableHash: traffic.StableHash}
	if s.Phase == none || s.Phase == idle || traffic.CanaryHash == "" || s.Replicas <= 0 || w.Known && w.Found && w.Replicas <= 0 {
		return out
	}
	if s.Phase == rollingBack && l.seen.Canary.Known && !l.seen.Canary.Found {
		return out // It is not made for a rollback.
	}
	out.Present, out.Revision, out.Hash, out.Replicas = true, s.Revision, traffic.CanaryHash, s.Replicas
	// Handed over, the one pod that there is to be is the canary's.
	out.Apart = w.Known && w.Found && w.Replicas == 1 && s.Phase != releasing
	return out
}
