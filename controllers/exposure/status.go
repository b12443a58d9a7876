package exposure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/kube"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/gateway"
)

// statusManager is the field manager of what this controller writes into the status. The decision,
// and what goes with it, is written by others.
const statusManager = "headgate-exposure"

// ownConditions are the conditions of this controller.
var ownConditions = []string{
	v1alpha1.ConditionReady, v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs, v1alpha1.ConditionExposed, v1alpha1.ConditionPriorityFailover,
	v1alpha1.ConditionXDSAccepted, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled,
}

// writeStatus writes our part of the status if it has changed, and then says what has changed.
func (r *run) writeStatus(ctx context.Context, verdict gateway.Verdict) error {
	before := r.exs.Status
	after := newStatus(r.exs, r.expansion, verdict, metav1.NewTime(r.Clock.Now()))
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	own := ownPart(after)
	body, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.KindExposedService,
		// With the resource version the server refuses if it was judged from an old status: somebody else may lead by now.
		"metadata": map[string]any{
			"name": r.exs.Name, "namespace": r.exs.Namespace, "uid": r.exs.UID, "resourceVersion": r.exs.ResourceVersion,
		},
		"status": own,
	})
	if err != nil {
		return fmt.Errorf("write the status of ExposedService %s as JSON: %w", client.ObjectKeyFromObject(r.exs), err)
	}
	r.said.note(r.exs, statusManager, own)
	answer := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Name: r.exs.Name, Namespace: r.exs.Namespace}}
	err = r.Client.Status().Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body), client.FieldOwner(statusManager), client.ForceOwnership)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		r.reportTransitions(ctx, before.Conditions, after.Conditions)
		err = r.removeForeign(ctx, answer, statusManager, ownConditions, own.Conditions)
	}
	if err != nil {
		kube.NoteConflict(r.Client, r.exs, err)
		return fmt.Errorf("write the status of ExposedService %s: %w", client.ObjectKeyFromObject(r.exs), err)
	}
	return nil
}

// newStatus is the status after a run. What is not this controller's stays as it was read.
func newStatus(
	exs *v1alpha1.ExposedService, expansion gateway.Expansion, verdict gateway.Verdict, now metav1.Time,
) v1alpha1.ExposedServiceStatus {
	status := *exs.Status.DeepCopy()
	status.ObservedGeneration = exs.Generation
	status.Addresses = verdict.Addresses
	// While nothing is known, the last known mode stands: it is what Envoy still does.
	if expansion.Failover.Mode != "" && (expansion.FailoverReason != v1alpha1.ReasonUnknown || status.Failover == nil) {
		if status.Failover == nil {
			status.Failover = &v1alpha1.FailoverStatus{}
		}
		status.Failover.Mode, status.Failover.Fallback = expansion.Failover.Mode, expansion.Failover.Fallback
	}
	for _, condition := range verdict.Conditions {
		condition.LastTransitionTime = now
		meta.SetStatusCondition(&status.Conditions, condition)
	}
	status.XDS = summedUp(exs)
	for _, passing := range []string{v1alpha1.ConditionXDSAccepted, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if !slices.ContainsFunc(verdict.Conditions, func(c metav1.Condition) bool { return c.Type == passing }) {
			meta.RemoveStatusCondition(&status.Conditions, passing)
		}
	}
	return status
}

// summedUp is status.xds with the sums of what the replicas report. What they report is theirs.
func summedUp(exs *v1alpha1.ExposedService) *v1alpha1.XDSStatus {
	clients, acknowledged, _ := xdsfeed.Clients(exs)
	if exs.Spec.XDS == nil {
		clients, acknowledged = 0, 0
	}
	if exs.Status.XDS == nil {
		return nil
	}
	out := exs.Status.XDS.DeepCopy()
	out.Clients, out.Acknowledged = clients, acknowledged
	return out
}

// ownPart is what this controller says in a status.
func ownPart(status v1alpha1.ExposedServiceStatus) v1alpha1.ExposedServiceStatus {
	own := v1alpha1.ExposedServiceStatus{
		ObservedGeneration: status.ObservedGeneration, Addresses: status.Addresses,
	}
	for _, condition := range status.Conditions {
		if slices.Contains(ownConditions, condition.Type) {
			own.Conditions = append(own.Conditions, condition)
		}
	}
	if status.Failover != nil {
		own.Failover = &v1alpha1.FailoverStatus{Mode: status.Failover.Mode, Fallback: status.Failover.Fallback}
	}
	if status.XDS != nil && status.XDS.Clients > 0 {
		own.XDS = &v1alpha1.XDSStatus{Clients: status.XDS.Clients, Acknowledged: status.XDS.Acknowledged}
	}
	return own
}
