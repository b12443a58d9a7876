package report

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/failover"
	"github.com/headgate/headgate/rollout"
)

// decisionManager is the field manager of the decision and what goes with it.
const decisionManager = "headgate-traffic"

// decisionConditions are the conditions that go with the decision.
var decisionConditions = []string{
	v1alpha1.ConditionBackendsHealthy, v1alpha1.ConditionFailedOver, v1alpha1.ConditionSignalsAvailable,
	v1alpha1.ConditionProgressing,
}

// Decision is what was decided, and what goes with it.
type Decision struct {
	failover.Outcome

	Rollout rollout.Outcome
	// Hedging is when silent attempts get a second one beside them; nil: nothing is decided about that.
	Hedging *v1alpha1.HedgingStatus
	// CheckInterval is how often proxies check an endpoint; nil: as often as by default.
	CheckInterval *metav1.Duration
	// Signals is the condition SignalsAvailable; nil: there is to be none.
	Signals *metav1.Condition
}

// Differs says whether the status has to be written: the decision is another one, or what people read beside it is out of
// date.
func (d Decision) Differs(exs *v1alpha1.ExposedService) bool {
	before := conditionsOf(exs.Status.Conditions, decisionConditions)
	return d.Changed || exs.Status.Endpoints != endpointsOf(d.Backends) || !equality.Semantic.DeepEqual(before, d.conditions(exs, metav1.Time{})) ||
		!equality.Semantic.DeepEqual(exs.Status.Backends, d.Backends) || !equality.Semantic.DeepEqual(exs.Status.Hedging, d.Hedging) ||
		!equality.Semantic.DeepEqual(exs.Status.CheckInterval, d.CheckInterval)
}

// half is the decision's part of the status.
func (d Decision) half(exs *v1alpha1.ExposedService, now metav1.Time) v1alpha1.ExposedServiceStatus {
	return v1alpha1.ExposedServiceStatus{
		Active: d.Active, Traffic: &d.Traffic, Backends: d.Backends, History: d.History, Endpoints: endpointsOf(d.Backends),
		Rollout: d.Rollout.Rollout, Hedging: d.Hedging, CheckInterval: d.CheckInterval,
		Failover:   &v1alpha1.FailoverStatus{State: &d.State},
		Conditions: d.conditions(exs, now),
	}
}

// WriteDecision writes the decision and what goes with it. Everything that follows it comes after.
func (w *Writer) WriteDecision(ctx context.Context, exs *v1alpha1.ExposedService, decision Decision) error {
	half := decision.half(exs, metav1.NewTime(w.clock.Now()))
	answer, err := w.apply(ctx, exs, decisionManager, half)
	if err != nil {
		return fmt.Errorf("write the decision for ExposedService %s: %w", client.ObjectKeyFromObject(exs), err)
	}
	exs.ResourceVersion = answer.ResourceVersion
	exs.Status.Conditions = answer.Status.Conditions
	exs.Status.Endpoints = half.Endpoints
	return nil
}

// CorrectDecision takes out of the status what others say beside the decision, which was written before.
func (w *Writer) CorrectDecision(ctx context.Context, exs *v1alpha1.ExposedService, decision Decision) error {
	live := exs.DeepCopy()
	if err := w.removeForeign(ctx, live, decisionManager, decisionConditions, decision.conditions(exs, metav1.Time{})); err != nil {
		kube.NoteConflict(w.client, exs, err)
		return err
	}
	exs.ResourceVersion, exs.Status.Conditions = live.ResourceVersion, live.Status.Conditions
	return nil
}

// conditions are those that go with the decision. Those that say the same as before keep their time.
func (d Decision) conditions(exs *v1alpha1.ExposedService, now metav1.Time) []metav1.Condition {
	conditions := conditionsOf(exs.Status.Conditions, decisionConditions)
	for _, c := range d.Conditions {
		meta.SetStatusCondition(&conditions, c.At(exs.Generation, now))
	}
	if progressing := d.Rollout.Condition; progressing == nil {
		meta.RemoveStatusCondition(&conditions, v1alpha1.ConditionProgressing)
	} else {
		meta.SetStatusCondition(&conditions, progressing.At(exs.Generation, now))
	}
	if d.Signals == nil {
		meta.RemoveStatusCondition(&conditions, v1alpha1.ConditionSignalsAvailable)
	} else {
		condition := *d.Signals
		condition.ObservedGeneration, condition.LastTransitionTime = exs.Generation, now
		meta.SetStatusCondition(&conditions, condition)
	}
	return conditions
}

func conditionsOf(conditions []metav1.Condition, wanted []string) []metav1.Condition {
	var out []metav1.Condition
	for _, c := range conditions {
		if slices.Contains(wanted, c.Type) {
			out = append(out, c)
		}
	}
	return out
}

// endpointsOf sums up the backends for people: "primary 2/2, backup 1/1", ready endpoints of all.
func endpointsOf(backends []v1alpha1.BackendStatus) string {
	words := make([]string, 0, len(backends))
	for _, b := range backends {
		word := b.Name
		if b.Ready != nil && b.Total != nil {
			word += fmt.Sprintf(" %d/%d", *b.Ready, *b.Total)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}
