package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// Write writes what became of the decision, if the status does not say so already, and an event of what has changed.
func (w *Writer) Write(ctx context.Context, exs *v1alpha1.ExposedService, expansion gateway.Expansion, verdict gateway.Verdict) error {
	before := exs.Status
	after := newStatus(exs, expansion, verdict, metav1.NewTime(w.clock.Now()))
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	own := ownPart(after)
	answer, err := w.apply(ctx, exs, statusManager, own)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		w.reportTransitions(ctx, exs, before.Conditions, after.Conditions)
		err = w.removeForeign(ctx, answer, statusManager, ownConditions, own.Conditions)
	}
	if err != nil {
		kube.NoteConflict(w.client, exs, err)
		return fmt.Errorf("write the status of ExposedService %s: %w", client.ObjectKeyFromObject(exs), err)
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
	status.XDS = summedUp(exs, verdict)
	for _, passing := range []string{v1alpha1.ConditionXDSAccepted, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if !slices.ContainsFunc(verdict.Conditions, func(c metav1.Condition) bool { return c.Type == passing }) {
			meta.RemoveStatusCondition(&status.Conditions, passing)
		}
	}
	return status
}

// summedUp is status.xds with the hosts that it has and the sums of what the replicas report. What they report is theirs.
func summedUp(exs *v1alpha1.ExposedService, verdict gateway.Verdict) *v1alpha1.XDSStatus {
	clients, acknowledged, _ := xdsfeed.Clients(exs)
	if exs.Spec.XDS == nil {
		clients, acknowledged = 0, 0
	}
	if exs.Status.XDS == nil && len(verdict.XDSHosts) == 0 {
		return nil
	}
	out := cmp.Or(exs.Status.XDS, &v1alpha1.XDSStatus{}).DeepCopy()
	out.Clients, out.Acknowledged = clients, acknowledged
	out.Hosts, out.Port = verdict.XDSHosts, verdict.XDSPort
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
	if x := status.XDS; x != nil && (x.Clients > 0 || len(x.Hosts) > 0) {
		own.XDS = &v1alpha1.XDSStatus{Clients: x.Clients, Acknowledged: x.Acknowledged, Hosts: x.Hosts, Port: x.Port}
	}
	return own
}
