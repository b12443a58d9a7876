package report

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

func TestStatusKeepsWhatIsNotOurs(t *testing.T) {
	then, now := metav1.NewTime(time.Unix(1000, 0)), metav1.NewTime(time.Unix(2000, 0))
	since := metav1.NewMicroTime(then.Time)
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
	exs.Status = v1alpha1.ExposedServiceStatus{
		Active:  "backup",
		Traffic: &v1alpha1.TrafficStatus{Revision: 7},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: then},
			{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: "Pending", LastTransitionTime: then},
			{Type: "FailedOver", Status: metav1.ConditionTrue, Reason: "Failover", LastTransitionTime: then},
		},
		Backends: []v1alpha1.BackendStatus{
			{Name: "primary", Health: v1alpha1.BackendDown, Since: &since, Reason: "NoEndpoints", Ready: ptr.To(int32(2))},
		},
		Failover: &v1alpha1.FailoverStatus{Mode: v1alpha1.FailoverWeights, State: &v1alpha1.DeciderState{}},
	}
	expansion := gateway.Expansion{
		Failover: v1alpha1.FailoverStatus{Mode: v1alpha1.FailoverPriorities, Fallback: "primary"}, FailoverReason: v1alpha1.ReasonPriorities,
	}
	verdict := gateway.Verdict{Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready", ObservedGeneration: 3},
		{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: "Accepted", ObservedGeneration: 3},
	}}
	got := newStatus(exs, expansion, verdict, now)
	want := v1alpha1.ExposedServiceStatus{
		ObservedGeneration: 3, Active: "backup", Traffic: &v1alpha1.TrafficStatus{Revision: 7},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: then, ObservedGeneration: 3},
			{Type: "FailedOver", Status: metav1.ConditionTrue, Reason: "Failover", LastTransitionTime: then},
			{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: "Accepted", LastTransitionTime: now, ObservedGeneration: 3},
		},
		Backends: exs.Status.Backends,
		Failover: &v1alpha1.FailoverStatus{Mode: v1alpha1.FailoverPriorities, Fallback: "primary", State: &v1alpha1.DeciderState{}},
	}
	if !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("status is\n%+v\nwant\n%+v", got, want)
	}
	if again := newStatus(&v1alpha1.ExposedService{ObjectMeta: exs.ObjectMeta, Status: got}, expansion, verdict, metav1.NewTime(time.Unix(3000, 0))); !equality.Semantic.DeepEqual(got, again) {
		t.Errorf("the same verdict again changes the status:\n%+v\n%+v", got, again)
	}

	own := ownPart(got)
	if own.Active != "" || own.Traffic != nil || own.Failover.State != nil || len(own.Conditions) != 2 {
		t.Errorf("it says what is not its to say: %+v", own)
	}
}
