package report

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
)

// reportTransitions logs and records each condition whose status or reason has changed. Ready sums
// up the others, and Reconciling and Stalled repeat it: none of them is news of its own. Waiting is
// no news either.
func (w *Writer) reportTransitions(ctx context.Context, exs *v1alpha1.ExposedService, before, after []metav1.Condition) {
	log := logf.FromContext(ctx)
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
		log.Info("condition changed", "condition", now.Type, "status", now.Status, "reason", now.Reason, "message", now.Message)
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
		w.events.Write(exs, kube.Event{Type: kind, Reason: now.Reason, Action: kube.ActionJudge, Note: now.Message})
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
