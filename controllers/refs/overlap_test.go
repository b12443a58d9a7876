package refs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/headgate/headgate/api/v1alpha1"
)

// call is one of a few that there may be.
type call struct{ host, service, method, tenant string }

// calls are at every host that a wildcard of the test may stand for, of every service and method, with every header.
func calls() []call {
	var out []call
	for _, host := range []string{"example.com", "a.example.com", "b.example.com", "c.a.example.com", "d.c.a.example.com", "other.org", "x.other.org"} {
		for _, service := range []string{"s", "t", "u"} {
			for _, method := range []string{"M", "N", "O"} {
				for _, tenant := range []string{"", "gold", "tin", "lead"} {
					out = append(out, call{host, service, method, tenant})
				}
			}
		}
	}
	return out
}

// meets says whether a call meets what an ExposedService claims, as Gateway API has it.
func (c call) meets(exs *v1alpha1.ExposedService) bool {
	atHost := len(exs.Spec.Hostnames) == 0 || slices.ContainsFunc(exs.Spec.Hostnames, func(host v1alpha1.Hostname) bool {
		suffix, isWildcard := strings.CutPrefix(string(host), "*")
		return string(host) == c.host || isWildcard && strings.HasSuffix(c.host, suffix)
	})
	matches := len(exs.Spec.Rules[0].Matches) == 0 || slices.ContainsFunc(exs.Spec.Rules[0].Matches, func(m v1alpha1.Match) bool {
		return (m.Service == nil || *m.Service == c.service) && (m.Method == nil || *m.Method == c.method) &&
			!slices.ContainsFunc(m.Headers, func(h v1alpha1.HeaderMatch) bool { return h.Value != c.tenant })
	})
	return atHost && matches
}

func drawClaimer(t *rapid.T, namespace string) *v1alpha1.ExposedService {
	exs := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "one"}}
	exs.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: ptr.To("infra")}}
	hosts := rapid.SampledFrom([]v1alpha1.Hostname{
		"example.com", "a.example.com", "b.example.com", "c.a.example.com", "*.example.com", "*.a.example.com", "*.c.a.example.com", "*.com", "other.org", "*.org",
	})
	exs.Spec.Hostnames = rapid.SliceOfNDistinct(hosts, 0, 3, rapid.ID).Draw(t, "hosts of "+namespace)
	exs.Spec.Rules = []v1alpha1.Rule{{}}
	for i := range rapid.IntRange(0, 2).Draw(t, "matches of "+namespace) {
		label := func(what string) string { return fmt.Sprintf("%s %d of %s", what, i, namespace) }
		var m v1alpha1.Match
		if rapid.Bool().Draw(t, label("by service")) {
			m.Service = ptr.To(rapid.SampledFrom([]string{"s", "t"}).Draw(t, label("service")))
		}
		if rapid.Bool().Draw(t, label("by method")) {
			m.Method = ptr.To(rapid.SampledFrom([]string{"M", "N"}).Draw(t, label("method")))
		}
		if rapid.Bool().Draw(t, label("by header")) {
			m.Headers = []v1alpha1.HeaderMatch{{Name: "X-Tenant", Value: rapid.SampledFrom([]string{"gold", "tin"}).Draw(t, label("header"))}}
		}
		exs.Spec.Rules[0].Matches = append(exs.Spec.Rules[0].Matches, m)
	}
	return exs
}

// TestClaimsOfTwoNamespacesAreContestedWhereACallMeetsBoth, and the keys lead from each to the other.
func TestClaimsOfTwoNamespacesAreContestedWhereACallMeetsBoth(t *testing.T) {
	all := calls()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawClaimer(t, "shop"), drawClaimer(t, "bank")
		x, y := ClaimsOf(a), ClaimsOf(b)
		both := slices.ContainsFunc(all, func(c call) bool { return c.meets(a) && c.meets(b) })
		contests, reverse := x.Contests(y), y.Contests(x)
		if both != (len(contests) > 0) || both != (len(reverse) > 0) {
			t.Fatalf("a call that meets both: %t, contests %v, %v", both, contests, reverse)
		}
		for _, contest := range contests {
			if !slices.Contains(reverse, Contest{contest.Its, contest.Mine}) {
				t.Fatalf("%v is not seen from the other side: %v", contest, reverse)
			}
		}
		if both && !leads(x, y) {
			t.Fatalf("nothing leads from %+v to %+v", x, y)
		}
	})
}

// leads says whether the indexes lead from one to the other.
func leads(from, to Claims) bool {
	shares := func(a, b []string) bool {
		return slices.ContainsFunc(a, func(value string) bool { return slices.Contains(b, value) })
	}
	return shares(slices.Concat(from.HostKeys(), from.CoverKeys()), to.HostKeys()) || shares(from.WideKeys(), to.CoverKeys())
}

func TestContestsOfTwoNamespaces(t *testing.T) {
	type m = v1alpha1.Match
	exs := func(namespace string, section string, hosts []v1alpha1.Hostname, matches ...m) *v1alpha1.ExposedService {
		out := &v1alpha1.ExposedService{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "one"}}
		out.Spec.Gateway = &v1alpha1.Gateway{ParentRef: &v1alpha1.ParentRef{Name: "public", Namespace: ptr.To("infra")}}
		if section != "" {
			out.Spec.Gateway.ParentRef.SectionName = &section
		}
		out.Spec.Hostnames, out.Spec.Rules = hosts, []v1alpha1.Rule{{Matches: matches}}
		return out
	}
	api, under := []v1alpha1.Hostname{"api.example.com"}, []v1alpha1.Hostname{"*.example.com"}
	service, other := m{Service: ptr.To("pay.Payments")}, m{Service: ptr.To("shop.Greeter")}
	regular := m{Type: v1alpha1.MatchRegularExpression, Service: ptr.To("pay[.].*")}
	header := m{Headers: []v1alpha1.HeaderMatch{{Name: "x-a", Value: "b"}}}
	for name, c := range map[string]struct {
		a, b      *v1alpha1.ExposedService
		contested bool
	}{
		"the same host": {exs("shop", "", api), exs("bank", "", api), true},
		"the same host with a more specific match":    {exs("shop", "", api), exs("bank", "", api, service), true},
		"the same host with a header":                 {exs("shop", "", api, service), exs("bank", "", api, header), true},
		"the same host and another service":           {exs("shop", "", api, other), exs("bank", "", api, service), false},
		"the same host and a regular expression":      {exs("shop", "", api, other), exs("bank", "", api, regular), true},
		"a host under a wildcard":                     {exs("shop", "", under), exs("bank", "", api), true},
		"a host under a claim to all":                 {exs("shop", "", nil), exs("bank", "", api), true},
		"two wildcards":                               {exs("shop", "", under), exs("bank", "", []v1alpha1.Hostname{"*.a.example.com"}), true},
		"the domain of a wildcard":                    {exs("shop", "", under), exs("bank", "", []v1alpha1.Hostname{"example.com"}), false},
		"other hosts":                                 {exs("shop", "", api), exs("bank", "", []v1alpha1.Hostname{"b.example.com"}), false},
		"other listeners":                             {exs("shop", "public", api), exs("bank", "internal", api), false},
		"one listener and all":                        {exs("shop", "public", api), exs("bank", "", api), true},
		"one namespace, with a more specific match":   {exs("shop", "", api), exs("shop", "", api, service), false},
		"one namespace, with a host under a wildcard": {exs("shop", "", under), exs("shop", "", api), false},
		"one namespace, and the same":                 {exs("shop", "", api), exs("shop", "", api), true},
	} {
		x, y := ClaimsOf(c.a), ClaimsOf(c.b)
		if got := x.Contests(y); (len(got) > 0) != c.contested {
			t.Errorf("%s: %v", name, got)
		}
		if got := y.Contests(x); (len(got) > 0) != c.contested {
			t.Errorf("%s, from the other side: %v", name, got)
		}
	}
}
