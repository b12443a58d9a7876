package gateway_test

import (
	"strings"
	"testing"
	"time"

	egv1a1 "github.com/envoyproxy/gateway/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

// Where the first attempt cannot go on beside the second, Headgate chooses no time after which it is given up, the condition says so, and
// what somebody else chose is not held against a backend.
func TestSilentAttempts(t *testing.T) {
	tls := &gwapiv1.ListenerTLSConfig{}
	listener := func(name string, port int, tls *gwapiv1.ListenerTLSConfig) gwapiv1.Listener {
		return gwapiv1.Listener{Name: gwapiv1.SectionName(name), Port: gwapiv1.PortNumber(port), TLS: tls}
	}
	type change func(*v1alpha1.ExposedService, *gateway.Facts)
	section := func(name *string) change {
		return func(exs *v1alpha1.ExposedService, _ *gateway.Facts) { exs.Spec.Gateway.ParentRef.SectionName = name }
	}
	listeners := func(all ...gwapiv1.Listener) change {
		return func(_ *v1alpha1.ExposedService, facts *gateway.Facts) { facts.Gateway.Spec.Listeners = all }
	}
	given := func(timeout v1alpha1.Duration) change {
		return func(exs *v1alpha1.ExposedService, _ *gateway.Facts) { exs.Spec.Traffic.Retry.PerTryTimeout = &timeout }
	}
	patches := func(capability gateway.Capability) change {
		return func(_ *v1alpha1.ExposedService, facts *gateway.Facts) {
			facts.Capabilities.EnvoyPatchPolicy = capability
		}
	}
	once := func(exs *v1alpha1.ExposedService, _ *gateway.Facts) { exs.Spec.Traffic.Retry.Idempotent = nil }
	slow := func(exs *v1alpha1.ExposedService, _ *gateway.Facts) { exs.Status.Hedging.Delay = nil }
	undecided := func(exs *v1alpha1.ExposedService, _ *gateway.Facts) { exs.Status.Hedging = nil }
	weights := func(exs *v1alpha1.ExposedService, _ *gateway.Facts) {
		exs.Spec.Failover = &v1alpha1.Failover{Strategy: ptr.To(v1alpha1.StrategyWeights)}
	}
	const owned, attached = "testdata/primary-backup.in.yaml", "testdata/shared-gateway-patch-granted.in.yaml"
	for name, c := range map[string]struct {
		input   string
		changes []change
		// timeout is that of an attempt, and routes are what the hedge policy is put on; empty: there is none.
		timeout, routes string
		words           string
		givesUp         bool
	}{
		"its own Gateway":                  {input: owned, timeout: "900ms", routes: "shop/greeter/grpc"},
		"calls take too long":              {input: owned, changes: []change{slow}, routes: "shop/greeter/grpc"},
		"nothing decided":                  {input: owned, changes: []change{undecided}, routes: "shop/greeter/grpc"},
		"a time of somebody's own":         {input: owned, changes: []change{given("1s500ms")}, timeout: "1s500ms", routes: "shop/greeter/grpc"},
		"somebody wants none":              {input: owned, changes: []change{given("0s")}, routes: "shop/greeter/grpc"},
		"calls that may not run twice":     {input: owned, changes: []change{once}},
		"patches are off":                  {input: owned, changes: []change{patches(gateway.CapabilityOff)}, words: "waits for its deadline"},
		"patches are off, and a time":      {input: owned, changes: []change{patches(gateway.CapabilityOff), given("1s")}, timeout: "1s", words: "is given up", givesUp: true},
		"weights":                          {input: owned, changes: []change{weights}, words: "waits for its deadline"},
		"a listener of a shared Gateway":   {input: attached, timeout: "900ms", routes: "infra/public/grpc"},
		"the only listener":                {input: attached, changes: []change{section(nil)}, timeout: "900ms", routes: "infra/public/grpc"},
		"one of two, with TLS":             {input: attached, changes: []change{listeners(listener("grpc", 443, tls), listener("web", 443, tls))}, timeout: "900ms", routes: "infra/public/grpc"},
		"one of two ports":                 {input: attached, changes: []change{listeners(listener("grpc", 80, nil), listener("web", 81, nil))}, timeout: "900ms", routes: "infra/public/grpc"},
		"one of two that share a port":     {input: attached, changes: []change{listeners(listener("grpc", 80, nil), listener("web", 80, nil))}, words: "name a listener (sectionName) with TLS"},
		"any of two":                       {input: attached, changes: []change{section(nil), listeners(listener("grpc", 443, tls), listener("web", 81, nil))}, words: "sectionName"},
		"any of two, and a time":           {input: attached, changes: []change{section(nil), listeners(listener("grpc", 443, tls), listener("web", 81, nil)), given("1s")}, timeout: "1s", words: "is given up", givesUp: true},
		"a listener that is not there yet": {input: attached, changes: []change{listeners()}, words: "sectionName"},
	} {
		t.Run(name, func(t *testing.T) {
			in := readInput(t, c.input)
			exs, facts := &in.ExposedService, in.facts()
			exs.Spec.Traffic = &v1alpha1.Traffic{Retry: &v1alpha1.Retry{Idempotent: ptr.To(true)}}
			exs.Status.Hedging = &v1alpha1.HedgingStatus{Delay: &metav1.Duration{Duration: 900 * time.Millisecond}}
			for _, change := range c.changes {
				change(exs, &facts)
			}
			resolved := gateway.Resolve(exs, facts)
			out := resolved.Expand()
			timeout, routes := silentAttempts(out)
			if timeout != c.timeout || routes != c.routes {
				t.Errorf("timeout %q, routes %q; want %q, %q", timeout, routes, c.timeout, c.routes)
			}
			if !strings.Contains(out.FailoverMessage, c.words) || c.words == "" && strings.Contains(out.FailoverMessage, "attempt") {
				t.Errorf("the condition says: %s", out.FailoverMessage)
			}
			if got := resolved.GivesUp(); got != c.givesUp {
				t.Errorf("attempts are given up: %v", got)
			}
			if got, want := resolved.HedgesByLatency(), c.routes != "" && exs.Spec.Traffic.Retry.PerTryTimeout == nil; got != want {
				t.Errorf("the delay follows the latency: %v", got)
			}
		})
	}
}

func silentAttempts(out gateway.Expansion) (timeout, routes string) {
	for _, object := range out.Objects {
		switch o := object.(type) {
		case *egv1a1.BackendTrafficPolicy:
			timeout = string(ptr.Deref(o.Spec.Retry.PerRetry.Timeout, ""))
		case *egv1a1.EnvoyPatchPolicy:
			for _, patch := range o.Spec.JSONPatches {
				if patch.Type == egv1a1.RouteConfigurationEnvoyResourceType {
					routes = patch.Name
				}
			}
		}
	}
	return timeout, routes
}
