package rollout

import (
	"time"

	"github.com/headgate/headgate/rollout/judge"
)

// Observation is what one look at the world has found, without judgement. Whatever is not known changes nothing.
type Observation struct {
	// Workload is what was found of the Deployment that Target names; with a canary Service of the user's own it stays empty.
	Workload Workload
	Canary   Canary
	// DataPlane is which weight of the canary is served.
	DataPlane DataPlane
	Calls     Calls
	// Gathered is what is kept in memory of the looks before.
	Gathered Gathered
	// Refused is what the followers could not make true of the last intents because it is refused, with the words of who
	// refuses it; empty: nothing.
	Refused string
	// Answers are those of the webhooks, by name.
	Answers map[string]Answer
	// Approve, Retry, Swapped, Promote, Skip and Abort are the values of the annotations of the same names.
	Approve, Retry, Swapped, Promote, Skip, Abort string
	// By is who has set an annotation, by its name: a field manager, as far as that is known.
	By map[string]string
}

// Workload is the Deployment behind the first backend.
type Workload struct {
	// Known says that the other fields were found out; Why says why not.
	Known bool
	Why   string
	// Found says that it exists.
	Found bool
	// Settled says that its controller has seen its newest generation, so that what follows belongs together.
	Settled bool
	// Held says that spec.paused is true, and that Headgate or the admission policy has set it.
	Held bool
	// PausedBy is who else has set spec.paused to true, a field manager; empty: nobody.
	PausedBy string
	// Guarded says that a changed pod template is held by the API server in the write that changes it: the Deployment has Headgate's
	// label, and the admission policy was seen to act on it. It need not be paused at rest.
	Guarded bool
	// Revision is that of its pod template, by workload.Revision.
	Revision string
	// Restart says that its pod template differs from that of Stable by the time of a `kubectl rollout restart` alone.
	Restart bool
	// Running is the revision that all its pods run; empty when they run several, or there are none.
	Running string
	// Others is how many of its pods are not of Revision, Begun is how many have its pod template.
	Others, Begun int32
	// Replicas is how many pods it is to have, Surge how many more a rolling update may start, and Unavailable how many may be missing in
	// one, by its strategy. One of both is above zero.
	Replicas, Surge, Unavailable int32
	// Ready and Available are how many pods are.
	Ready, Available int32
	// Deadline is within which its pods are to be ready (spec.progressDeadlineSeconds); 0: there is none.
	Deadline time.Duration
	// Stable is the ReplicaSet of the stable revision. It is looked for when something else than the stable revision is asked for
	// or remains; without Hash it is not known, or not there.
	Stable ReplicaSet
	// Next is the pod-template-hash that the pods of Revision have, or are to have.
	Next string
	// Previous are the revisions of the ReplicaSets in the revision history that have its pod template, but for the time of a restart.
	Previous []string
}

// ReplicaSet is what one version of the workload has.
type ReplicaSet struct {
	// Hash is the pod-template-hash that its pods have; empty: it does not exist.
	Hash string
	// Wants is how many pods it is to have; Ready and Available are how many are.
	Wants, Ready, Available int32
	// Marked says that it is still marked as the canary that it was.
	Marked bool
}

// Canary is the canary's ReplicaSet, or the endpoints of the user's own canary Service.
type Canary struct {
	// Known says that the other fields were found out; Why says why not. Unread: who has just begun to look has not read them yet, and will
	// in a moment.
	Known, Unread bool
	Why           string
	// Found says that it exists.
	Found bool
	// Revision is that of its pod template; empty for a Service.
	Revision string
	// Wants is how many pods it is to have; Ready is how many of its pods (endpoints) are ready, Available how many for the
	// Deployment's minReadySeconds.
	Wants, Ready, Available int32
	// ReadySince is when the newest of them became ready; zero when that is not known.
	ReadySince time.Time
	// Endpoints is how many endpoints its slot has, in any state.
	Endpoints int32
	// Unserved says that the Service in front of its pods is not there, so that no data plane can send it a call.
	Unserved bool
	// Trouble is what keeps a pod of Revision from running; nil: nothing does, as far as is known.
	Trouble *Trouble
	// Waits is what its pods wait for that is nobody's fault, in the words of Kubernetes: quota, room on a node, an image; empty: nothing.
	Waits string
}

// TroubleKind is what keeps a pod from running. It is also the reason of a failed revision.
type TroubleKind string

const (
	// TroubleCrashLoop: a container ends again and again (CrashLoopBackOff).
	TroubleCrashLoop TroubleKind = "CrashLoop"
	// TroubleImage: the name of an image is none (InvalidImageName).
	TroubleImage TroubleKind = "ImageName"
)

// Trouble is a hard signal: it rolls back without statistics.
type Trouble struct {
	Kind TroubleKind
	// Words are those of the pod or the Deployment itself.
	Words string
}

// DataPlane is what the data planes say of the canary's weight.
type DataPlane struct {
	// Known says that all of them serve the same; Why says why not.
	Known bool
	Why   string
	// Weight is the canary's share of the calls of the first backend that they serve, in parts of 1,000,000: a Gateway's route
	// is accepted at its generation, all connected xDS clients have acknowledged.
	Weight int32
}

// Calls is how many calls both sides have finished since the last look.
type Calls struct {
	// Known says that they were counted. No call in the interval is known as well; Why says why not.
	Known bool
	Why   string
	// Source is who counted them, such as Envoy.
	Source string
	// The calls finished after Start and until End. Intervals must not overlap: one that begins before the end of one that was
	// taken in is left out.
	Start, End time.Time
	// StaleAfter is how long after End they hold. Zero: for ever.
	StaleAfter time.Duration
	// Canary and Stable are the increments of each side. Latencies are from the same histogram, or empty on both.
	Canary, Stable judge.Counts
	// NoLatencies is why there are no latencies; empty: there are.
	NoLatencies string
}

// Answer is what a webhook has answered.
type Answer struct {
	// Revision and Step are what it was asked for.
	Revision string
	Step     int32
	Agrees   bool
	// Words are its answer, or why there is none.
	Words string
}

// tell says whether the calls tell anything.
func (c Calls) tell(now time.Time) bool {
	return c.Known && !c.Start.IsZero() && c.End.After(c.Start) && !(c.StaleAfter > 0 && now.Sub(c.End).Abs() > c.StaleAfter)
}

// complete says that all pods of the workload run its template and are available.
func (w Workload) complete() bool {
	return w.Known && w.Found && w.Settled && w.Others == 0 && w.Available >= w.Replicas
}
