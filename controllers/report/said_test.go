package report

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/headgate/headgate/api/v1alpha1"
)

// What Headgate has written itself wakes nobody, and what others have does.
func TestOnlyWhatOthersSayWakes(t *testing.T) {
	w := &Writer{said: newSaid()}
	matters := w.Matters()
	with := func(exs *v1alpha1.ExposedService, conditionType, message string) *v1alpha1.ExposedService {
		out := exs.DeepCopy()
		meta.SetStatusCondition(&out.Status.Conditions, metav1.Condition{
			Type: conditionType, Status: metav1.ConditionTrue, Reason: "R", Message: message, LastTransitionTime: metav1.NewTime(time.Unix(1, 0)),
		})
		return out
	}
	wakes := func(before, after *v1alpha1.ExposedService) bool {
		return matters.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
	}
	none := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "greeter"}}
	for _, half := range []struct{ manager, conditionType string }{
		{statusManager, v1alpha1.ConditionReady}, {decisionManager, v1alpha1.ConditionFailedOver},
	} {
		first, second := with(none, half.conditionType, "first"), with(none, half.conditionType, "second")
		if !wakes(none, first) {
			t.Errorf("%s: after a start, whoever it was does not wake", half.conditionType)
		}
		w.said.note(first, half.manager, first.Status)
		if wakes(none, first) {
			t.Errorf("%s: what it has said itself wakes it", half.conditionType)
		}
		if !wakes(first, second) || !wakes(first, none) {
			t.Errorf("%s: what somebody else has changed does not wake it", half.conditionType)
		}
		later := first.DeepCopy()
		later.Status.Conditions[0].LastTransitionTime = metav1.NewTime(time.Unix(2, 0))
		later.Status.History = []v1alpha1.Decision{{Reason: "X"}}
		later.Status.XDS = &v1alpha1.XDSStatus{Replicas: []v1alpha1.XDSReplica{{Name: "a"}}}
		if wakes(first, later) {
			t.Errorf("%s: what is not said there wakes it", half.conditionType)
		}
		w.said.forget(client.ObjectKeyFromObject(none))
	}
}
