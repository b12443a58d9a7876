package gateway

import (
	"slices"
	"strings"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Words of Envoy Gateway (internal/gatewayapi/validate.go and backend.go of 1.9) that tell a
// disabled API from other trouble, for which it has no reason of its own.
const (
	backendDisabledInRoute  = "Backend is disabled in Envoy Gateway configuration"
	backendDisabledInStatus = "Backend is not enabled in Envoy Gateway"
)

// Served says which optional kinds of Envoy Gateway the cluster has.
type Served struct {
	Backend          bool
	EnvoyPatchPolicy bool
}

// CapabilitiesFrom reads from Envoy Gateway's own verdicts on our objects what it can do here.
// What it has not said, or has said only about an older generation, is unknown; then the mode that
// the status last reported stands.
func CapabilitiesFrom(exs *v1alpha1.ExposedService, live Live, served Served) Capabilities {
	caps := Capabilities{Backend: CapabilityMissing, EnvoyPatchPolicy: CapabilityMissing, LastMode: lastMode(exs)}
	if served.Backend {
		caps.Backend = live.backendCapability()
	}
	if served.EnvoyPatchPolicy {
		caps.EnvoyPatchPolicy, caps.MergedUnseen = live.patchCapability(GatewayRef(exs)), live.mergedUnseen()
	}
	return caps
}

// lastMode is the mode that the status reports, if it was chosen for what Envoy Gateway can do. A
// mode that was chosen because nothing was known, or because of the spec or the class, must not
// stand for an answer.
func lastMode(exs *v1alpha1.ExposedService) v1alpha1.FailoverMode {
	if exs.Status.Failover == nil {
		return ""
	}
	mode := exs.Status.Failover.Mode
	if mode == v1alpha1.FailoverWeights {
		condition := meta.FindStatusCondition(exs.Status.Conditions, v1alpha1.ConditionPriorityFailover)
		if condition == nil || condition.Reason != string(v1alpha1.ReasonBackendAPIDisabled) {
			return ""
		}
	}
	return mode
}

// backendCapability weighs two witnesses. The route is the better one: Envoy Gateway renews its
// verdict on every route, but looks at Backends only while a route refers to them, so that the
// Accepted condition of a Backend survives the day on which its API was turned off.
func (l Live) backendCapability() Capability {
	if l.backendDisabledInRoute() {
		return CapabilityOff
	}
	for _, backend := range l.Backends {
		accepted := currentCondition(backend.Status.Conditions, string(egv1a1.BackendConditionAccepted), backend.Generation)
		switch {
		case accepted == nil:
		case accepted.Status == metav1.ConditionTrue && l.routeResolves(backend):
			return CapabilityOn
		case accepted.Status == metav1.ConditionFalse && strings.Contains(accepted.Message, backendDisabledInStatus):
			return CapabilityOff
		}
	}
	return CapabilityUnknown
}

// backendDisabledInRoute says whether the route's references fail because the Backend API is off.
func (l Live) backendDisabledInRoute() bool {
	condition := l.resolvedRefs()
	return condition != nil && condition.Status == metav1.ConditionFalse && strings.Contains(condition.Message, backendDisabledInRoute)
}

func (l Live) resolvedRefs() *metav1.Condition {
	parent := l.routeParent()
	if parent == nil {
		return nil
	}
	return currentCondition(parent.Conditions, string(gwapiv1.RouteConditionResolvedRefs), l.Route.Generation)
}

// routeResolves says whether the route refers to the Backend and Envoy Gateway has looked at that.
func (l Live) routeResolves(backend *egv1a1.Backend) bool {
	if l.resolvedRefs() == nil {
		return false
	}
	for _, rule := range l.Route.Spec.Rules {
		if slices.ContainsFunc(rule.BackendRefs, func(ref gwapiv1.GRPCBackendRef) bool {
			return string(ptr.Deref(ref.Kind, KindService)) == KindBackend && string(ref.Name) == backend.Name
		}) {
			return true
		}
	}
	return false
}

// patchCapability: Envoy Gateway judges every EnvoyPatchPolicy beside a Gateway that it has
// accepted, and says so when it may not apply them.
func (l Live) patchCapability(gateway Ref) Capability {
	ancestor := l.patchAncestor(gateway)
	if ancestor == nil {
		return CapabilityUnknown
	}
	accepted := currentCondition(ancestor.Conditions, string(gwapiv1.PolicyConditionAccepted), l.PatchPolicy.Generation)
	switch {
	case accepted == nil:
		return CapabilityUnknown
	case accepted.Status == metav1.ConditionTrue:
		return CapabilityOn
	case accepted.Reason == string(egv1a1.PolicyReasonDisabled):
		return CapabilityOff
	}
	return CapabilityUnknown
}
