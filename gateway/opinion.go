package gateway

import (
	"fmt"
	"slices"
	"strings"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// opinion is something short of "accepted and programmed" that the data plane's controller says,
// or, with ReasonPending, has not yet said, of one object.
type opinion struct {
	reason  v1alpha1.Reason
	message string
	// passing: it usually goes away without anybody's doing.
	passing bool
	// stops: no calls can be made while it is so.
	stops bool
}

// dataPlane asks the live objects, in the order in which traffic meets them.
type dataPlane struct {
	exs       *v1alpha1.ExposedService
	expansion Expansion
	live      Live
}

func (d dataPlane) opinions() []opinion {
	return slices.Concat(d.gateway(), d.proxy(), d.route(), d.trafficPolicy(), d.backends(), d.patchPolicy())
}

// expects says whether an object of the kind is to be there.
func (d dataPlane) expects(kind string) bool {
	return slices.ContainsFunc(d.expansion.Objects, func(object Object) bool {
		return object.GetObjectKind().GroupVersionKind().Kind == kind
	})
}

func (d dataPlane) controller() string {
	if d.live.Controller == "" {
		return "the Gateway's controller"
	}
	return "controller " + string(d.live.Controller)
}

func pending(format string, args ...any) opinion {
	return opinion{reason: v1alpha1.ReasonPending, message: fmt.Sprintf(format, args...), passing: true}
}

// unsaid is for what the controller has not said of the object as it is now.
func (d dataPlane) unsaid(what string, object metav1.Object) opinion {
	return pending("%s has not yet looked at %s (generation %d); if this stays, check that it is running",
		d.controller(), named(what, object), object.GetGeneration())
}

func named(kind string, object metav1.Object) string {
	return kind + " " + object.GetNamespace() + "/" + object.GetName()
}

// said ends what a controller said with its reason, the word to search for.
func said(condition *metav1.Condition) string {
	return strings.TrimRight(strings.TrimSpace(condition.Message), ".") + " (" + condition.Reason + ")"
}

func (d dataPlane) gateway() []opinion {
	gateway := d.live.Gateway
	if gateway == nil {
		return []opinion{pending("Gateway %s/%s is not there yet", d.expansion.Gateway.Namespace, d.expansion.Gateway.Name)}
	}
	if gateway.DeletionTimestamp != nil {
		return []opinion{pending("%s is being deleted", named(KindGateway, gateway))}
	}
	accepted := currentCondition(gateway.Status.Conditions, string(gwapiv1.GatewayConditionAccepted), gateway.Generation)
	if accepted == nil || accepted.Status == metav1.ConditionUnknown {
		return []opinion{d.unsaid(KindGateway, gateway)}
	}
	listeners := d.listeners()
	if accepted.Status == metav1.ConditionFalse && (accepted.Reason != string(gwapiv1.GatewayReasonListenersNotValid) || len(listeners) == 0) {
		return append([]opinion{{
			stops:   true,
			reason:  v1alpha1.ReasonGatewayNotAccepted,
			message: fmt.Sprintf("%s is refused by %s: %s", named(KindGateway, gateway), d.controller(), said(accepted)),
		}}, listeners...)
	}
	if len(listeners) > 0 {
		return listeners
	}
	return d.programmed()
}

func (d dataPlane) programmed() []opinion {
	gateway := d.live.Gateway
	programmed := currentCondition(gateway.Status.Conditions, string(gwapiv1.GatewayConditionProgrammed), gateway.Generation)
	switch {
	case programmed == nil || programmed.Status == metav1.ConditionUnknown:
		return []opinion{d.unsaid(KindGateway, gateway)}
	case programmed.Status == metav1.ConditionTrue:
		return nil
	}
	remedy := ""
	switch programmed.Reason {
	case string(gwapiv1.GatewayReasonAddressNotAssigned):
		remedy = ": wait for the cluster's load balancer to assign one; where there is none, ask for an address inside the cluster with spec.gateway.visibility: Internal"
	case string(gwapiv1.GatewayReasonNoResources):
		remedy = ": wait for the proxies to start; if they do not, look at their Deployment"
	}
	return []opinion{{
		reason:  v1alpha1.ReasonGatewayNotProgrammed,
		message: fmt.Sprintf("%s has no proxies to take calls yet: %s%s", named(KindGateway, gateway), said(programmed), remedy),
		passing: true,
		stops:   true,
	}}
}

// listeners judges those listeners that the route attaches to: of an owned Gateway ours, of a
// shared one that of sectionName. Without sectionName one that works is enough.
func (d dataPlane) listeners() []opinion {
	var out []opinion
	working := 0
	section := d.section()
	for i := range d.live.Gateway.Spec.Listeners {
		listener := &d.live.Gateway.Spec.Listeners[i]
		if section != "" && string(listener.Name) != section {
			continue
		}
		opinions := d.listener(listener)
		if len(opinions) == 0 {
			working++
		}
		out = append(out, opinions...)
	}
	if working > 0 {
		return nil
	}
	return out
}

func (d dataPlane) section() string {
	switch gw := d.exs.Spec.Gateway; {
	case Owned(d.exs):
		return ListenerName
	case gw == nil || gw.ParentRef == nil:
		// The gateway was taken out of the spec, and the route that it had is still there.
		return ""
	default:
		return ptr.Deref(gw.ParentRef.SectionName, "")
	}
}

func (d dataPlane) listener(listener *gwapiv1.Listener) []opinion {
	gateway := d.live.Gateway
	name := fmt.Sprintf("listener %s of %s", listener.Name, named(KindGateway, gateway))
	index := slices.IndexFunc(gateway.Status.Listeners, func(status gwapiv1.ListenerStatus) bool { return status.Name == listener.Name })
	if index < 0 {
		return []opinion{pending("%s has not yet looked at %s", d.controller(), name)}
	}
	conditions := gateway.Status.Listeners[index].Conditions
	find := func(conditionType gwapiv1.ListenerConditionType) *metav1.Condition {
		return currentCondition(conditions, string(conditionType), gateway.Generation)
	}
	resolved, accepted, programmed := find(gwapiv1.ListenerConditionResolvedRefs), find(gwapiv1.ListenerConditionAccepted), find(gwapiv1.ListenerConditionProgrammed)
	switch {
	case isFalse(resolved) && !isTrue(programmed):
		return []opinion{{stops: true, reason: v1alpha1.ReasonListenerNotReady, message: name + ": " + d.unresolved(listener, resolved)}}
	case isFalse(accepted):
		return []opinion{{stops: true, reason: v1alpha1.ReasonListenerNotReady, message: name + " is refused: " + said(accepted) + d.mergedRemedy()}}
	case isFalse(programmed):
		return []opinion{{stops: true, reason: v1alpha1.ReasonListenerNotReady, message: name + " is not programmed: " + said(programmed)}}
	case accepted == nil:
		return []opinion{pending("%s has not yet looked at %s", d.controller(), name)}
	}
	return nil
}

// unresolved names the Secrets that a listener's certificates are to come from: not every
// controller does.
func (d dataPlane) unresolved(listener *gwapiv1.Listener, resolved *metav1.Condition) string {
	var secrets []string
	if listener.TLS != nil {
		for _, ref := range listener.TLS.CertificateRefs {
			secrets = append(secrets, string(ptr.Deref(ref.Namespace, gwapiv1.Namespace(d.live.Gateway.Namespace)))+"/"+string(ref.Name))
		}
	}
	names := strings.Join(secrets, ", ")
	switch {
	case len(secrets) > 0 && resolved.Reason == string(gwapiv1.ListenerReasonInvalidCertificateRef):
		return fmt.Sprintf("no usable certificate in Secret %s: %s; create the Secret with type kubernetes.io/tls and valid tls.crt and tls.key",
			names, said(resolved))
	case len(secrets) > 0 && resolved.Reason == string(gwapiv1.ListenerReasonRefNotPermitted):
		return fmt.Sprintf("Secret %s may not be used: %s; in the Secret's namespace create a ReferenceGrant from {group: %s, kind: Gateway, namespace: %s} to {group: \"\", kind: Secret}",
			names, said(resolved), gwapiv1.GroupName, d.live.Gateway.Namespace)
	}
	return said(resolved)
}

func isTrue(condition *metav1.Condition) bool {
	return condition != nil && condition.Status == metav1.ConditionTrue
}

func isFalse(condition *metav1.Condition) bool {
	return condition != nil && condition.Status == metav1.ConditionFalse
}

// proxy: an EnvoyProxy that nobody has spoken of is not waited for, because the Gateway, which
// cannot be programmed without it, is.
func (d dataPlane) proxy() []opinion {
	proxy := d.live.Proxy
	if proxy == nil || !Owned(d.exs) {
		return nil
	}
	for _, ancestor := range proxy.Status.Ancestors {
		if !isGateway(ancestor.AncestorRef, proxy.Namespace, d.expansion.Gateway) {
			continue
		}
		if accepted := currentCondition(ancestor.Conditions, string(egv1a1.EnvoyProxyConditionAccepted), proxy.Generation); isFalse(accepted) {
			return []opinion{{reason: v1alpha1.ReasonPolicyNotAccepted, message: fmt.Sprintf(
				"%s is refused: %s; correct spec.gateway.proxy, or the override of kind EnvoyProxy", named(KindEnvoyProxy, proxy), said(accepted))}}
		}
	}
	return nil
}

func (d dataPlane) route() []opinion {
	route := d.live.Route
	if route == nil {
		return []opinion{pending("GRPCRoute %s/%s is not there yet", d.exs.Namespace, d.exs.Name)}
	}
	parent := d.live.routeParent()
	if parent == nil {
		return []opinion{d.unsaid(KindGRPCRoute, route)}
	}
	accepted := currentCondition(parent.Conditions, string(gwapiv1.RouteConditionAccepted), route.Generation)
	switch {
	case accepted == nil || accepted.Status == metav1.ConditionUnknown:
		return []opinion{d.unsaid(KindGRPCRoute, route)}
	case accepted.Status == metav1.ConditionFalse:
		return []opinion{{stops: true, reason: v1alpha1.ReasonRouteNotAccepted, message: fmt.Sprintf(
			"%s is not taken by Gateway %s/%s: %s%s", named(KindGRPCRoute, route),
			d.expansion.Gateway.Namespace, d.expansion.Gateway.Name, said(accepted), d.routeRemedy(accepted.Reason))}}
	}
	resolved := currentCondition(parent.Conditions, string(gwapiv1.RouteConditionResolvedRefs), route.Generation)
	switch {
	case resolved == nil || resolved.Status == metav1.ConditionUnknown:
		return []opinion{d.unsaid(KindGRPCRoute, route)}
	case resolved.Status == metav1.ConditionFalse && !d.onlyFallbackUnresolved():
		return []opinion{{stops: !d.onlyIdleUnresolved(), reason: v1alpha1.ReasonRefsNotResolved, message: fmt.Sprintf(
			"%s refers to something that %s cannot use: %s", named(KindGRPCRoute, route), d.controller(), said(resolved))}}
	}
	return nil
}

// onlyFallbackUnresolved: with weights, a reference to the fallback has weight 0 and stands there
// only to show when the Backend API comes back. That it does not resolve is what PriorityFailover
// says already.
func (d dataPlane) onlyFallbackUnresolved() bool {
	if d.expansion.Failover.Mode != v1alpha1.FailoverWeights || !d.live.backendDisabledInRoute() {
		return false
	}
	for _, rule := range d.live.Route.Spec.Rules {
		for _, ref := range rule.BackendRefs {
			if string(ptr.Deref(ref.Kind, KindService)) == KindBackend && ptr.Deref(ref.Weight, 1) != 0 {
				return false
			}
		}
	}
	return true
}

// onlyIdleUnresolved: of the backends that the spec names, some are not there, and none of those has calls to take. That is
// what the controller cannot resolve, and calls are made all the same.
func (d dataPlane) onlyIdleUnresolved() bool {
	weights := map[string]int32{}
	if decision := d.exs.Status.Traffic; decision != nil {
		for _, weight := range decision.Weights {
			weights[weight.Name] = weight.Weight
		}
	} else if len(d.exs.Spec.Backends) > 0 {
		weights[d.exs.Spec.Backends[0].Name] = TotalWeight
	}
	unresolved := false
	for _, problem := range d.expansion.Problems {
		if problem.isUnresolved() && problem.Backend != "" {
			if weights[problem.Backend] > 0 {
				return false
			}
			unresolved = true
		}
	}
	return unresolved
}

// serves says whether calls have been taken: the Gateway has proxies and has taken the route, whatever has changed since.
func (d dataPlane) serves() bool {
	parent := d.live.routeParent()
	return parent != nil && d.live.Gateway != nil &&
		meta.IsStatusConditionTrue(parent.Conditions, string(gwapiv1.RouteConditionAccepted)) &&
		meta.IsStatusConditionTrue(d.live.Gateway.Status.Conditions, string(gwapiv1.GatewayConditionProgrammed))
}

// mergedRemedy is what to do about a listener of one's own that is refused because another Gateway of the class has its port.
func (d dataPlane) mergedRemedy() string {
	if d.live.MergedClass == "" || !Owned(d.exs) {
		return ""
	}
	return fmt.Sprintf("; all Gateways of GatewayClass %s share their ports: set another spec.gateway.listener.port, or attach to one of them by spec.gateway.parentRef",
		d.live.MergedClass)
}

func (d dataPlane) routeRemedy(reason string) string {
	if Owned(d.exs) {
		return ""
	}
	switch reason {
	case string(gwapiv1.RouteReasonNotAllowedByListeners):
		return fmt.Sprintf("; ask the Gateway's owner to admit namespace %s, and routes of kind GRPCRoute, in the listener's allowedRoutes", d.exs.Namespace)
	case string(gwapiv1.RouteReasonNoMatchingListenerHostname):
		return "; none of spec.hostnames fits the host name of the listener: correct them, or choose another listener with spec.gateway.parentRef.sectionName"
	case string(gwapiv1.RouteReasonNoMatchingParent):
		return "; the Gateway has no such listener: correct spec.gateway.parentRef.sectionName"
	}
	return ""
}

func (d dataPlane) trafficPolicy() []opinion {
	policy := d.live.TrafficPolicy
	if policy == nil {
		if d.expects(KindBackendTrafficPolicy) {
			return []opinion{pending("BackendTrafficPolicy %s/%s is not there yet", d.exs.Namespace, d.exs.Name)}
		}
		return nil
	}
	if !d.expects(KindBackendTrafficPolicy) {
		return nil
	}
	ancestor := d.live.policyAncestor(policy.Status, policy.Namespace, d.expansion.Gateway)
	if ancestor == nil {
		return []opinion{d.unsaid(KindBackendTrafficPolicy, policy)}
	}
	accepted := currentCondition(ancestor.Conditions, string(gwapiv1.PolicyConditionAccepted), policy.Generation)
	switch {
	case accepted == nil || accepted.Status == metav1.ConditionUnknown:
		return []opinion{d.unsaid(KindBackendTrafficPolicy, policy)}
	case accepted.Status == metav1.ConditionTrue:
		return nil
	}
	remedy := "correct spec.traffic, or the override of kind BackendTrafficPolicy"
	if accepted.Reason == string(gwapiv1.PolicyReasonConflicted) {
		remedy = fmt.Sprintf("remove the older BackendTrafficPolicy that targets GRPCRoute %s/%s", d.exs.Namespace, d.exs.Name)
	}
	return []opinion{{reason: v1alpha1.ReasonPolicyNotAccepted, message: fmt.Sprintf(
		"%s is refused: %s; %s", named(KindBackendTrafficPolicy, policy), said(accepted), remedy)}}
}

// backends: only a refusal counts, and only where the Backends carry traffic. Their endpoints
// change with every pod, and a verdict on each change is not worth a transition of Ready.
func (d dataPlane) backends() []opinion {
	if d.expansion.Failover.Mode != v1alpha1.FailoverPriorities {
		return nil
	}
	var out []opinion
	for _, backend := range d.live.Backends {
		accepted := currentCondition(backend.Status.Conditions, string(egv1a1.BackendConditionAccepted), backend.Generation)
		if isFalse(accepted) {
			out = append(out, opinion{reason: v1alpha1.ReasonPolicyNotAccepted, message: fmt.Sprintf(
				"%s is refused: %s", named(KindBackend, backend), said(accepted))})
		}
	}
	return out
}

// patchPolicy counts only with priorities: otherwise, or where its API is off, the object stands there to show
// when its API comes back.
func (d dataPlane) patchPolicy() []opinion {
	if d.expansion.Failover.Mode != v1alpha1.FailoverPriorities || !d.expects(KindEnvoyPatchPolicy) {
		return nil
	}
	policy := d.live.PatchPolicy
	if policy == nil {
		return []opinion{pending("the EnvoyPatchPolicy of the Gateway is not there yet")}
	}
	if d.live.mergedUnseen() {
		return nil // PriorityFailover says so.
	}
	ancestor := d.live.patchAncestor(d.expansion.Gateway)
	if ancestor == nil {
		return []opinion{d.unsaid(KindEnvoyPatchPolicy, policy)}
	}
	accepted := currentCondition(ancestor.Conditions, string(gwapiv1.PolicyConditionAccepted), policy.Generation)
	programmed := currentCondition(ancestor.Conditions, string(egv1a1.PolicyConditionProgrammed), policy.Generation)
	switch {
	case isFalse(accepted) && accepted.Reason == string(egv1a1.PolicyReasonDisabled):
		return nil // So does it here.
	case isFalse(accepted):
		return []opinion{{reason: v1alpha1.ReasonPolicyNotAccepted, message: fmt.Sprintf(
			"%s is refused: %s", named(KindEnvoyPatchPolicy, policy), said(accepted))}}
	case isFalse(programmed):
		// Not found: the cluster is not there yet, for example because the route is not.
		return []opinion{{
			reason:  v1alpha1.ReasonPolicyNotAccepted,
			message: fmt.Sprintf("%s has no effect: %s", named(KindEnvoyPatchPolicy, policy), said(programmed)),
			passing: programmed.Reason == string(egv1a1.PolicyReasonResourceNotFound),
		}}
	case !isTrue(accepted) || !isTrue(programmed):
		return []opinion{d.unsaid(KindEnvoyPatchPolicy, policy)}
	}
	return nil
}

// refusedWords are Envoy Gateway's own words about an API that it does not offer.
func (l Live) refusedWords(gateway Ref) string {
	if condition := l.resolvedRefs(); l.backendDisabledInRoute() {
		return ". Envoy Gateway says: " + said(condition)
	}
	if l.PatchPolicy == nil {
		return ""
	}
	ancestor := l.patchAncestor(gateway)
	if ancestor == nil && l.mergedUnseen() {
		ancestor = l.classAncestor(func(string) bool { return true })
	}
	if ancestor == nil {
		return ""
	}
	if accepted := currentCondition(ancestor.Conditions, string(gwapiv1.PolicyConditionAccepted), l.PatchPolicy.Generation); isFalse(accepted) {
		return ". Envoy Gateway says: " + said(accepted)
	}
	return ""
}
