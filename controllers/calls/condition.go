package calls

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Condition says whether the calls of the backend that serves are counted; nil: nobody asks for it. Before the first look it is what
// it was: a change of leader is no news.
func (c *Counter) Condition(exs *v1alpha1.ExposedService, serving string) *metav1.Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[client.ObjectKeyFromObject(exs)]
	if have == nil {
		return nil
	}
	if have.source != nil && !have.looked {
		return meta.FindStatusCondition(exs.Status.Conditions, v1alpha1.ConditionSignalsAvailable).DeepCopy()
	}
	condition := &metav1.Condition{Type: v1alpha1.ConditionSignalsAvailable}
	why := have.unknown[serving].String()
	switch {
	case have.source == nil:
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonSourceInvalid)
		condition.Message = have.invalid
	case why != "":
		condition.Status, condition.Reason = metav1.ConditionFalse, string(v1alpha1.ReasonSourceUnknown)
		condition.Message = fmt.Sprintf("the calls of %s cannot be counted (%s): nothing is decided from errors", serving, why)
	default:
		condition.Status, condition.Reason = metav1.ConditionTrue, string(v1alpha1.ReasonSourceRead)
		condition.Message = "the calls of " + serving + " are counted by " + have.source.Name()
	}
	return condition
}

// why says why nothing is known of the calls of a backend; empty: there are none to tell of yet.
func (c *Counter) why(key types.NamespacedName, backend string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.counted[key]
	if have == nil {
		return ""
	}
	if have.source == nil {
		return have.invalid
	}
	return have.unknown[backend].String()
}
