package rollout

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/condition"
	"github.com/headgate/headgate/internal/text"
)

// Condition is a condition without the time and the generation, which whoever writes it adds.
type Condition = condition.Condition

func (l *look) condition() *Condition {
	s := &l.status
	out := &Condition{Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionFalse, Message: s.Message}
	switch {
	case s.Phase == idle && s.Failed != nil:
		out.Reason = v1alpha1.ReasonRolloutFailed
	case s.Phase == idle && l.desired != "" && l.desired == s.Stable:
		out.Reason = v1alpha1.ReasonRolloutComplete
	case l.seen.Refused != "":
		out.Reason = v1alpha1.ReasonApplyFailed
	case (s.Phase == idle || s.Phase == promoting || s.Phase == releasing) && !l.withdrawn() && l.seen.Workload.PausedBy != "":
		out.Reason = v1alpha1.ReasonWorkloadPaused
	case s.Phase == idle && l.settings.paused:
		out.Reason = v1alpha1.ReasonRolloutPaused
	case s.Phase == idle:
		out.Reason = v1alpha1.ReasonRolloutWaiting
	case s.Phase == suspended:
		out.Reason = v1alpha1.ReasonRolloutSuspended
	case l.late():
		out.Reason = v1alpha1.ReasonPodsNotReady
	case s.Phase == awaitingApproval && l.refusing() == "":
		out.Reason = v1alpha1.ReasonAwaitingApproval
	case s.Phase == awaitingSwap:
		out.Reason = v1alpha1.ReasonAwaitingSwap
	case l.settings.paused && (s.Phase == preparing || s.Phase == stepping):
		out.Reason = v1alpha1.ReasonRolloutPaused
	case l.refusing() != "":
		out.Reason = v1alpha1.ReasonAwaitingWebhook
	default:
		out.Status, out.Reason = metav1.ConditionTrue, v1alpha1.Reason(s.Phase)
	}
	return out
}

// message says where the rollout is and what it waits for, and what is refused, if anything is.
func (l *look) message() string { return text.Join(l.phaseMessage(), l.seen.Refused) }

func (l *look) phaseMessage() string {
	s := &l.status
	at := fmt.Sprintf("%s, step %d of %d at %s: ", s.Revision, s.Step, len(l.settings.steps), percentOf(s.Weight))
	switch s.Phase {
	case idle:
		return l.idleMessage()
	case preparing:
		return at + or(l.firstObstacle(beforePods), "ready")
	case stepping:
		return at + or(l.missing(), or(l.firstObstacle(beforeApproval), "passed"))
	case awaitingApproval:
		return at + or(l.missing(), or(l.firstObstacle(beforeApproval), "waits for the annotation "+v1alpha1.AnnotationApprove+": "+l.approval()))
	case promoting, releasing:
		return l.promotionMessage()
	case awaitingSwap:
		return fmt.Sprintf("%s has all calls: change the first backend to it, and set the annotation %s: %s", s.Revision, v1alpha1.AnnotationSwapped, s.Revision)
	case handingOver:
		return fmt.Sprintf("%s is stable; the canary gives up its last %s", s.Revision, percentOf(s.Weight)) + because(l.unserved())
	case rollingBack:
		if s.Weight > 0 {
			return fmt.Sprintf("%s loses its calls as stable gets its pods back: it has %s", s.Revision, percentOf(s.Weight)) + because(l.unserved())
		}
		return fmt.Sprintf("%s has no calls any more; its last ones end", s.Revision) + because(l.unserved())
	case rechecking:
		return fmt.Sprintf("%s looked worse than is tolerated and has no calls until %s; then it is looked at again, from the first step on (suspicion %d)",
			s.Revision, clock(s.Since.Add(recheckTime)), s.Suspicions) + because(l.unserved())
	case suspended:
		why, _ := interrupted(l)
		return s.Revision + " is " + why
	}
	return ""
}

func (l *look) idleMessage() string {
	s := &l.status
	switch {
	case l.withdrawn():
		return s.Target + " is given up" + because(l.seen.Workload.Why)
	case l.rejected() && l.runsIt() && l.seen.Workload.Stable.Hash == "":
		return fmt.Sprintf("%s was rolled back and has all pods of %s, and there is no ReplicaSet of %s to go back to; change it, or the annotation %s: %s",
			s.Failed.Revision, s.Target, s.Stable, v1alpha1.AnnotationRetry, s.Failed.Message)
	case s.Failed != nil && (l.desired == "" || l.desired == s.Failed.Revision):
		return fmt.Sprintf("%s was rolled back: %s", s.Failed.Revision, s.Failed.Message)
	case l.desired == "":
		return unknownWorkload(l)
	case l.desired == s.Stable && l.seen.Workload.PausedBy != "":
		return s.Stable + " is stable; a changed pod template will wait, because " + l.pausedBySomebody()
	case l.desired == s.Stable:
		return s.Stable + " is stable"
	}
	return or(l.unstartable(), l.desired+" is next")
}

// promotionMessage is about the way to all calls.
func (l *look) promotionMessage() string {
	w := l.seen.Workload
	switch {
	case l.ownCanary():
		return "the canary gets everything" + because(l.unserved())
	case !w.Known:
		return unknownWorkload(l)
	case w.PausedBy != "":
		return fmt.Sprintf("%s cannot be rolled out, because %s", l.status.Revision, l.pausedBySomebody())
	case l.status.Phase == promoting:
		return fmt.Sprintf("%s has %s of the calls and %d of %d pods: %s", l.status.Revision, percentOf(l.status.Weight), l.seen.Canary.Ready, w.Replicas,
			or(l.firstObstacle(beforeMore), "gets more"))
	}
	return fmt.Sprintf("%s ends the pods of the version before: %d of %d pods of %s are available, %d still to be replaced",
		l.status.Target, w.Available, w.Replicas, l.status.Revision, w.Others) + because(l.seen.Canary.Waits)
}

// notePods remembers since when the canary has fewer ready pods than it is to have, or the workload than it needs to be complete.
func (l *look) notePods() {
	s, w := &l.status, l.seen.Workload
	switch s.Phase {
	case preparing, stepping, awaitingApproval, promoting, releasing:
	default:
		s.PodsNotReadySince = nil
		return
	}
	switch {
	case l.ownCanary() || !w.Known || !l.seen.Canary.Known:
	case l.seen.Canary.Ready >= s.Replicas && (s.Phase != releasing || w.complete()):
		s.PodsNotReadySince = nil
	case s.PodsNotReadySince == nil:
		s.PodsNotReadySince = micro(l.now)
	}
}

// late: pods that are needed are not ready within the Deployment's progress deadline.
func (l *look) late() bool {
	since, deadline := l.status.PodsNotReadySince, l.seen.Workload.Deadline
	return since != nil && l.seen.Workload.Known && deadline > 0 && l.now.Sub(since.Time) >= deadline
}

// missing says which pods of a step are late, and why, whatever else it waits for.
func (l *look) missing() string {
	if !l.late() {
		return ""
	}
	return l.waitsForPods(l.status.Replicas)
}

// unserved says that the data plane does not serve the weight yet, if it does not.
func (l *look) unserved() string { return notLive(l) }

// progress is the message in a word or two, for a column.
func (l *look) progress() string {
	s := &l.status
	at := fmt.Sprintf("%d/%d ", s.Step, len(l.settings.steps))
	if name := l.refusing(); name != "" {
		return at + "webhook " + name
	}
	if l.seen.Refused != "" && s.Phase != idle {
		return at + "refused"
	}
	switch s.Phase {
	case idle:
		switch l.condition().Reason {
		case v1alpha1.ReasonRolloutFailed:
			return "failed"
		case v1alpha1.ReasonRolloutComplete:
			return "-"
		case v1alpha1.ReasonRolloutPaused:
			return "paused"
		}
		return "waiting"
	case preparing:
		return at + "preparing"
	case stepping:
		return at + percentOf(s.Weight) + l.proved()
	case awaitingApproval:
		return at + "approval"
	case promoting:
		return "promoting " + percentOf(s.Weight/10_000*10_000)
	case releasing:
		return "releasing"
	case awaitingSwap:
		return "swap"
	case handingOver:
		return "handing over"
	case rollingBack:
		return "rolling back"
	case rechecking:
		return "rechecking"
	case suspended:
		return "suspended"
	}
	return ""
}

// proved is how much of the evidence for leaving the step there is. With all calls there is nothing to compare, and nothing to prove.
func (l *look) proved() string {
	switch e := l.status.Evidence; {
	case e == nil || l.status.Weight == allParts:
		return ""
	case l.verdictOf(l.status.Step) != nil:
		return ", passed"
	default:
		return fmt.Sprintf(", %d %% proved", e.Percent)
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
