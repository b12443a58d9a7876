package rollout

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

// Outcome is what a look comes to.
type Outcome struct {
	// Rollout, Traffic and History are parts of the new status; Apply puts them there. Without a rollout, Rollout is nil.
	Rollout *v1alpha1.RolloutStatus
	Traffic *v1alpha1.TrafficStatus
	History []v1alpha1.Decision

	// Decisions are those of this look, which are also the newest of the history: one Event each.
	Decisions []v1alpha1.Decision
	// Condition is Progressing; nil: there is to be none.
	Condition *Condition
	// Intents are for the followers, once the status is written.
	Intents Intents
	// Next is when to look again if nothing happens before. It is after now; zero: only when something happens.
	Next time.Time
	// Changed says that the status has to be written before anything follows it.
	Changed bool
	// Pending says that it has new evidence alone, which is to be kept as Gathered for the next look if nothing else has it written.
	Pending bool
}

// Apply puts the outcome into a status. It replaces what pointers there point to, so that whoever shares them sees nothing.
func (o Outcome) Apply(status *v1alpha1.ExposedServiceStatus) {
	status.Rollout, status.Traffic, status.History = o.Rollout.DeepCopy(), o.Traffic.DeepCopy(), o.History
}

// Decide says where the rollout goes: from what is asked for, from the status with what failover has just decided in it, from what
// was observed, and from the time. It reads nothing else and keeps nothing: evidence that is not written yet it is handed again. It takes one transition at most; when another may follow
// it asks for a look at once. The spec must have a backend.
func Decide(spec *v1alpha1.ExposedServiceSpec, previous v1alpha1.ExposedServiceStatus, observation Observation, now time.Time) Outcome {
	// The status holds microseconds; a decision must not depend on whether it has been through it.
	now = now.UTC().Truncate(time.Microsecond)
	l := newLook(spec, &previous, observation, now)

	taken, why := l.move()
	if taken == nil {
		l.follow()
	}
	l.resize()

	out := Outcome{History: previous.History, Traffic: l.decideTraffic(previous.Traffic, previous.Rollout, taken)}
	turned := out.Traffic != nil && previous.Traffic != nil && out.Traffic.Revision != previous.Traffic.Revision
	if l.status.Phase != none {
		l.status.Message = text.Cut(l.message(), mostMessage)
		l.status.Progress = text.Cut(l.progress(), 32)
		out.Pending = taken == nil && !turned && l.pends(previous.Rollout)
		if out.Pending || taken == nil && l.seen.Canary.Unread && previous.Rollout != nil && previous.Rollout.Message != "" {
			// What is not read yet is no news: an operator that takes over would write it, and take it back.
			l.status.Message, l.status.Progress = previous.Rollout.Message, previous.Rollout.Progress
		}
		out.Rollout = &l.status
		out.Condition = l.condition()
		out.Intents = l.intents(out.Traffic)
	}
	if taken != nil {
		out.Decisions = []v1alpha1.Decision{l.decision(taken, why, out.Traffic)}
		out.History = remember(previous.History, out.Decisions)
	}
	out.Next = l.next(taken)
	if out.Pending {
		out.Next = sooner(out.Next, observation.Gathered.Written.Add(writeEvery))
	}
	out.Changed = len(out.Decisions) > 0 || turned || !out.Pending && !equality.Semantic.DeepEqual(previous.Rollout, out.Rollout)
	return out
}

// Target is what has to be observed, as "Deployment/greeter": what the status is about, until that is over, then what is asked for.
func Target(spec *v1alpha1.ExposedServiceSpec, status *v1alpha1.ExposedServiceStatus) string {
	switch {
	case status.Rollout != nil:
		return status.Rollout.Target
	case spec.Rollout != nil:
		return targetOf(spec.Rollout)
	}
	return ""
}

// traffic is the decision that every data plane follows, with the canary in it while a rollout is under way.
func (l *look) decideTraffic(decided *v1alpha1.TrafficStatus, before *v1alpha1.RolloutStatus, taken *transition) *v1alpha1.TrafficStatus {
	out := Gather(decided)
	if out == nil || len(out.Weights) == 0 {
		return out
	}
	if takesPart(&l.status) {
		out = spread(out, l.status.Weight)
	}
	if before == nil {
		before = &v1alpha1.RolloutStatus{}
	}
	slots := *out
	l.slots(&slots)
	turned := slots.Slot != out.Slot || slots.StableHash != out.StableHash || slots.CanaryHash != out.CanaryHash
	if turned || takesPart(before) != takesPart(&l.status) || before.Weight != l.status.Weight {
		out = slots.DeepCopy()
		out.Revision++
		if taken != nil {
			out.Reason, out.Time = taken.name, *micro(l.now)
		}
	}
	return out
}

// takesPart says whether the canary is among the weights, if only with zero.
func takesPart(s *v1alpha1.RolloutStatus) bool {
	return !slices.Contains(phases(none, idle), s.Phase)
}
