package exposure

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/controllers/xdsfeed"
	"github.com/headgate/headgate/gateway"
	"github.com/headgate/headgate/internal/condition"
	"github.com/headgate/headgate/xds/resource"
)

// xdsVerdict is what the leader's own feed has made of an ExposedService.
type xdsVerdict struct {
	// disabled: Headgate runs without its xDS server.
	disabled bool
	// generation is that of the spec that is served, or would be without the problems.
	generation int64
	problems   []gateway.Problem
	// nothing: the problems are such that nothing is served.
	nothing bool
	// hosts are those that it has, and port is the one on which it has them.
	hosts []string
	port  v1alpha1.PortNumber
}

// xdsVerdict asks the feed.
func (r *run) xdsVerdict() xdsVerdict {
	switch {
	case r.exs.Spec.XDS == nil:
		return xdsVerdict{}
	case r.XDS == nil:
		return xdsVerdict{disabled: true, nothing: true, generation: r.exs.Generation, problems: []gateway.Problem{{
			Reason: v1alpha1.ReasonXDSDisabled, For: v1alpha1.ConditionXDSAccepted,
			Message: "spec.xds is set, but Headgate runs without its xDS server: install it with the chart's value " +
				"xds.enabled=true (the flag --xds-bind-address), or remove spec.xds",
		}}}
	}
	served := r.XDS.Served(client.ObjectKeyFromObject(r.exs))
	out := xdsVerdict{generation: served.Generation, hosts: served.Hosts, port: served.Port}
	for _, problem := range served.Problems {
		out.nothing = out.nothing || !problem.Partial
		out.problems = append(out.problems, gateway.Problem{Reason: problem.Reason, Message: problem.Message, For: v1alpha1.ConditionXDSAccepted})
	}
	return out
}

// expandXDS is what there is to make for an ExposedService without a Gateway: the Services of its slots, if it has any, and nothing
// else, so that whatever was made for a Gateway that it had is removed.
func expandXDS(exs *v1alpha1.ExposedService, resolved gateway.Resolved) gateway.Expansion {
	out := resolved.ExpandSlots()
	out.Failover = v1alpha1.FailoverStatus{Mode: v1alpha1.FailoverPriorities}
	// Envoys and gRPC clients know all backends, not one fallback.
	out.FailoverReason = v1alpha1.ReasonPriorities
	out.FailoverMessage = "Envoys and gRPC clients turn to the next backend by themselves when no endpoint of one is healthy; gRPC clients without a " +
		"proxy check no health, so that calls to an endpoint that freezes wait until Kubernetes finds it unready"
	if len(exs.Spec.Overrides) > 0 {
		out.Ignored = append(out.Ignored, "spec.overrides")
	}
	if failover := exs.Spec.Failover; failover != nil && ptr.Deref(failover.Strategy, "") == v1alpha1.StrategyWeights {
		out.Ignored = append(out.Ignored, "spec.failover.strategy: Weights")
	}
	if len(exs.Spec.Backends) == 1 {
		out.FailoverReason = v1alpha1.ReasonSingleBackend
		out.FailoverMessage = "there is one backend, and no other to turn to: add a second one to spec.backends"
	}
	return out
}

// judgeXDS makes the conditions of an ExposedService that has no Gateway.
func judgeXDS(exs *v1alpha1.ExposedService, expansion gateway.Expansion, served xdsVerdict, failures []gateway.Failure) gateway.Verdict {
	accepted := gateway.Accepted(expansion, failures, "the xDS server", "set spec.gateway")
	resolved := gateway.ResolvedRefs(expansion)
	exposed := judgeServed(exs, served)
	failover := condition.New(v1alpha1.ConditionPriorityFailover, metav1.ConditionTrue, expansion.FailoverReason, expansion.FailoverMessage)
	if expansion.FailoverReason != v1alpha1.ReasonPriorities {
		failover.Status = metav1.ConditionFalse
	}

	ready := condition.New(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady,
		"calls are taken by the Envoys and gRPC clients that connect to Headgate: "+howToDial(exs))
	like := func(c metav1.Condition) {
		ready = condition.New(v1alpha1.ConditionReady, c.Status, v1alpha1.Reason(c.Reason), c.Message)
	}
	switch {
	case exposed.Reason == string(v1alpha1.ReasonNotAccepted):
		like(accepted)
	case exposed.Status != metav1.ConditionTrue:
		like(exposed)
	case !expansion.HasBackend():
		like(resolved)
	}
	conditions := []metav1.Condition{ready, accepted, resolved, exposed, failover}
	if progress := gateway.Progress(ready.Status == metav1.ConditionFalse, ready); progress != nil {
		conditions = append(conditions, *progress)
	}
	return gateway.Verdict{Conditions: condition.ObservedAt(exs.Generation, conditions)}
}

// judgeServed says whether clients are served the spec as it is.
func judgeServed(exs *v1alpha1.ExposedService, served xdsVerdict) metav1.Condition {
	switch {
	case served.nothing:
		return condition.New(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNotAccepted,
			"nothing is exposed, because the spec is not accepted: see the Accepted condition")
	case served.generation < exs.Generation:
		return condition.New(v1alpha1.ConditionExposed, metav1.ConditionUnknown, v1alpha1.ReasonPending,
			"the xDS server has not taken in the newest spec yet")
	case len(served.problems) > 0:
		return condition.New(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed,
			"Headgate serves it over xDS, but for what the condition Accepted names")
	}
	return condition.New(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonExposed,
		"Headgate serves it over xDS; the condition XDSAccepted says what the clients make of it")
}

// judgeClients makes XDSAccepted, which every ExposedService with spec.xds has, from what all replicas report.
func judgeClients(exs *v1alpha1.ExposedService, served xdsVerdict) metav1.Condition {
	clients, acknowledged, rejecting := xdsfeed.Clients(exs)
	say := func(status metav1.ConditionStatus, reason v1alpha1.Reason, message string) metav1.Condition {
		return condition.ObservedAt(exs.Generation, []metav1.Condition{condition.New(v1alpha1.ConditionXDSAccepted, status, reason, message)})[0]
	}
	switch {
	case served.disabled:
		return say(metav1.ConditionFalse, v1alpha1.ReasonXDSDisabled, gateway.Messages(served.problems))
	case served.nothing:
		return say(metav1.ConditionFalse, v1alpha1.ReasonNotServed,
			"nothing is served over xDS, because the spec is not accepted: see the Accepted condition")
	case rejecting > 0:
		return say(metav1.ConditionFalse, v1alpha1.ReasonRefusedByClient, refusedWords(exs, rejecting, clients))
	case clients == 0:
		return say(metav1.ConditionUnknown, v1alpha1.ReasonNoClients, "no Envoy or gRPC client is connected that uses it: "+howToDial(exs))
	case acknowledged < clients:
		return say(metav1.ConditionUnknown, v1alpha1.ReasonAwaitingClients,
			fmt.Sprintf("%d of %d connected clients have acknowledged it", acknowledged, clients))
	}
	return say(metav1.ConditionTrue, v1alpha1.ReasonAcknowledged, fmt.Sprintf("all %d connected clients have acknowledged it", clients))
}

// refusedWords are the words of a client, and what they mean.
func refusedWords(exs *v1alpha1.ExposedService, rejecting, clients int32) string {
	out := fmt.Sprintf("%d of %d connected clients refuse what they were sent and go on with what they had", rejecting, clients)
	refusal, replica := xdsfeed.LastRefusal(exs)
	if refusal == nil {
		return out
	}
	return fmt.Sprintf("%s; %s (connected to %s) says of %s: %s", out, refusal.Node, replica, refusal.Type, refusal.Message)
}

// howToDial says where clients find it.
func howToDial(exs *v1alpha1.ExposedService) string {
	out := "gRPC clients dial xds:///" + resource.ClientName(exs)
	if port := exs.Spec.XDS.Port; port != nil {
		out += fmt.Sprintf(", Envoys listen on port %d", *port)
	}
	return out
}
