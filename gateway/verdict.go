package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/internal/condition"
	"github.com/headgate/headgate/internal/text"
)

// maxAddresses is how many addresses the status may hold.
const maxAddresses = 16

// silenceAllowed is how long the data plane may say nothing of changed objects before that is worth a word. Envoy Gateway
// takes well under a second for a route; each switch, and each step of a ramp or a rollout, changes one.
const silenceAllowed = 3 * time.Second

// Part is a part of what Headgate does for an ExposedService.
type Part string

const (
	// PartDataPlane: what the Gateway serves.
	PartDataPlane Part = ""
	// PartRollout: the canary of a rollout.
	PartRollout Part = "Rollout"
	// PartXDS: what is served over xDS.
	PartXDS Part = "XDS"
)

// Failure is an object that could not be applied.
type Failure struct {
	Message string
	// Final: the API server refused what was asked for, so that asking again changes nothing.
	Final bool
	// Part is what the object is for. A canary that cannot be made keeps no call from being served.
	Part Part
}

// Findings are what a verdict is made from.
type Findings struct {
	Expansion Expansion
	// Live is what the cluster holds after applying.
	Live     Live
	Failures []Failure
	Now      time.Time
	// SilentSince is what the last verdict said; the zero value when there was none.
	SilentSince time.Time
}

// Verdict is what the status says.
type Verdict struct {
	// Conditions are without the times of their transitions. Reconciling and Stalled are among
	// them only while they are True.
	Conditions []metav1.Condition
	// Addresses are where the Gateway can be reached.
	Addresses []gwapiv1.GatewayStatusAddress
	// XDSHosts are the hosts by which clients of spec.xds find it, and XDSPort is the one on which it has them; for status.xds.
	XDSHosts []string
	XDSPort  v1alpha1.PortNumber
	// SilentSince is since when the data plane has had nothing to say of the newest objects; zero: it has spoken.
	// The next verdict wants to know.
	SilentSince time.Time
	// Again is when to judge again although nothing has changed, because a silence becomes worth a word; 0: never.
	Again time.Duration
}

// Judge makes the conditions of an ExposedService from its expansion, from what became of applying
// it, and from what the data plane's controller says of the live objects.
//
// Ready is about calls alone: whether they can be made. What does not stop them (a backend that others stand in for, a
// canary, a policy that is refused) is said by Accepted, ResolvedRefs and Exposed.
func Judge(exs *v1alpha1.ExposedService, found Findings) Verdict {
	verdict := Verdict{Addresses: addresses(found.Live.Gateway)}
	plane := dataPlane{exs: exs, expansion: found.Expansion, live: found.Live}
	opinions := plane.opinions()

	accepted := found.accepted()
	resolved := ResolvedRefs(found.Expansion)
	exposed, stuck := found.exposed(opinions)
	if exposed.Reason == string(v1alpha1.ReasonPending) {
		verdict.SilentSince = found.SilentSince
		if found.SilentSince.IsZero() {
			verdict.SilentSince = found.Now
		}
		rest := silenceAllowed - found.Now.Sub(verdict.SilentSince)
		if last := lastExposed(exs); last != nil && rest > 0 {
			exposed, verdict.Again = *last, rest
		}
	}
	ready := found.ready(exs, plane, opinions, accepted, resolved, exposed, verdict.Addresses)
	conditions := []metav1.Condition{ready, accepted, resolved, exposed, found.failover()}
	repeated := []metav1.Condition{ready, exposed}
	if slices.ContainsFunc(found.Expansion.Problems, Problem.stopsSpec) {
		repeated, stuck = []metav1.Condition{ready, accepted, exposed}, true
	}
	if progress := Progress(stuck || !found.Expansion.HasBackend(), repeated...); progress != nil {
		conditions = append(conditions, *progress)
	}
	verdict.Conditions = condition.ObservedAt(exs.Generation, conditions)
	return verdict
}

// Progress is the condition Stalled or Reconciling, which repeats the first of the others that is not True; nil: none is
// there. stalled: nothing will change until somebody acts.
func Progress(stalled bool, conditions ...metav1.Condition) *metav1.Condition {
	conditionType := v1alpha1.ConditionReconciling
	if stalled {
		conditionType = v1alpha1.ConditionStalled
	}
	for _, c := range conditions {
		if c.Status != metav1.ConditionTrue {
			out := condition.New(conditionType, metav1.ConditionTrue, v1alpha1.Reason(c.Reason), c.Message)
			return &out
		}
	}
	return nil
}

// Deleting is the verdict on an ExposedService that is going away.
func Deleting(exs *v1alpha1.ExposedService, message string) Verdict {
	return Verdict{Addresses: exs.Status.Addresses, Conditions: condition.ObservedAt(exs.Generation, []metav1.Condition{
		condition.New(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeleting, message),
		condition.New(v1alpha1.ConditionReconciling, metav1.ConditionTrue, v1alpha1.ReasonDeleting, message),
	})}
}

// stopsSpec: the spec cannot be served as it is.
func (p Problem) stopsSpec() bool { return p.For == "" || p.For == v1alpha1.ConditionAccepted }

func (p Problem) isUnresolved() bool { return p.For == v1alpha1.ConditionResolvedRefs }

func (f Findings) accepted() metav1.Condition {
	who := "the data plane"
	if f.Live.Controller != "" {
		who = "the Gateway's controller, " + string(f.Live.Controller) + ","
	}
	return Accepted(f.Expansion, f.Failures, who, "use a GatewayClass of Envoy Gateway with its Backend API enabled")
}

// Accepted makes the condition from everything that stands against the spec as it is, except for what it names and is not
// there. What stops all of it comes first. who cannot do what is ignored, and remedy is what can. Failures of the data plane
// are Exposed's to say.
func Accepted(expansion Expansion, failures []Failure, who, remedy string) metav1.Condition {
	var problems []Problem
	for _, stops := range []bool{true, false} {
		for _, problem := range expansion.Problems {
			if !problem.isUnresolved() && problem.stopsSpec() == stops {
				problems = append(problems, problem)
			}
		}
	}
	for _, failure := range failures {
		if failure.Part != PartDataPlane {
			problems = append(problems, Problem{Reason: v1alpha1.ReasonApplyFailed, Message: failure.Message})
		}
	}
	switch {
	case len(problems) > 0:
		return condition.New(v1alpha1.ConditionAccepted, metav1.ConditionFalse, problems[0].Reason, Messages(problems))
	case len(expansion.Ignored) > 0:
		return condition.New(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonFieldsIgnored, fmt.Sprintf(
			"%s cannot do what these fields ask for, everything else is in force: %s; remove them, or %s",
			who, strings.Join(expansion.Ignored, ", "), remedy))
	}
	return condition.New(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "the spec can be served as it is")
}

// ResolvedRefs makes the condition from what is wrong with what the spec names.
func ResolvedRefs(expansion Expansion) metav1.Condition {
	problems := slices.DeleteFunc(slices.Clone(expansion.Problems), func(p Problem) bool { return !p.isUnresolved() })
	if len(problems) > 0 {
		return condition.New(v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, problems[0].Reason, Messages(problems))
	}
	return condition.New(v1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, v1alpha1.ReasonResolvedRefs,
		"everything that the spec names is there and may be used")
}

// Messages puts those of several problems into one.
func Messages(problems []Problem) string {
	words := make([]string, 0, len(problems))
	for _, problem := range problems {
		words = append(words, problem.Message)
	}
	return text.Join(words...)
}

// lastExposed is what the status says of this generation of the spec, if that was that everything is exposed. Nothing is
// said of a silence at once then: a switch would make every condition flap.
func lastExposed(exs *v1alpha1.ExposedService) *metav1.Condition {
	last := meta.FindStatusCondition(exs.Status.Conditions, v1alpha1.ConditionExposed)
	if last == nil || last.Status != metav1.ConditionTrue || last.ObservedGeneration != exs.Generation {
		return nil
	}
	out := condition.New(last.Type, last.Status, v1alpha1.Reason(last.Reason), last.Message)
	return &out
}

// exposed says whether the data plane has taken everything; stuck: not before somebody acts.
func (f Findings) exposed(opinions []opinion) (exposed metav1.Condition, stuck bool) {
	say := func(status metav1.ConditionStatus, reason v1alpha1.Reason, message string) metav1.Condition {
		return condition.New(v1alpha1.ConditionExposed, status, reason, message)
	}
	var failed []string
	for _, failure := range f.Failures {
		if failure.Part == PartDataPlane {
			failed = append(failed, failure.Message)
			stuck = stuck || failure.Final
		}
	}
	if len(failed) > 0 {
		return say(metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, text.Join(failed...)), stuck
	}
	if f.Live.Route == nil && (f.Expansion.Blocked || slices.ContainsFunc(f.Expansion.Problems, Problem.stopsSpec)) {
		return say(metav1.ConditionFalse, v1alpha1.ReasonNotAccepted,
			"nothing is exposed, because the spec is not accepted: see the Accepted condition"), true
	}
	refusals := slices.DeleteFunc(slices.Clone(opinions), func(o opinion) bool { return o.reason == v1alpha1.ReasonPending })
	switch {
	case len(refusals) > 0:
		for _, refusal := range refusals {
			stuck = stuck || !refusal.passing
		}
		return say(metav1.ConditionFalse, refusals[0].reason, words(refusals)), stuck
	case len(opinions) > 0:
		// One at a time: each waits for the one before it.
		return say(metav1.ConditionUnknown, v1alpha1.ReasonPending, opinions[0].message), false
	}
	return say(metav1.ConditionTrue, v1alpha1.ReasonExposed, fmt.Sprintf(
		"Gateway %s/%s has accepted and programmed everything", f.Expansion.Gateway.Namespace, f.Expansion.Gateway.Name)), false
}

func words(opinions []opinion) string {
	out := make([]string, 0, len(opinions))
	for _, o := range opinions {
		out = append(out, o.message)
	}
	return text.Join(out...)
}

// failover makes PriorityFailover.
func (f Findings) failover() metav1.Condition {
	if f.Live.Route == nil {
		return condition.New(v1alpha1.ConditionPriorityFailover, metav1.ConditionUnknown, v1alpha1.ReasonUnknown, "nothing is exposed yet")
	}
	status, reason := metav1.ConditionFalse, f.Expansion.FailoverReason
	switch reason {
	case v1alpha1.ReasonPriorities, v1alpha1.ReasonPatchNotPermitted, v1alpha1.ReasonPatchAPIDisabled, v1alpha1.ReasonMergedGatewaysNotSupported:
		status = metav1.ConditionTrue
	case v1alpha1.ReasonUnknown:
		status = metav1.ConditionUnknown
	case "":
		status, reason = metav1.ConditionUnknown, v1alpha1.ReasonUnknown
	}
	message := f.Expansion.FailoverMessage
	switch reason {
	case v1alpha1.ReasonBackendAPIDisabled, v1alpha1.ReasonPatchAPIDisabled, v1alpha1.ReasonMergedGatewaysNotSupported:
		message += f.Live.refusedWords(f.Expansion.Gateway)
	}
	return condition.New(v1alpha1.ConditionPriorityFailover, status, reason, message)
}

// ready says whether calls can be made.
func (f Findings) ready(
	exs *v1alpha1.ExposedService, plane dataPlane, opinions []opinion, accepted, resolved, exposed metav1.Condition,
	addresses []gwapiv1.GatewayStatusAddress,
) metav1.Condition {
	like := func(c metav1.Condition) metav1.Condition {
		return condition.New(v1alpha1.ConditionReady, c.Status, v1alpha1.Reason(c.Reason), c.Message)
	}
	stops := slices.DeleteFunc(slices.Clone(opinions), func(o opinion) bool { return !o.stops })
	switch {
	case accepted.Status == metav1.ConditionFalse && (f.Expansion.Blocked || exposed.Reason == string(v1alpha1.ReasonNotAccepted)):
		return like(accepted)
	case exposed.Status == metav1.ConditionUnknown:
		return like(exposed)
	case len(stops) > 0:
		return condition.New(v1alpha1.ConditionReady, metav1.ConditionFalse, stops[0].reason, words(stops))
	case exposed.Status == metav1.ConditionFalse && !plane.serves():
		return like(exposed)
	case !f.Expansion.HasBackend():
		return like(resolved)
	}
	where := "an address that the Gateway does not report"
	if len(addresses) > 0 {
		where = addresses[0].Value
	}
	return condition.New(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady,
		fmt.Sprintf("calls for %s are taken at %s", describeHosts(exs.Spec.Hostnames), where))
}

func describeHosts(names []v1alpha1.Hostname) string {
	switch len(names) {
	case 0:
		return "every host name"
	case 1:
		return string(names[0])
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// HasBackend says whether calls have somewhere to go: a backend of the spec is there, or has endpoints of which a Service that is gone still knows.
func (e Expansion) HasBackend() bool {
	unresolved := map[string]bool{}
	for _, problem := range e.Problems {
		if problem.isUnresolved() {
			unresolved[problem.Backend] = true
		}
	}
	return len(e.Backends) == 0 || slices.ContainsFunc(e.Backends, func(b v1alpha1.BackendStatus) bool {
		return !unresolved[b.Name] || b.Ready != nil && *b.Ready > 0
	})
}

// addresses are those that the Gateway reports, as many as the status may hold.
func addresses(gateway *gwapiv1.Gateway) []gwapiv1.GatewayStatusAddress {
	if gateway == nil || len(gateway.Status.Addresses) == 0 {
		return nil
	}
	return slices.Clone(gateway.Status.Addresses[:min(len(gateway.Status.Addresses), maxAddresses)])
}
