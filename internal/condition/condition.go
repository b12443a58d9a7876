// Package condition makes the conditions of an ExposedService, whoever says them.
package condition

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/text"
)

// maxMessage is how long a message may become, in bytes. The API allows more; a status has ten conditions, and people
// read them.
const maxMessage = 4096

// Condition is a condition without the time and the generation, which whoever writes it adds.
type Condition struct {
	Type    string
	Status  metav1.ConditionStatus
	Reason  v1alpha1.Reason
	Message string
}

// At is the condition as the status holds it, said of a generation of the spec. Whoever writes it knows since when.
func (c Condition) At(generation int64, since metav1.Time) metav1.Condition {
	out := New(c.Type, c.Status, c.Reason, c.Message)
	out.ObservedGeneration, out.LastTransitionTime = generation, since
	return out
}

// New is a condition without generation and time, whose message fits into the status.
func New(conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason, message string) metav1.Condition {
	return metav1.Condition{Type: conditionType, Status: status, Reason: string(reason), Message: text.Cut(message, maxMessage)}
}

// ObservedAt says of conditions which generation of the spec they are about. It changes and returns them.
func ObservedAt(generation int64, conditions []metav1.Condition) []metav1.Condition {
	for i := range conditions {
		conditions[i].ObservedGeneration = generation
	}
	return conditions
}
