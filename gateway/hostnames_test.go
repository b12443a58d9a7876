package gateway_test

import (
	"slices"
	"strings"
	"testing"

	gwapiv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/headgate/headgate/api/v1alpha1"
	"github.com/headgate/headgate/gateway"
)

func TestHostNamesBelongToNamespaces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		annotation, host string
		owned            bool
	}{
		"the name itself":              {"api.example.com", "api.example.com", true},
		"the name itself, in capitals": {"API.example.com", "api.example.com", true},
		"one of several":               {"a.example.com , api.example.com,", "api.example.com", true},
		"a name below a wildcard":      {"*.shop.example.com", "api.shop.example.com", true},
		"a name far below a wildcard":  {"*.shop.example.com", "a.b.shop.example.com", true},
		"the wildcard itself":          {"*.shop.example.com", "*.shop.example.com", true},
		"a wildcard below":             {"*.shop.example.com", "*.eu.shop.example.com", true},
		"every name":                   {"*", "bank.example.com", true},
		"every name, by none":          {"*", "", true},
		"another name":                 {"api.example.com", "bank.example.com", false},
		"a name that only ends so":     {"*.shop.example.com", "workshop.example.com", false},
		"the domain of the wildcard":   {"*.shop.example.com", "shop.example.com", false},
		"a wildcard above":             {"*.shop.example.com", "*.example.com", false},
		"a wildcard over a name":       {"api.example.com", "*.example.com", false},
		"no host names":                {"*.shop.example.com", "", false},
		"nothing":                      {"", "api.example.com", false},
	} {
		exs := &v1alpha1.ExposedService{}
		if c.host != "" {
			exs.Spec.Hostnames = []v1alpha1.Hostname{v1alpha1.Hostname(c.host)}
		}
		owned := gateway.HostOwnership{Enforced: true, Own: gateway.ParseHostPatterns(c.annotation)}
		if foreign := owned.Foreign(exs); (len(foreign) == 0) != c.owned {
			t.Errorf("%s: foreign are %q", name, foreign)
		}
		owned.Enforced = false
		if foreign := owned.Foreign(exs); len(foreign) != 0 {
			t.Errorf("%s, where that is not enforced: foreign are %q", name, foreign)
		}
	}
}

func TestARouteHasOnlyHostNamesOfItsNamespace(t *testing.T) {
	t.Parallel()
	const own, foreign = "api.shop.example.com", "bank.example.com"
	for _, c := range []struct {
		name                string
		hosts, live, others []string
		// route are the host names that it has; nil: there is none.
		route []string
		says  string
	}{
		{name: "its own", hosts: []string{own}, route: []string{own}},
		{name: "one of two", hosts: []string{own, foreign}, route: []string{own}, says: "host bank.example.com does not belong to namespace shop, which has *.shop.example.com"},
		{name: "none of it", hosts: []string{foreign}, says: "host bank.example.com does not belong"},
		{name: "none of two", hosts: []string{foreign, "*"}, says: "hosts bank.example.com, * do not belong"},
		{name: "without host names", says: "without host names it would have all"},
		{name: "one that it has and nobody owns", hosts: []string{foreign}, live: []string{foreign}, route: []string{foreign}, says: "does not belong"},
		{name: "one that it has and somebody owns", hosts: []string{foreign}, live: []string{foreign}, others: []string{foreign}, says: "does not belong"},
		{name: "two that it has, of which somebody owns", hosts: []string{own, foreign}, live: []string{own, foreign}, others: []string{"*.example.com"}, route: []string{own}, says: "does not belong"},
		{name: "one more beside one that it has", hosts: []string{foreign, "more.example.com"}, live: []string{foreign}, route: []string{foreign}, says: "hosts bank.example.com, more.example.com do not belong"},
		{name: "its own, though somebody else owns it too", hosts: []string{own}, others: []string{own}, route: []string{own}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := readInput(t, "testdata/override-protected.in.yaml")
			in.ExposedService.Spec.Overrides, in.ExposedService.Spec.Hostnames = nil, nil
			for _, host := range c.hosts {
				in.ExposedService.Spec.Hostnames = append(in.ExposedService.Spec.Hostnames, v1alpha1.Hostname(host))
			}
			facts := in.facts()
			facts.Hostnames = gateway.HostOwnership{Enforced: true, Own: []string{"*.shop.example.com"}, Others: c.others}
			if c.live != nil {
				facts.LiveRoute, facts.LiveWeights = &gwapiv1.GRPCRoute{}, map[string]int32{"primary": gateway.TotalWeight}
				for _, host := range c.live {
					facts.LiveRoute.Spec.Hostnames = append(facts.LiveRoute.Spec.Hostnames, gwapiv1.Hostname(host))
				}
			}
			out := gateway.Resolve(&in.ExposedService, facts).Expand()
			said := ""
			for _, problem := range append(out.Problems, gateway.Resolve(&in.ExposedService, facts).Problems()...) {
				if problem.Reason == v1alpha1.ReasonHostnameNotPermitted {
					said = problem.Message
				}
			}
			if (c.says == "") != (said == "") || !strings.Contains(said, c.says) {
				t.Errorf("it is said %q", said)
			}
			var route []string
			for _, object := range out.Objects {
				if r, isRoute := object.(*gwapiv1.GRPCRoute); isRoute {
					route = []string{}
					for _, host := range r.Spec.Hostnames {
						route = append(route, string(host))
					}
				}
			}
			if (route == nil) != (c.route == nil) || !slices.Equal(route, c.route) {
				t.Errorf("the route has %q, want %q", route, c.route)
			}
			if slices.Contains(out.Kept, gateway.RouteRef(&in.ExposedService)) {
				t.Error("the route is kept as it is")
			}
		})
	}
}
