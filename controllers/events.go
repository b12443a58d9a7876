package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reasons of events that are not reasons of conditions. Every other event has the reason of the
// condition whose change it reports.
const (
	// eventDriftCorrected: somebody changed an object of ours, and it was put back.
	eventDriftCorrected = "DriftCorrected"
	// eventNotGivenUp: a Deployment may stay paused, because Headgate has no rights to it any more.
	eventNotGivenUp = "NotGivenUp"
	// eventScaled: a ReplicaSet of a Deployment was scaled, to undo what Kubernetes has begun to roll out.
	eventScaled = "ReplicaSetScaled"
	// eventRemoved: an object of ours was removed because it is no longer wanted.
	eventRemoved = "Removed"
)

// Actions of events: what Headgate was doing.
const (
	actionApply  = "Apply"
	actionRemove = "Remove"
	actionJudge  = "Judge"
	actionDecide = "Decide"
)

// maxNoteLength is what the API server takes as an event's note, in bytes.
const maxNoteLength = 1024

// eventWriter writes events about ExposedServices.
type eventWriter struct{ recorder events.EventRecorder }

// occurrence is one of them.
type occurrence struct {
	// kind is corev1.EventTypeNormal or corev1.EventTypeWarning.
	kind   string
	reason string
	action string
	// related is another object that it is about, if any. Events that agree in everything but the
	// note are counted as one, so that what tells two of them apart must not be in the note alone.
	related client.Object
	note    string
}

func (w eventWriter) write(exs *v1alpha1.ExposedService, e occurrence) {
	e.note = text.Cut(e.note, maxNoteLength)
	var related runtime.Object
	if e.related != nil {
		related = e.related
	}
	w.recorder.Eventf(exs, related, e.kind, e.reason, e.action, "%s", e.note)
}

// reportTransitions logs and records each condition whose status or reason has changed. Ready sums
// up the others, and Reconciling and Stalled repeat it: none of them is news of its own. Waiting is
// no news either.
func (r *exposureReconciler) reportTransitions(s *scope, before, after []metav1.Condition) {
	for _, conditionType := range []string{
		v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs, v1alpha1.ConditionExposed, v1alpha1.ConditionPriorityFailover,
		v1alpha1.ConditionXDSAccepted,
	} {
		now := meta.FindStatusCondition(after, conditionType)
		if now == nil {
			continue
		}
		was := meta.FindStatusCondition(before, conditionType)
		if was != nil && was.Status == now.Status && was.Reason == now.Reason {
			continue
		}
		if isClientNews(was, now) {
			continue
		}
		s.log.Info("condition changed", "condition", now.Type, "status", now.Status, "reason", now.Reason, "message", now.Message)
		switch v1alpha1.Reason(now.Reason) {
		case v1alpha1.ReasonPending, v1alpha1.ReasonUnknown, v1alpha1.ReasonNotAccepted, v1alpha1.ReasonNotServed:
			continue
		case v1alpha1.ReasonAccepted, v1alpha1.ReasonResolvedRefs:
			if was == nil {
				// At first sight that is as expected.
				continue
			}
		}
		kind := corev1.EventTypeNormal
		if now.Status == metav1.ConditionFalse && conditionType != v1alpha1.ConditionPriorityFailover {
			kind = corev1.EventTypeWarning
		}
		r.events.write(s.exs, occurrence{kind: kind, reason: now.Reason, action: actionJudge, note: now.Message})
	}
}

// isClientNews: that xDS clients come and go, and take what they are sent, is as it should be. Nobody has to
// hear of it, unless it ends a refusal.
func isClientNews(was, now *metav1.Condition) bool {
	if now.Type != v1alpha1.ConditionXDSAccepted || now.Status == metav1.ConditionFalse {
		return false
	}
	return was == nil || was.Status != metav1.ConditionFalse
}
