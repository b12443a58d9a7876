package faults

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/test/shop"
)

// specChoice is a spec in a few words.
type specChoice struct {
	// Backends are names in their order; far is a host.
	Backends []string
	Strategy v1alpha1.FailoverStrategy
	// Shared: on the Gateway that is there, and not one of its own.
	Shared   bool
	Hosts    int
	MinReady int32
	Connect  string
	Matches  string
	Labels   bool
	Pin      string
	Recovery bool
	Flaw     flaw
}

// flaw is what is wrong with a spec.
type flaw string

const (
	noService   flaw = "names a Service that is not there"
	noPort      flaw = "names a port that is not there"
	noClass     flaw = "names a class that is not there"
	noGateway   flaw = "names a Gateway that is not there"
	notGranted  flaw = "names a Service that it may not"
	badOverride flaw = "has an override that no schema has"
	badRoute    flaw = "has an override that no route may have"
	// These the API server refuses.
	noBackends flaw = "has no backends"
	badPin     flaw = "pins what it has not"
	badHost    flaw = "has a host with a port"
	twice      flaw = "has a Service twice"
)

var flaws = []flaw{noService, noPort, noClass, noGateway, notGranted, badOverride, badRoute, noBackends, badPin, badHost, twice}

// isRefused: the API server does not take it.
func (f flaw) isRefused() bool { return f == noBackends || f == badPin || f == badHost || f == twice }

// backendServices are the Services of backends by their names.
var backendServices = map[string]string{"primary": shop.Primary, "backup": shop.Backup, "spare": spareSvc}

func specs() *rapid.Generator[specChoice] {
	return rapid.Custom(func(t *rapid.T) specChoice {
		out := specChoice{
			Strategy: rapid.SampledFrom([]v1alpha1.FailoverStrategy{"", v1alpha1.StrategyPriorities, v1alpha1.StrategyWeights}).Draw(t, "strategy"),
			Shared:   rapid.Bool().Draw(t, "shared"),
			Hosts:    rapid.IntRange(1, 3).Draw(t, "hosts"),
			MinReady: rapid.SampledFrom([]int32{0, 0, 50, 100}).Draw(t, "minReadyPercent"),
			Connect:  rapid.SampledFrom([]string{"", "100ms", "1s"}).Draw(t, "connectTimeout"),
			Matches:  rapid.SampledFrom([]string{"", "a.Service", "b.Service"}).Draw(t, "matches"),
			Labels:   rapid.Bool().Draw(t, "labels"), Recovery: rapid.Bool().Draw(t, "recovery"),
		}
		names := rapid.Permutation([]string{"primary", "backup", "spare", "far"}).Draw(t, "backends")
		out.Backends = names[:rapid.IntRange(1, len(names)).Draw(t, "how many")]
		if out.Backends[0] == "far" && len(out.Backends) > 1 {
			out.Backends[0], out.Backends[1] = out.Backends[1], out.Backends[0]
		}
		if rapid.IntRange(0, 9).Draw(t, "pinned") == 0 {
			out.Pin = rapid.SampledFrom(out.Backends).Draw(t, "pin")
		}
		if rapid.IntRange(0, 4).Draw(t, "flawed") == 0 {
			out.Flaw = rapid.SampledFrom(flaws).Draw(t, "flaw")
		}
		return out
	})
}

// specPart is what of a spec changes.
type specPart string

const (
	everything specPart = "everything"
	itsGateway specPart = "the Gateway"
	itsHosts   specPart = "hosts"
	itsBackend specPart = "backends"
	itsRules   specPart = "rules"
	itsTraffic specPart = "timeouts"
	itsBounds  specPart = "bounds"
	itsFlaw    specPart = "the flaw"
)

var specParts = []specPart{everything, itsGateway, itsHosts, itsHosts, itsBackend, itsBackend, itsRules, itsTraffic, itsTraffic, itsBounds, itsBounds, itsFlaw}

// changed is a spec of which a part becomes that of another one. A flaw goes with the next change.
func (c specChoice) changed(part specPart, to specChoice) specChoice {
	if part == everything || len(c.Backends) == 0 {
		return to
	}
	c.Flaw = ""
	switch part {
	case itsGateway:
		c.Shared = to.Shared
	case itsHosts:
		c.Hosts = to.Hosts
	case itsBackend:
		c.Backends, c.Pin = to.Backends, to.Pin
	case itsRules:
		c.Matches, c.Labels = to.Matches, to.Labels
	case itsTraffic:
		c.Connect = to.Connect
	case itsBounds:
		c.MinReady, c.Recovery = to.MinReady, to.Recovery
	case itsFlaw:
		c.Flaw = to.Flaw
	}
	return c
}

// of is the spec of an ExposedService in a world.
func (c specChoice) of(w *world, name string) v1alpha1.ExposedServiceSpec {
	spec := v1alpha1.ExposedServiceSpec{Gateway: &v1alpha1.Gateway{ClassName: &w.class}}
	for i := range c.Hosts {
		spec.Hostnames = append(spec.Hostnames, v1alpha1.Hostname(fmt.Sprintf("%s-%d.example.com", name, i)))
	}
	if c.Shared {
		spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: sharedGateway}}
	}
	for _, backend := range c.Backends {
		if service := backendServices[backend]; service != "" {
			spec.Backends = append(spec.Backends, shop.ServiceBackend(backend, service))
		} else {
			spec.Backends = append(spec.Backends, hostBackend(backend, farHost))
		}
	}
	spec.Failover = &v1alpha1.Failover{Pin: c.Pin}
	if c.Strategy != "" {
		spec.Failover.Strategy = &c.Strategy
	}
	if c.MinReady > 0 {
		spec.Failover.MinReadyPercent = &c.MinReady
	}
	if c.Recovery {
		spec.Failover.Recovery = &v1alpha1.Recovery{HealthyFor: ptr.To(v1alpha1.LongDuration("1s")), Ramp: []int32{50}, RampInterval: ptr.To(v1alpha1.LongDuration("1s"))}
	}
	spec.Traffic = &v1alpha1.Traffic{}
	if c.Connect != "" {
		spec.Traffic.ConnectTimeout = ptr.To(v1alpha1.Duration(c.Connect))
	}
	if c.Matches != "" {
		spec.Rules = []v1alpha1.Rule{{Matches: []v1alpha1.Match{{Service: &c.Matches}}}}
	}
	if c.Labels {
		spec.Overrides = []v1alpha1.Override{override(v1alpha1.OverrideGRPCRoute, `{"metadata":{"labels":{"team":"a"}}}`)}
	}
	c.Flaw.spoil(&spec)
	return spec
}

func (f flaw) spoil(spec *v1alpha1.ExposedServiceSpec) {
	switch f {
	case noService:
		spec.Backends[0] = shop.ServiceBackend(spec.Backends[0].Name, "nowhere")
	case noPort:
		spec.Backends[0] = shop.ServiceBackend(spec.Backends[0].Name, shop.Primary)
		spec.Backends[0].Service.Port = 1
	case noClass:
		spec.Gateway = &v1alpha1.Gateway{ClassName: ptr.To("nowhere")}
	case noGateway:
		spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "nowhere"}}
	case notGranted:
		spec.Backends[0] = shop.ServiceBackend(spec.Backends[0].Name, "kubernetes")
		spec.Backends[0].Service.Namespace = ptr.To("default")
	case badOverride:
		spec.Overrides = []v1alpha1.Override{override(v1alpha1.OverrideBackendTrafficPolicy, `{"spec":{"retry":"often"}}`)}
	case badRoute:
		spec.Overrides = []v1alpha1.Override{override(v1alpha1.OverrideGRPCRoute, `{"metadata":{"labels":{"team":"not a label"}}}`)}
	case noBackends:
		spec.Backends = nil
	case badPin:
		spec.Failover.Pin = "nobody"
	case badHost:
		spec.Hostnames = append(spec.Hostnames, "example.com:80")
	case twice:
		again := spec.Backends[0]
		again.Name = "again"
		spec.Backends = append(spec.Backends, again)
	}
}

func override(kind v1alpha1.OverrideKind, patch string) v1alpha1.Override {
	return v1alpha1.Override{Kind: kind, Patch: apiextensionsv1.JSON{Raw: []byte(patch)}}
}
