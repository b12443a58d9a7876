package gateway

import (
	"fmt"

	"github.com/headgate/headgate/api/v1alpha1"
)

// Expand turns the ExposedService into the objects that carry its traffic.
//
// For a GatewayClass of Envoy Gateway with its Backend and EnvoyPatchPolicy APIs the result is the
// one-cluster shape: every backend is a locality of a single Envoy cluster, so that a backend that
// dies, drains, scales or changes its weight is a change of endpoints, which loses no call. For
// everything else it is the portable shape: a GRPCRoute to the user's own Services, but for a first backend with slots, which has
// Services of Headgate's own in both shapes.
//
// Missing facts never remove anything: what depends on them is kept as it is (Kept, Blocked) and
// reported (Problems).
func (r Resolved) Expand() Expansion {
	e := r.expansion()
	e.out.Gateway = GatewayRef(e.exs)
	e.out.Failover = v1alpha1.FailoverStatus{Mode: v1alpha1.FailoverWeights}
	e.out.FailoverReason = v1alpha1.ReasonUnknown
	e.out.FailoverMessage = "the Gateway is not known yet"

	if !e.resolveClass() {
		e.out.Blocked = true
		e.carryOn()
		return e.out
	}
	e.chooseShape()

	// What live traffic stands on comes first, so that nothing else can keep it from being current: the
	// endpoints, what stands by, and a route that is there.
	e.addOwnServices()
	e.addFallback()
	e.addHosts()
	isNew := e.facts.LiveWeights == nil
	if !isNew {
		e.addRoute()
	}
	if Owned(e.exs) {
		e.addGateway()
	}
	e.addPolicies()
	// Envoy warms a cluster whose configuration changes for up to 15 seconds before it uses the new one,
	// because Envoy Gateway does not send the endpoints again that belong to it. So a cluster is to be
	// complete when it is made, and to change once where it has to: a route that is new comes last.
	if isNew {
		e.addRoute()
	}
	e.out.exists = e.existing()
	e.withoutForeignRoute()
	e.applyOverrides()
	return e.out
}

// addPolicies adds the patch, which says more about the policy's health check, before the policy.
func (e *expansion) addPolicies() {
	if !e.shape.envoyGateway {
		e.ignoreTraffic()
		return
	}
	e.addPatch()
	e.add(e.policy())
}

// expansion is one run of Expand.
type expansion struct {
	exs      *v1alpha1.ExposedService
	facts    Facts
	backends []backend
	shape    shape
	// roleAt is the name of the backend at a place of a route.
	roleAt func(place string) string
	// hasFallback: the Backend of the fallback is applied or kept.
	hasFallback bool
	out         Expansion
}

func (e *expansion) problem(reason v1alpha1.Reason, format string, args ...any) {
	e.out.Problems = append(e.out.Problems, Problem{Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (e *expansion) add(object Object) { e.out.Objects = append(e.out.Objects, object) }

// resolveClass finds the GatewayClass, without which nothing can be decided.
func (e *expansion) resolveClass() bool {
	spec := e.exs.Spec.Gateway
	switch {
	case spec == nil:
		// The CRD refuses this; an object stored before that rule may still have it.
		e.problem(v1alpha1.ReasonNotAccepted, "spec.gateway is not set: name a GatewayClass in gateway.className or a Gateway in gateway.parentRef")
		return false
	case Owned(e.exs) && e.facts.Class == nil:
		e.problem(v1alpha1.ReasonGatewayClassNotFound,
			"GatewayClass %s does not exist: create it, or correct spec.gateway.className", *spec.ClassName)
		return false
	case !Owned(e.exs) && e.facts.unwatched(e.out.Gateway.Namespace) != "":
		e.problem(v1alpha1.ReasonGatewayNotFound, "Gateway %s/%s cannot be seen: %s",
			e.out.Gateway.Namespace, e.out.Gateway.Name, e.facts.unwatched(e.out.Gateway.Namespace))
		return false
	case !Owned(e.exs) && e.facts.Gateway == nil:
		e.problem(v1alpha1.ReasonGatewayNotFound,
			"Gateway %s/%s does not exist: create it, or correct spec.gateway.parentRef", e.out.Gateway.Namespace, e.out.Gateway.Name)
		return false
	case !Owned(e.exs) && e.facts.Class == nil:
		e.problem(v1alpha1.ReasonGatewayClassNotFound,
			"GatewayClass %s of Gateway %s/%s does not exist: ask the Gateway's owner",
			e.facts.Gateway.Spec.GatewayClassName, e.out.Gateway.Namespace, e.out.Gateway.Name)
		return false
	}
	return true
}

// ignoreTraffic names the fields that only Envoy Gateway can do.
func (e *expansion) ignoreTraffic() {
	if e.exs.Spec.Traffic != nil {
		e.out.Ignored = append(e.out.Ignored, "spec.traffic")
	}
	if gw := e.exs.Spec.Gateway; gw.Visibility != nil {
		e.out.Ignored = append(e.out.Ignored, "spec.gateway.visibility")
	}
	if gw := e.exs.Spec.Gateway; gw.Proxy != nil {
		e.out.Ignored = append(e.out.Ignored, "spec.gateway.proxy")
	}
}

// labels are the labels of every object; backend may be empty.
func (e *expansion) labels(backend string) map[string]string {
	labels := map[string]string{
		v1alpha1.LabelManagedBy:      v1alpha1.ManagedBy,
		v1alpha1.LabelOwnerName:      e.exs.Name,
		v1alpha1.LabelOwnerNamespace: e.exs.Namespace,
	}
	if backend != "" {
		labels[v1alpha1.LabelBackend] = backend
	}
	return labels
}

// granted says whether a ReferenceGrant in namespace `to` lets objects of one of the kinds `from`
// in the ExposedService's namespace refer to the object.
func (e *expansion) granted(to Ref, from ...Ref) bool { return granted(e.exs, e.facts, to, from...) }
