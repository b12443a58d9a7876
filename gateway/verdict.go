package gateway

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Bounds of the API on what the status may hold.
const (
	maxAddresses     = 16
	maxMessageLength = 4096
)

// Failure is an object that could not be applied.
type Failure struct {
	Message string
	// Final: the API server refused what was asked for, so that asking again changes nothing.
	Final bool
}

// Verdict is what the status says.
type Verdict struct {
	// Conditions are without the times of their transitions. Reconciling and Stalled are among
	// them only while they are True.
	Conditions []metav1.Condition
	// Addresses are where the Gateway can be reached.
	Addresses []gwapiv1.GatewayStatusAddress
}

// Judge makes the conditions of an ExposedService from its expansion, from what became of applying
// it, and from what the data plane's controller says of the live objects.
func Judge(exs *v1alpha1.ExposedService, expansion Expansion, live Live, failures []Failure) Verdict {
	accepted := judgeAccepted(expansion, live)
	exposed, stuck := judgeExposed(exs, expansion, live, failures)
	verdict := Verdict{Addresses: addresses(live.Gateway)}

	ready := summary(exs, accepted, exposed, verdict.Addresses)
	conditions := []metav1.Condition{ready, accepted, exposed, judgeFailover(expansion, live)}
	switch {
	case ready.Status == metav1.ConditionTrue:
	case accepted.Status == metav1.ConditionFalse || stuck:
		conditions = append(conditions, newCondition(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.Reason(ready.Reason), ready.Message))
	default:
		conditions = append(conditions, newCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.Reason(ready.Reason), ready.Message))
	}
	for i := range conditions {
		conditions[i].ObservedGeneration = exs.Generation
	}
	verdict.Conditions = conditions
	return verdict
}

// Deleting is the verdict on an ExposedService that is going away.
func Deleting(exs *v1alpha1.ExposedService, message string) Verdict {
	conditions := []metav1.Condition{
		newCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, message),
		newCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonDeleting, message),
	}
	for i := range conditions {
		conditions[i].ObservedGeneration = exs.Generation
	}
	return Verdict{Conditions: conditions, Addresses: exs.Status.Addresses}
}

func judgeAccepted(expansion Expansion, live Live) metav1.Condition {
	switch {
	case len(expansion.Problems) > 0:
		messages := make([]string, 0, len(expansion.Problems))
		for _, problem := range expansion.Problems {
			messages = append(messages, problem.Message)
		}
		return newCondition(v1alpha1.ConditionAccepted, metav1.ConditionFalse, expansion.Problems[0].Reason, join(messages))
	case len(expansion.Ignored) > 0:
		who := "the data plane"
		if live.Controller != "" {
			who = "the Gateway's controller, " + string(live.Controller) + ","
		}
		return newCondition(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonFieldsIgnored, fmt.Sprintf(
			"%s cannot do what these fields ask for, everything else is in force: %s; remove them, or use a GatewayClass of Envoy Gateway with its Backend API enabled",
			who, strings.Join(expansion.Ignored, ", ")))
	}
	return newCondition(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "everything that the spec names is there")
}

// judgeExposed says whether calls get through; stuck: not before somebody acts.
func judgeExposed(exs *v1alpha1.ExposedService, expansion Expansion, live Live, failures []Failure) (condition metav1.Condition, stuck bool) {
	if len(failures) > 0 {
		messages := make([]string, 0, len(failures))
		for _, failure := range failures {
			messages = append(messages, failure.Message)
			stuck = stuck || failure.Final
		}
		return newCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, join(messages)), stuck
	}
	if len(expansion.Problems) > 0 && live.Route == nil {
		return newCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNotAccepted,
			"nothing is exposed, because the spec is not accepted: see the Accepted condition"), true
	}

	opinions := dataPlane{exs: exs, expansion: expansion, live: live}.opinions()
	refusals := slices.DeleteFunc(slices.Clone(opinions), func(o opinion) bool { return o.reason == v1alpha1.ReasonPending })
	switch {
	case len(refusals) > 0:
		messages := make([]string, 0, len(refusals))
		for _, refusal := range refusals {
			messages = append(messages, refusal.message)
			stuck = stuck || !refusal.passing
		}
		return newCondition(v1alpha1.ConditionExposed, metav1.ConditionFalse, refusals[0].reason, join(messages)), stuck
	case len(opinions) > 0:
		// One at a time: each waits for the one before it.
		return newCondition(v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonPending, opinions[0].message), false
	}
	return newCondition(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed,
		fmt.Sprintf("Gateway %s/%s has accepted and programmed everything", expansion.Gateway.Namespace, expansion.Gateway.Name)), false
}

func judgeFailover(expansion Expansion, live Live) metav1.Condition {
	status := metav1.ConditionFalse
	switch expansion.FailoverReason {
	case v1alpha1.ReasonPriorities, v1alpha1.ReasonPatchNotPermitted:
		status = metav1.ConditionTrue
	case v1alpha1.ReasonUnknown, "":
		status = metav1.ConditionUnknown
	}
	reason := expansion.FailoverReason
	if reason == "" {
		reason = v1alpha1.ReasonUnknown
	}
	message := expansion.FailoverMessage
	if reason == v1alpha1.ReasonBackendAPIDisabled || reason == v1alpha1.ReasonPatchAPIDisabled {
		message += live.refusedWords(expansion.Gateway)
	}
	return newCondition(v1alpha1.ConditionPriorityFailover, status, reason, message)
}

// summary makes Ready from the two that it sums up.
func summary(
	exs *v1alpha1.ExposedService, accepted, exposed metav1.Condition, addresses []gwapiv1.GatewayStatusAddress,
) metav1.Condition {
	for _, condition := range []metav1.Condition{accepted, exposed} {
		if condition.Status != metav1.ConditionTrue {
			return newCondition(v1alpha1.ConditionReady, condition.Status, v1alpha1.Reason(condition.Reason), condition.Message)
		}
	}
	hosts := "every host name"
	if len(exs.Spec.Hostnames) > 0 {
		hosts = string(exs.Spec.Hostnames[0])
		if more := len(exs.Spec.Hostnames) - 1; more > 0 {
			hosts = fmt.Sprintf("%s and %d more", hosts, more)
		}
	}
	where := "an address that the Gateway does not report"
	if len(addresses) > 0 {
		where = addresses[0].Value
	}
	return newCondition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady,
		fmt.Sprintf("calls for %s are taken at %s", hosts, where))
}

// addresses are those that the Gateway reports, as many as the status may hold.
func addresses(gateway *gwapiv1.Gateway) []gwapiv1.GatewayStatusAddress {
	if gateway == nil || len(gateway.Status.Addresses) == 0 {
		return nil
	}
	return slices.Clone(gateway.Status.Addresses[:min(len(gateway.Status.Addresses), maxAddresses)])
}

func newCondition(conditionType string, status metav1.ConditionStatus, reason v1alpha1.Reason, message string) metav1.Condition {
	if len(message) > maxMessageLength {
		message = strings.ToValidUTF8(message[:maxMessageLength-3], "") + "..."
	}
	return metav1.Condition{Type: conditionType, Status: status, Reason: string(reason), Message: message}
}

func join(messages []string) string { return strings.Join(messages, "; ") }
