package exposure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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

// decisionDiffers says whether what people read beside the decision is out of date.
func decisionDiffers(exs *v1alpha1.ExposedService, out failover.Outcome, shipping rollout.Outcome, signals *metav1.Condition) bool {
	before := conditionsOf(exs.Status.Conditions, decisionConditions)
	after := decisionConditionsOf(exs, out, shipping, signals, metav1.Time{})
	return exs.Status.Endpoints != endpointsOf(out.Backends) || !equality.Semantic.DeepEqual(before, after)
}

// writeDecision writes the decision and what goes with it.
func (r *run) writeDecision(
	ctx context.Context, out failover.Outcome, shipping rollout.Outcome, signals *metav1.Condition, now time.Time,
) error {
	exs := r.exs
	own := v1alpha1.ExposedServiceStatus{
		Active: out.Active, Traffic: &out.Traffic, Backends: out.Backends, History: out.History, Endpoints: endpointsOf(out.Backends),
		Rollout:    shipping.Rollout,
		Failover:   &v1alpha1.FailoverStatus{State: &out.State},
		Conditions: decisionConditionsOf(exs, out, shipping, signals, metav1.NewTime(now)),
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.KindExposedService,
		// With the resource version the server refuses if the decision was taken from an old status.
		"metadata": map[string]any{"name": exs.Name, "namespace": exs.Namespace, "uid": exs.UID, "resourceVersion": exs.ResourceVersion},
		"status":   own,
	})
	if err != nil {
		return fmt.Errorf("write the decision for ExposedService %s as JSON: %w", client.ObjectKeyFromObject(exs), err)
	}
	r.said.note(exs, decisionManager, own)
	answer := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: exs.Name, Namespace: exs.Namespace}}
	if err := r.Client.Status().Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body),
		client.FieldOwner(decisionManager), client.ForceOwnership); err != nil {
		return fmt.Errorf("write the decision for ExposedService %s: %w", client.ObjectKeyFromObject(exs), err)
	}
	if err := r.removeForeign(ctx, answer, decisionManager, decisionConditions, own.Conditions); err != nil {
		// The decision is written.
		kube.NoteConflict(r.Client, exs, err)
		r.exposing.Fail(err)
	}
	exs.ResourceVersion = answer.ResourceVersion
	exs.Status.Conditions = answer.Status.Conditions
	exs.Status.Endpoints = own.Endpoints
	return nil
}

// decisionConditionsOf are the conditions of an outcome. Those that say the same as before keep
// their time.
func decisionConditionsOf(
	exs *v1alpha1.ExposedService, out failover.Outcome, shipping rollout.Outcome, signals *metav1.Condition, now metav1.Time,
) []metav1.Condition {
	conditions := conditionsOf(exs.Status.Conditions, decisionConditions)
	for _, c := range out.Conditions {
		meta.SetStatusCondition(&conditions, c.At(exs.Generation, now))
	}
	if progressing := shipping.Condition; progressing == nil {
		meta.RemoveStatusCondition(&conditions, v1alpha1.ConditionProgressing)
	} else {
		meta.SetStatusCondition(&conditions, progressing.At(exs.Generation, now))
	}
	if signals == nil {
		meta.RemoveStatusCondition(&conditions, v1alpha1.ConditionSignalsAvailable)
	} else {
		condition := *signals
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
