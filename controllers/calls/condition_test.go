package calls

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/signals"
)

// A new leader has not looked yet: what the last one said stands.
func TestBeforeTheFirstLookTheConditionStands(t *testing.T) {
	for _, before := range []*metav1.Condition{nil, {
		Type: v1alpha1.ConditionSignalsAvailable, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonSourceUnknown), Message: "for some reason",
	}} {
		c := newCounter(t, nil)
		exs := counting("shop", "greeter")
		if before != nil {
			exs.Status.Conditions = []metav1.Condition{*before}
		}
		if got := c.Condition(exs, "primary"); got != nil {
			t.Errorf("before anybody watches: %+v", got)
		}
		c.Watch(exs, func() signals.Query { return signals.Query{} })
		got := c.Condition(exs, "primary")
		if (got == nil) != (before == nil) || got != nil && *got != *before {
			t.Errorf("%+v, before %+v", got, before)
		}
	}
}

// The condition is about who serves after the decision.
func TestTheConditionIsAboutWhoServes(t *testing.T) {
	d := newDecider(t)
	d.look([2]signals.Counts{{Unknown: signals.UnknownEmpty, Message: "nothing"}, {}})
	if got := d.Condition(d.exs, "primary"); got.Reason != string(v1alpha1.ReasonSourceUnknown) {
		t.Errorf("primary: %+v", got)
	}
	if got := d.Condition(d.exs, "backup"); got.Reason != string(v1alpha1.ReasonSourceRead) {
		t.Errorf("backup: %+v", got)
	}
}

func TestASourceThatCannotBeMadeIsSaidAtOnce(t *testing.T) {
	c := newCounter(t, nil)
	exs := counting("shop", "greeter")
	exs.Spec.Failover.Errors.Source = new(v1alpha1.ErrorSource)
	*exs.Spec.Failover.Errors.Source = v1alpha1.SourcePrometheus
	c.Watch(exs, func() signals.Query { return signals.Query{} })
	if got := c.Condition(exs, "primary"); got == nil || got.Reason != string(v1alpha1.ReasonSourceInvalid) {
		t.Errorf("%+v", got)
	}
}
