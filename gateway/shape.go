package gateway

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/utils/ptr"

	"github.com/headgate/headgate/api/v1alpha1"
)

// shape is how the objects are laid out.
type shape struct {
	// envoyGateway: the class is Envoy Gateway's and its kinds are installed, so that its policies
	// take effect.
	envoyGateway bool
	// oneCluster: all backends are localities of one cluster of Envoy.
	oneCluster bool
	// priorities: Envoy itself turns to the fallback, which is priority 1 of that cluster.
	priorities bool
	// patch: the EnvoyPatchPolicy may stand beside the Gateway.
	patch bool
	// probe: the fallback and the patch are made although they have no use now, because what Envoy
	// Gateway says of them is where a missing API's coming back shows.
	probe bool
	// zoned: Envoy Gateway makes a cluster of each backend although they could share one, because the
	// proxies are to prefer or weigh zones.
	zoned bool
	// fallback is the index of the backend that stands by; -1: none. besides are those whose endpoints stand by as well for the
	// moment, because the proxies may not use them yet where they serve, or not have heard yet where calls go.
	fallback int
	besides  []int
}

// outline is as much of the shape as the class alone decides.
//
// One cluster needs nothing but Services, so it is taken wherever Envoy Gateway is: without it Envoy
// Gateway takes the cluster away when a Service is empty, answers 503 by itself, and when the cluster
// comes back too soon Envoy waits 15 seconds for its endpoints (docs/design.md).
func outline(exs *v1alpha1.ExposedService, facts Facts) shape {
	caps := facts.Capabilities
	return shape{
		envoyGateway: facts.Class != nil && facts.Class.Spec.ControllerName == EnvoyGatewayController &&
			!(caps.Backend == CapabilityMissing && caps.EnvoyPatchPolicy == CapabilityMissing),
		oneCluster: sharesCluster(exs, facts.Class),
		fallback:   -1,
	}
}

// chooseShape picks the shape, and says why and what to enable for more.
func (e *expansion) chooseShape() {
	e.shape.fallback, e.shape.besides = e.chooseFallback()
	patch := PatchRefIn(e.exs, e.facts)
	e.shape.patch = e.shape.envoyGateway && (patch.Namespace == e.exs.Namespace || e.granted(patch, fromExposedService))
	zones := e.zonesFrom()
	e.shape.zoned = zones != ""

	reason, message := e.whyWeights(zones)
	if reason == "" {
		e.shape.priorities = true
		e.out.Failover.Mode = v1alpha1.FailoverPriorities
		reason, message = e.whichPriorities()
	} else {
		e.shape.probe = reason == v1alpha1.ReasonBackendAPIDisabled
	}
	if !e.shape.priorities && e.strategy() == v1alpha1.StrategyPriorities {
		e.out.Ignored = append(e.out.Ignored, "spec.failover.strategy: Priorities")
	}
	e.out.FailoverReason, e.out.FailoverMessage = reason, message+e.hedgingWords()
}

func (e *expansion) classIsEnvoyGateways() bool {
	return e.facts.Class.Spec.ControllerName == EnvoyGatewayController
}

// chooseFallback is the backend that the decision names, and those whose endpoints stand by beside its own; without a decision
// it is the first after the first that can stand by. -1: none.
//
// Whoever stood by until now is beside it until the weights of the decision have arrived. Route and Backend are different
// objects, and Envoy Gateway may see them in any order: a dead backend with all the weight beside a fallback that is the same
// dead backend would be a cluster without a healthy endpoint.
func (e *expansion) chooseFallback() (fallback int, besides []int) {
	fallback = e.wantedFallback()
	beside := func(name string) {
		if i := e.index(name); i >= 0 && i != fallback && !slices.Contains(besides, i) && e.backends[i].canStandBy() {
			besides = append(besides, i)
		}
	}
	if fallback < 0 {
		return fallback, nil
	}
	if decision := e.exs.Status.Traffic; decision != nil {
		beside(decision.Settling)
	}
	if !e.weightsArrived() {
		for _, name := range e.facts.LiveStandby {
			beside(name)
		}
	}
	return fallback, besides
}

// liveStandby are the backends that stand by now, as far as the spec still has them. -1: none does.
func (e *expansion) liveStandby() (fallback int, besides []int) {
	fallback = -1
	for _, name := range e.facts.LiveStandby {
		switch i := e.index(name); {
		case i < 0:
		case fallback < 0:
			fallback = i
		default:
			besides = append(besides, i)
		}
	}
	return fallback, besides
}

// standsBy says whether endpoints of the backend stand by.
func (e *expansion) standsBy(name string) bool {
	i := e.index(name)
	return i >= 0 && (i == e.shape.fallback || slices.Contains(e.shape.besides, i))
}

func (e *expansion) wantedFallback() int {
	if decision := e.exs.Status.Traffic; decision != nil {
		if i := e.index(decision.Fallback); i >= 0 && e.backends[i].canStandBy() {
			return i
		}
	}
	for i, b := range e.backends {
		if i > 0 && b.canStandBy() {
			return i
		}
	}
	return -1
}

// weightsArrived says whether the Gateway's controller has taken the weights of the decision.
func (e *expansion) weightsArrived() bool {
	return e.facts.RouteAccepted && maps.Equal(withoutZeros(e.wanted()), withoutZeros(e.facts.LiveWeights))
}

func withoutZeros(weights map[string]int32) map[string]int32 {
	out := map[string]int32{}
	for name, weight := range weights {
		if weight > 0 {
			out[name] = weight
		}
	}
	return out
}

// index is that of the backend with the name; -1: there is none.
func (e *expansion) index(name string) int {
	return slices.IndexFunc(e.backends, func(b backend) bool { return b.Name == name })
}

func (b backend) canStandBy() bool {
	return !b.canary && (b.inside() || len(b.host.addresses) > 0 || b.host.standsBy && len(b.host.unreachable) == 0)
}

func (e *expansion) strategy() v1alpha1.FailoverStrategy {
	if e.exs.Spec.Failover == nil {
		return v1alpha1.StrategyAuto
	}
	return ptr.Deref(e.exs.Spec.Failover.Strategy, v1alpha1.StrategyAuto)
}

const costOfWeights = "Headgate moves the weights when a backend dies, and calls that meet its death before that fail"

// whyWeights says what stands against priorities; an empty reason: nothing. zones is what makes the proxies prefer or
// weigh zones, if anything does.
func (e *expansion) whyWeights(zones string) (v1alpha1.Reason, string) {
	caps := e.facts.Capabilities
	switch {
	case e.strategy() == v1alpha1.StrategyWeights:
		return v1alpha1.ReasonWeightsRequested, "spec.failover.strategy is Weights: " + costOfWeights
	case e.classIsEnvoyGateways() && !e.shape.envoyGateway:
		return v1alpha1.ReasonBackendAPIDisabled, "the kinds of Envoy Gateway (gateway.envoyproxy.io) are not installed: " + costOfWeights +
			"; install the CRDs of Envoy Gateway's Helm chart"
	case !e.shape.envoyGateway:
		return v1alpha1.ReasonClassNotSupported, fmt.Sprintf(
			"GatewayClass %s is of controller %s, which knows only weights: %s; use a class of Envoy Gateway (%s) for failover in the proxy",
			e.facts.Class.Name, e.facts.Class.Spec.ControllerName, costOfWeights, EnvoyGatewayController)
	case e.backends[0].FQDN != nil:
		return v1alpha1.ReasonHostBackend, fmt.Sprintf(
			"the first backend, %s, is a host outside the cluster, which cannot share a cluster of Envoy with Services: %s",
			e.backends[0].Name, costOfWeights)
	case zones != "":
		return v1alpha1.ReasonZoneAware, fmt.Sprintf(
			"%s makes the proxies prefer or weigh zones (loadBalancer.zoneAware), for which Envoy Gateway makes a cluster of each backend: %s; "+
				"remove zoneAware there, or give up all settings of that policy for this route by an override of kind BackendTrafficPolicy with {spec: {mergeType: null}}",
			zones, costOfWeights)
	case e.shape.fallback < 0:
		return "", ""
	case caps.Backend == CapabilityMissing || caps.Backend == CapabilityOff,
		caps.Backend == CapabilityUnknown && caps.LastMode == v1alpha1.FailoverWeights:
		return v1alpha1.ReasonBackendAPIDisabled,
			"Envoy Gateway's Backend API is off: " + costOfWeights +
				"; set extensionApis.enableBackend: true in the EnvoyGateway configuration (Helm: config.envoyGateway.extensionApis)"
	}
	return "", ""
}

// whichPriorities says how well priorities work.
func (e *expansion) whichPriorities() (v1alpha1.Reason, string) {
	gateway, caps := e.out.Gateway, e.facts.Capabilities
	if e.shape.fallback < 0 {
		return v1alpha1.ReasonSingleBackend, "there is no second backend that Envoy could turn to: add one to spec.backends"
	}
	name := e.backends[e.shape.fallback].Name
	lessSharp := fmt.Sprintf("Envoy turns to %s when no serving endpoint is healthy, but also sends it a share of the calls when fewer than 72 %% "+
		"are healthy, and takes up to a second to notice changes, because ", name)
	switch {
	case !e.shape.patch:
		return v1alpha1.ReasonPatchNotPermitted, lessSharp + fmt.Sprintf(
			"the owner of Gateway %s/%s has not allowed an EnvoyPatchPolicy there: in namespace %s create a ReferenceGrant from "+
				"{group: headgate.dev, kind: ExposedService, namespace: %s} to {group: gateway.envoyproxy.io, kind: EnvoyPatchPolicy}",
			gateway.Namespace, gateway.Name, gateway.Namespace, e.exs.Namespace)
	case caps.EnvoyPatchPolicy == CapabilityMissing || caps.EnvoyPatchPolicy == CapabilityOff:
		return v1alpha1.ReasonPatchAPIDisabled, lessSharp + "Envoy Gateway's EnvoyPatchPolicy API is off; set " +
			"extensionApis.enableEnvoyPatchPolicy: true in the EnvoyGateway configuration (Helm: config.envoyGateway.extensionApis)"
	case caps.MergedUnseen && MergedClass(e.facts) == "":
		return v1alpha1.ReasonMergedGatewaysNotSupported, lessSharp + fmt.Sprintf(
			"Envoy Gateway merges all Gateways of the class by its own configuration, which Headgate cannot read: set mergeGateways: true "+
				"in an EnvoyProxy that the parametersRef of GatewayClass %s names", e.facts.Class.Name)
	}
	return v1alpha1.ReasonPriorities, fmt.Sprintf("Envoy turns to %s by itself when no serving endpoint is healthy", name)
}
