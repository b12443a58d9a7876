package condition_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/condition"
)

func TestConditionsFitIntoTheStatus(t *testing.T) {
	since := metav1.NewTime(time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC))
	said := condition.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPending, Message: strings.Repeat("ü", 40000),
	}.At(7, since)
	if len(said.Message) > 4096 || said.ObservedGeneration != 7 || !said.LastTransitionTime.Equal(&since) || said.Reason != "Pending" || said.Status != metav1.ConditionFalse {
		t.Errorf("it has %d bytes, and is of generation %d: %s %s", len(said.Message), said.ObservedGeneration, said.Status, said.Reason)
	}
	all := condition.ObservedAt(3, []metav1.Condition{said, condition.New(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "")})
	for _, c := range all {
		if c.ObservedGeneration != 3 {
			t.Errorf("%s is of generation %d", c.Type, c.ObservedGeneration)
		}
	}
}
