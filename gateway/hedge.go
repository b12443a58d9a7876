package gateway

import (
	"fmt"
	"strings"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/hedging"
)

// mayRunTwice: the spec says that calls may.
func (e *expansion) mayRunTwice() bool { return hedging.MayRunTwice(e.exs.Spec.Traffic) }

// hedges says whether an attempt that stays silent can go on beside the next one. If not, why says so. Envoy's hedge policy is on a
// route, which Envoy Gateway lets nobody say but an EnvoyPatchPolicy.
func (e *expansion) hedges() (yes bool, why string) {
	switch {
	case !e.shape.priorities:
		return false, "without priorities no EnvoyPatchPolicy is made"
	case !e.shape.patch || e.facts.Capabilities.EnvoyPatchPolicy == CapabilityMissing || e.facts.Capabilities.EnvoyPatchPolicy == CapabilityOff ||
		e.facts.Capabilities.MergedUnseen && MergedClass(e.facts) == "":
		return false, "no EnvoyPatchPolicy is in force"
	case e.routeConfiguration() == "":
		return false, "Envoy Gateway keeps the routes of several listeners in one list, under the name of one of them: in spec.gateway.parentRef " +
			"name a listener (sectionName) with TLS, or one that has its port for itself"
	}
	return true, ""
}

// perTryTimeout is how long an attempt may stay silent; nil: as long as it likes. What Headgate chose by itself takes an attempt from
// nobody: where the first attempt cannot go on beside the second, there is none.
func (e *expansion) perTryTimeout() *gwapiv1.Duration {
	if given := e.exs.Spec.Traffic.Retry.PerTryTimeout; given != nil {
		if parsed(gwapiv1.Duration(*given)) == 0 {
			return nil
		}
		return ptr.To(gwapiv1.Duration(*given))
	}
	delay := hedging.Delay(e.exs.Status.Hedging)
	if hedges, _ := e.hedges(); !hedges || delay == hedging.Never {
		return nil
	}
	return ptr.To(gwapiv1.Duration(delay.String()))
}

// HedgesByLatency says whether the data plane follows a delay that Headgate chooses by how long calls take.
func (r Resolved) HedgesByLatency() bool {
	if !hedging.ByLatency(r.exs.Spec.Traffic) {
		return false
	}
	hedges, _ := r.hedges()
	return hedges
}

// GivesUp says whether attempts are given up that are silent for spec.traffic.retry.perTryTimeout, because they cannot go on beside the next.
func (r Resolved) GivesUp() bool {
	if !hedging.MayRunTwice(r.exs.Spec.Traffic) {
		return false
	}
	given := r.exs.Spec.Traffic.Retry.PerTryTimeout
	if given == nil || parsed(gwapiv1.Duration(*given)) == 0 {
		return false
	}
	hedges, known := r.hedges()
	return known && !hedges
}

// hedges says whether silent attempts go on beside the next ones; known: the GatewayClass is, without which nothing can be told.
func (r Resolved) hedges() (yes, known bool) {
	e := r.expansion()
	e.out.Gateway = GatewayRef(e.exs)
	if !e.resolveClass() {
		return false, false
	}
	e.chooseShape()
	yes, _ = e.hedges()
	return yes, true
}

// hedgePatches put the hedge policy on the routes. It is there whether a delay is chosen now or not: a route that changes costs no call,
// and an attempt must never be given up because the policy came later than the delay.
func (e *expansion) hedgePatches() []egv1a1.EnvoyJSONPatchConfig {
	if hedges, _ := e.hedges(); !e.mayRunTwice() || !hedges {
		return nil
	}
	// Envoy Gateway names routes grpcroute/<namespace>/<name>/rule/<number>/match/<number>/<host>.
	routes := fmt.Sprintf(`$.virtual_hosts[*].routes[?(@.name =~ /^grpcroute\/%s\/%s\/rule\//)].route`, quotedDots(e.exs.Namespace), quotedDots(e.exs.Name))
	return []egv1a1.EnvoyJSONPatchConfig{{
		Type: egv1a1.RouteConfigurationEnvoyResourceType, Name: e.routeConfiguration(),
		Operation: egv1a1.JSONPatchOperation{
			Op: "add", JSONPath: ptr.To(routes), Path: ptr.To("/hedge_policy"),
			Value: &apiextensionsv1.JSON{Raw: []byte(`{"hedge_on_per_try_timeout":true}`)},
		},
	}}
}

func quotedDots(name string) string { return strings.ReplaceAll(name, ".", `\.`) }

// routeConfiguration is the name under which Envoy has the routes of the listener; empty: it cannot be told. Listeners with TLS have
// routes of their own, and those without share them with all that have their port, under the name of the first of them.
func (e *expansion) routeConfiguration() string {
	gateway := e.out.Gateway
	name := func(listener string) string {
		return fmt.Sprintf("%s/%s/%s", gateway.Namespace, gateway.Name, listener)
	}
	merged := MergedClass(e.facts) != ""
	if Owned(e.exs) {
		if spec := e.exs.Spec.Gateway.Listener; merged && (spec == nil || spec.TLS == nil) {
			return ""
		}
		return name(ListenerName)
	}
	if e.facts.Gateway == nil {
		return ""
	}
	listeners := e.facts.Gateway.Spec.Listeners
	section := ptr.Deref(e.exs.Spec.Gateway.ParentRef.SectionName, "")
	found := ""
	for i := range listeners {
		if section != "" && string(listeners[i].Name) != section {
			continue
		}
		if found != "" || listeners[i].TLS == nil && (merged || sharesPort(listeners, i)) {
			return ""
		}
		found = name(string(listeners[i].Name))
	}
	return found
}

// sharesPort: another listener without TLS has the same port.
func sharesPort(listeners []gwapiv1.Listener, i int) bool {
	for j := range listeners {
		if j != i && listeners[j].TLS == nil && listeners[j].Port == listeners[i].Port {
			return true
		}
	}
	return false
}

// hedgingWords say what becomes of calls on an endpoint that freezes, where that is not what it could be.
func (e *expansion) hedgingWords() string {
	if !e.mayRunTwice() || !e.shape.envoyGateway {
		return ""
	}
	hedges, why := e.hedges()
	given := e.exs.Spec.Traffic.Retry.PerTryTimeout
	switch {
	case hedges:
		return ""
	case given != nil && parsed(gwapiv1.Duration(*given)) > 0:
		return "; an attempt that stays silent for perTryTimeout is given up, instead of going on beside the next one, so that a backend that is slower " +
			"than that fails every call: " + why
	}
	return "; a call that is in flight on an endpoint that freezes waits for its deadline, because attempts cannot be made beside each other: " + why
}

// parsed is a duration of the API, which the CRD has checked.
func parsed(value gwapiv1.Duration) time.Duration {
	d, err := time.ParseDuration(string(value))
	if err != nil {
		panic(fmt.Sprintf("duration %q: %v: the CRD admits no such", value, err))
	}
	return d
}
